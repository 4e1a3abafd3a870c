/* What a child of ours does first, and what the fork that makes it needs for that.
 *
 *     struct sf_process_child start;
 *     sf_process_child_prepare(&start, false);
 *     pid = fork();
 *     if (pid == 0)
 *         sf_process_child_begin(&start);
 *     else
 *         sf_process_child_forked(&start); // also when the fork failed
 *
 * From sf_process_child_begin on:
 * - The child dies when its parent process dies, however that happens. A program that it execs does too if the main
 *   thread of the parent has forked. If another thread has, the program lives on.
 * - SIGTERM has its default action and is not blocked, whatever the parent does with it: else a parent that handles,
 *   ignores or blocks SIGTERM could not terminate its children by it. Signals
 *   that come between fork and begin are kept until then; a SIGTERM ends the child.
 *
 * Nothing here blocks or allocates. All is async-signal-safe. */
#ifndef SF_CORE_OS_PROCESS_CHILD_H
#define SF_CORE_OS_PROCESS_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct sf_process_child {
    pid_t parent;
    bool by_main_thread; /* the main thread of its process forks */
    sigset_t mask;       /* of the thread that forks */
};

/* In the parent, right before the fork: blocks all signals in this thread. Where code of the program runs between this
 * and begin, which may start programs that inherit what is blocked: only SIGTERM. */
void sf_process_child_prepare(struct sf_process_child *start, bool only_sigterm);

/* In the parent, right after the fork: restores the thread's signal mask. */
void sf_process_child_forked(const struct sf_process_child *start);

/* In the child, right after the fork. Whether SIGTERM had another action than the default. Ends the process at once if
 * the parent is dead already. */
bool sf_process_child_begin(const struct sf_process_child *start);

/* In the child: the name that ps, top and gdb show, cut off after 15 bytes, between two characters of UTF-8. */
void sf_process_child_name(const char *name);

#endif
