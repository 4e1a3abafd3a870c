/* Numbers of what a log knows by number: from a key of two words to a number, and the log that it was written into.
 *
 * Whoever uses it gives the numbers: from 1 on, and never one twice. The table is one process's; nothing blocks. */
#ifndef SF_CORE_LOG_NUMBERS_H
#define SF_CORE_LOG_NUMBERS_H

#include <stdint.h>

struct sf_numbers_entry {
    uint64_t a, b;   /* the key */
    uint32_t number; /* 0: the entry is new */
    uint32_t era;    /* of the log that knows it: see sf_log_texts_era */
};

struct sf_numbers {
    struct sf_numbers_entry *entries; /* NULL: it is empty */
    uint32_t slots, used;             /* slots: a power of two */
};

/* The entry of that key, which is new if there was none: the caller sets its number. It stays valid until the next
 * call. NULL: no memory. */
struct sf_numbers_entry *sf_numbers_at(struct sf_numbers *numbers, uint64_t a, uint64_t b);

/* Forgets all. */
void sf_numbers_clear(struct sf_numbers *numbers);

#endif
