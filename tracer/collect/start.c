/* See start.h. Stores the facts about the machine that matter to timings, and nothing that identifies it. */
#include "collect/start.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "base/version.h"
#include "store/schema.h"

static void put_machine(struct store *store)
{
    char line[512], model[256] = "";
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && !model[0] && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0)
            text_clean(model, sizeof model, colon + 2, strcspn(colon + 2, "\n"));
    }
    if (f)
        fclose(f);
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(line, sizeof line, "%s %s", name.sysname, name.release);
        store_meta_text(store, "kernel", line);
        store_meta_text(store, "machine", name.machine);
        store_meta_text(store, "cpu_model", model[0] ? model : name.machine);
    }
    store_meta_number(store, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
}

int start_database(struct store *store, const struct session *session, const struct clock *clock, const char *command,
                   pid_t root)
{
    char when[64];
    struct tm tm;
    time_t seconds = (time_t)(clock->first.realtime_ns / NS_PER_S);
    gmtime_r(&seconds, &tm);
    size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + n, sizeof when - n, ".%03dZ", (int)(clock->first.realtime_ns / NS_PER_MS % 1000));

    store_begin(store);
    store_meta_text(store, "session", session_name(session));
    store_meta_number(store, "session_start_tsc", (int64_t)session->last.start_tsc);
    store_meta_number(store, "collector_pid", getpid());
    store_meta_text(store, "command", command);
    store_meta_number(store, "root_pid", root);
    store_meta_text(store, "started", when);
    store_meta_number(store, "started_realtime_ns", clock->first.realtime_ns);
    store_meta_number(store, "log_records", session->last.log_records);
    store_meta_number(store, "sample_hz", session->last.sample_hz);
    store_meta_number(store, "schema_version", SCHEMA_VERSION);
    store_meta_number(store, "abi_version", SF_ABI_VERSION);
    store_meta_text(store, "snakefish_trace", TRACER_VERSION);
    store_meta_number(store, "tsc_hz", (int64_t)(clock_hz(clock) + 0.5));
    put_machine(store);
    store_snapshot(store, &clock->first);
    store_segment(store, &clock->open);
    return store_commit(store);
}

void start_command(char *to, size_t size, char *const argv[])
{
    size_t at = 0;
    to[0] = '\0';
    for (int i = 0; argv[i] && at + 1 < size; i++) {
        const char *quote = argv[i][0] && !strpbrk(argv[i], " \t\n'\"\\$") ? "" : "'";
        int n = snprintf(to + at, size - at, "%s%s%s%s", i ? " " : "", quote, argv[i], quote);
        at += n > 0 ? (size_t)n : 0;
    }
    char clean[4096];
    text_clean(clean, sizeof clean < size ? sizeof clean : size, to, strlen(to));
    strcpy(to, clean);
}

void start_command_of(char *to, size_t size, pid_t pid)
{
    char path[64], bytes[4096];
    char *argv[256];
    ssize_t n = -1;
    int words = 0;
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, bytes, sizeof bytes - 1);
        close(fd);
    }
    if (n > 0) {
        bytes[n] = '\0';
        for (char *at = bytes; at < bytes + n && words < 255; at += strlen(at) + 1)
            argv[words++] = at;
    }
    argv[words] = NULL;
    start_command(to, size, argv);
}
