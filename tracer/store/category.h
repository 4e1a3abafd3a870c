/* The categories of the ledger: what a process spends its time on. Every moment of a process belongs to one of them. */
#ifndef SF_TRACER_STORE_CATEGORY_H
#define SF_TRACER_STORE_CATEGORY_H

#include <stdbool.h>

/* X(NAME, "name", "doc"), in the order in which they are shown. */
#define CATEGORIES(X)                                                                                                  \
    X(RUNNING, "running", "f in a child; in other processes what is outside of all spans")                             \
    X(PICKLING, "pickling", "pickling and unpickling")                                                                 \
    X(COPYING, "copying", "into and out of channels and results")                                                      \
    X(LATE_SENDER, "late sender", "waiting for a message, an item or a request")                                       \
    X(LATE_RECEIVER, "late receiver", "waiting for room")                                                              \
    X(LATE_CHILD, "late child", "waiting for the end of a child")                                                      \
    X(LOCK, "lock", "waiting for a lock, a semaphore or a thread")                                                     \
    X(WAITING_FOR_WORK, "waiting for work", "a worker without an argument or a task")                                  \
    X(SLEEPING, "sleeping", "time.sleep and the like, by the kernel's view")                                           \
    X(MERGING, "merging", "the user's merge function, or merging shared variables")                                    \
    X(EXTRACTING, "extracting", "the user's extract function, or finding changes of shared variables")                 \
    X(FORKING, "forking", "the fork in the parent, hooks included")                                                    \
    X(STARTING, "starting", "a child, from its fork to f")                                                             \
    X(ENDING, "ending", "a child, after f: flushing, giving its memory back")                                          \
    X(PAGE_FAULTS, "page faults", "by the kernel's view")                                                              \
    X(NO_CPU, "no cpu", "runnable without a CPU, by the kernel's view")                                                \
    X(TRACING, "tracing", "writing events, an estimate")                                                               \
    X(OTHER, "other", "coordinating, reading results")

enum category {
#define X(name, word, doc) CATEGORY_##name,
    CATEGORIES(X)
#undef X
        CATEGORY_COUNT
};

/* Its name. */
static inline const char *category_name(enum category category)
{
    static const char *const names[] = {
#define X(name, word, doc) [CATEGORY_##name] = word,
        CATEGORIES(X)
#undef X
    };
    return names[category];
}

/* Is it waiting for another process or thread? */
static inline bool category_is_wait(enum category category)
{
    return category >= CATEGORY_LATE_SENDER && category <= CATEGORY_WAITING_FOR_WORK;
}

/* Does it need a CPU? */
static inline bool category_is_on_cpu(enum category category)
{
    return !category_is_wait(category) && category != CATEGORY_SLEEPING && category != CATEGORY_NO_CPU;
}

#endif
