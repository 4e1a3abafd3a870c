/* Numbers for the things that processes tell each other, so that who gives and who needs the same thing find each
 * other. Knows nothing of graphs. */
#ifndef SF_TRACER_ANALYZE_DEPENDENCIES_H
#define SF_TRACER_ANALYZE_DEPENDENCIES_H

#include <stdint.h>

/* What it is, and of whom: a and b. */
enum dependency_type {
    DEPENDENCY_SENT = 1,     /* channel, number of the message */
    DEPENDENCY_TAKEN,        /* channel: there is more room in it */
    DEPENDENCY_RESULT_TAKEN, /* process: it has taken results of a child */
    DEPENDENCY_ITEM,         /* process of a Generator: an item is made */
    DEPENDENCY_RESULT,       /* process: a map worker of it has results */
    DEPENDENCY_ASKED,        /* task of a Generator: an item is wanted */
    DEPENDENCY_FORKED,       /* process: it begins */
    DEPENDENCY_ENDED,        /* process */
    DEPENDENCY_CHILD_ENDED,  /* process: one of its children */
};

struct dependencies;

struct dependencies *dependencies_new(void); /* NULL: no memory */
void dependencies_free(struct dependencies *dependencies);

/* Its number, from 1; the same for the same arguments. 0: no memory. */
uint32_t dependencies_number(struct dependencies *dependencies, enum dependency_type type, int64_t a, int64_t b);

/* How many there are. */
uint32_t dependencies_count(const struct dependencies *dependencies);

#endif
