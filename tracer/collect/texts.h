/* Texts of one log while they are being put together from their TEXT records of 16 bytes. Nothing blocks. */
#ifndef SF_TRACER_COLLECT_TEXTS_H
#define SF_TRACER_COLLECT_TEXTS_H

#include <stdint.h>

struct texts;

struct texts *texts_new(void); /* NULL: no memory */
void texts_free(struct texts *texts);

/* 16 bytes more of text `number`. Returns the text when they end it, clean UTF-8, good until the next call; else
 * NULL. A few texts can be under way at once; of one that is very long the beginning is kept. */
const char *texts_add(struct texts *texts, uint32_t number, uint64_t a, uint64_t b);

/* Records are missing: what is under way is given up. */
void texts_clear(struct texts *texts);

#endif
