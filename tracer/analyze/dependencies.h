/* Numbers for the things that processes tell each other, so that who gives and who needs the same thing find each
 * other. Knows nothing of graphs. */
#ifndef SF_TRACER_SIGNALS_H
#define SF_TRACER_SIGNALS_H

#include <stdint.h>

/* What it is, and of whom: a and b. */
enum signal_type {
    SIGNAL_SENT = 1,     /* channel, number of the message */
    SIGNAL_TAKEN,        /* channel: there is more room in it */
    SIGNAL_RESULT_TAKEN, /* process: it has taken results of a child */
    SIGNAL_ITEM,         /* process of a Generator: an item is made */
    SIGNAL_RESULT,       /* process: a map worker of it has results */
    SIGNAL_ASKED,        /* task of a Generator: an item is wanted */
    SIGNAL_FORKED,       /* process: it begins */
    SIGNAL_ENDED,        /* process */
    SIGNAL_CHILD_ENDED,  /* process: one of its children */
};

struct signals;

struct signals *signals_new(void); /* NULL: no memory */
void signals_free(struct signals *signals);

/* Its number, from 1; the same for the same arguments. 0: no memory. */
uint32_t signals_number(struct signals *signals, enum signal_type type, int64_t a, int64_t b);

/* How many there are. */
uint32_t signals_count(const struct signals *signals);

#endif
