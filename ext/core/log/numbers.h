/* Numbers of what a log knows by number: from a key of two words to a number, and the log that it was written into.
 *
 * Whoever uses it gives the numbers, from 1 on. The table is one process's; nothing blocks. */
#ifndef SF_CORE_LOG_NUMBERS_H
#define SF_CORE_LOG_NUMBERS_H

#include <stdint.h>

struct sf_numbers_entry {
    uint64_t a, b;   /* the key */
    uint32_t number; /* 0: the place is free */
    uint32_t era;    /* of the log that knows it: see sf_log_texts_era */
};

struct sf_numbers {
    struct sf_numbers_entry *entries; /* NULL: it is empty */
    uint32_t slots, used;             /* slots: a power of two */
};

/* The entry of that key, NULL if there is none. It stays where it is until the next sf_numbers_set. */
const struct sf_numbers_entry *sf_numbers_find(const struct sf_numbers *numbers, uint64_t a, uint64_t b);

/* Gives the key that number, in that log. -ENOMEM: the table is as it was. */
int sf_numbers_set(struct sf_numbers *numbers, uint64_t a, uint64_t b, uint32_t number, uint32_t era);

/* Forgets all. */
void sf_numbers_clear(struct sf_numbers *numbers);

#endif
