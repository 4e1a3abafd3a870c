/* Puts the texts of one log together from its TEXT records, each of which holds 16 bytes. Nothing blocks. */
#ifndef SF_TRACER_COLLECT_TEXTS_H
#define SF_TRACER_COLLECT_TEXTS_H

#include <stdint.h>

struct texts;

struct texts *texts_new(void); /* NULL: no memory */
void texts_free(struct texts *texts);

/* Adds 16 bytes to text `number`. If they end it, returns the text as valid UTF-8, which stays valid until the next
 * call; otherwise NULL. A few texts can be incomplete at the same time. Of a very long text only the beginning is kept.
 */
const char *texts_add(struct texts *texts, uint32_t number, uint64_t a, uint64_t b);

/* Records are missing: drops all incomplete texts. */
void texts_clear(struct texts *texts);

#endif
