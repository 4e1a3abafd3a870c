/* Random numbers for tests: the same ones in every run, from a fixed seed. */
#ifndef SF_TESTS_TRACER_ANALYZE_RANDOM_NUMBERS_H
#define SF_TESTS_TRACER_ANALYZE_RANDOM_NUMBERS_H

#include <stdint.h>

struct random_numbers {
    uint64_t state; /* the seed, not 0 */
};

/* From 0 to limit - 1. */
static inline int random_below(struct random_numbers *numbers, int limit)
{
    numbers->state ^= numbers->state << 13;
    numbers->state ^= numbers->state >> 7;
    numbers->state ^= numbers->state << 17;
    return (int)(numbers->state >> 33) % limit;
}

#endif
