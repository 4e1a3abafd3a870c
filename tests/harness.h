/* The C tests' harness: each case runs in a process of its own with a time limit, so that a crash or a hang is one
 * failed case and nothing more.
 *
 *     #include "harness.h"
 *     TEST(a_message_is_received_once) { CHECK(1 + 1 == 2); CHECK_EQ(2, 1 + 1); }
 *     TEST(needs_root)                 { if (geteuid()) SKIP("needs root"); }
 *     TEST_MAIN()
 *
 * Prints "ok NAME", "skip NAME: reason" or "FAIL NAME: reason" for each, and "N passed, N failed, N skipped" last.
 * Arguments name the cases to run (parts of names); none: all. SF_TEST_SECONDS sets the limit of a case (30). */
#ifndef SF_TESTS_HARNESS_H
#define SF_TESTS_HARNESS_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HARNESS_SKIP = 77 };

struct harness_case {
    const char *name;
    void (*run)(void);
    struct harness_case *next;
};
static struct harness_case *harness_first, **harness_last = &harness_first;

#define TEST(test_name)                                                                                                \
    static void test_name(void);                                                                                       \
    static struct harness_case harness_##test_name = {#test_name, test_name, NULL};                                    \
    __attribute__((constructor)) static void harness_add_##test_name(void)                                             \
    {                                                                                                                  \
        *harness_last = &harness_##test_name;                                                                          \
        harness_last = &harness_##test_name.next;                                                                      \
    }                                                                                                                  \
    static void test_name(void)

/* These also work in processes that the case forks, which should end by _exit. */
#define FAIL(...)                                                                                                      \
    do {                                                                                                               \
        fprintf(stderr, "  %s:%d: ", __FILE__, __LINE__);                                                              \
        fprintf(stderr, __VA_ARGS__);                                                                                  \
        fputc('\n', stderr);                                                                                           \
        fflush(stderr);                                                                                                \
        _exit(1);                                                                                                      \
    } while (0)
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            FAIL("%s", #condition);                                                                                    \
    } while (0)
#define CHECK_EQ(expected, actual)                                                                                     \
    do {                                                                                                               \
        long long harness_e = (long long)(expected), harness_a = (long long)(actual);                                  \
        if (harness_e != harness_a)                                                                                    \
            FAIL("%s is %lld, not %lld (%s)", #actual, harness_a, harness_e, #expected);                               \
    } while (0)

#if defined(__SANITIZE_THREAD__)
#define HAS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif
#ifndef HAS_TSAN
#define HAS_TSAN 0
#endif

/* For cases that ThreadSanitizer's runtime makes impossible. */
#define SKIP_UNDER_TSAN(reason)                                                                                        \
    do {                                                                                                               \
        if (HAS_TSAN)                                                                                                  \
            SKIP("ThreadSanitizer " reason);                                                                           \
    } while (0)

#define SKIP(...)                                                                                                      \
    do {                                                                                                               \
        printf(__VA_ARGS__);                                                                                           \
        fflush(stdout);                                                                                                \
        _exit(HARNESS_SKIP);                                                                                           \
    } while (0)

static int harness_wanted(const char *name, int argc, char **argv)
{
    if (argc < 2)
        return 1;
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return 1;
    return 0;
}

static int harness_main(int argc, char **argv)
{
    const char *limit = getenv("SF_TEST_SECONDS");
    unsigned seconds = limit ? (unsigned)atoi(limit) : 30;
    int passed = 0, failed = 0, skipped = 0;
    for (struct harness_case *c = harness_first; c; c = c->next) {
        if (!harness_wanted(c->name, argc, argv))
            continue;
        int out[2], status;
        if (pipe(out))
            return perror("pipe"), 2;
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
            return perror("fork"), 2;
        if (pid == 0) {
            setpgid(0, 0);
            dup2(out[1], STDOUT_FILENO);
            close(out[0]);
            close(out[1]);
            alarm(seconds);
            c->run();
            exit(0); /* not _exit: leak checkers and coverage work at exit */
        }
        close(out[1]);
        waitpid(pid, &status, 0);
        kill(-pid,
             SIGKILL); /* all that the case forked and left: their ends of the pipe would keep the read below waiting */
        char said[256] = "";
        if (read(out[0], said, sizeof said - 1) < 0)
            said[0] = '\0';
        close(out[0]);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            passed++, printf("ok   %s\n", c->name);
        else if (WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_SKIP)
            skipped++, printf("skip %s: %s\n", c->name, said);
        else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            failed++, printf("FAIL %s: still running after %u s\n", c->name, seconds);
        else if (WIFSIGNALED(status))
            failed++, printf("FAIL %s: %s\n", c->name, strsignal(WTERMSIG(status)));
        else
            failed++, printf("FAIL %s: see above\n", c->name);
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}

#define TEST_MAIN()                                                                                                    \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return harness_main(argc, argv);                                                                               \
    }

#endif
