/* Numbers for dependencies: what one process provides and another one requires before it can go on. Both sides ask
 * for the number of the same thing and get the same number. Knows nothing of graphs. */
#ifndef SF_TRACER_ANALYZE_DEPENDENCIES_H
#define SF_TRACER_ANALYZE_DEPENDENCIES_H

#include <stdint.h>

/* What kind of thing it is. The arguments a and b say which one; b is 0 where it is not named. */
enum dependency_type {
    DEPENDENCY_MESSAGE = 1, /* a: channel, b: the message's number: it was sent */
    DEPENDENCY_ROOM,        /* a: channel: a message was taken out of it */
    DEPENDENCY_RESULT_ROOM, /* a: process: it took results of a child */
    DEPENDENCY_ITEM,        /* a: process of a Generator: it made an item */
    DEPENDENCY_RESULT,      /* a: process: one of its map workers has results */
    DEPENDENCY_REQUEST,     /* a: task of a Generator: an item is wanted */
    DEPENDENCY_SUBMIT,      /* a: process, b: number of what it has submitted to an executor */
    DEPENDENCY_START,       /* a: process: it was forked */
    DEPENDENCY_LEAVING,     /* a: process: it has begun to end */
    DEPENDENCY_END,         /* a: process: it ended */
    DEPENDENCY_CHILD_END,   /* a: process: one of its children ended */
};

struct dependencies;

struct dependencies *dependencies_new(void); /* NULL: no memory */
void dependencies_free(struct dependencies *dependencies);

/* The dependency's number, from 1; the same for the same arguments. 0: no memory. */
uint32_t dependencies_number(struct dependencies *dependencies, enum dependency_type type, int64_t a, int64_t b);

/* How many there are, which is the highest number. */
uint32_t dependencies_count(const struct dependencies *dependencies);

#endif
