/* The diseases that a program may have. Each is looked for in a trace by itself; advice.c puts them in order. */
#ifndef SF_TRACER_ANALYZE_DISEASES_H
#define SF_TRACER_ANALYZE_DISEASES_H

#include <stddef.h>

#include "analyze/advisor.h"

struct finding {
    double speedup;  /* without the disease, by a replay; 0: the trace does not have it, or it costs next to nothing */
    double at_least; /* what the cure gains for certain, done as it says: that is promised; 0: nobody knows that */
    double weight;   /* how important it is beside others; 0: as its speedup */
    char what[300];  /* the disease, in words */
    char cure[300];
};

struct disease {
    const char *name;
    void (*look_for)(const struct advisor *advisor, struct finding *finding);
    unsigned covers; /* those that are its consequence, as bits 1 << index: they are not told beside it */
};

extern const struct disease diseases[];
extern const size_t disease_count;

#endif
