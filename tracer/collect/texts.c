/* See texts.h. Invariant: length <= LENGTH_MAX in every slot. A slot is free when its number is 0. */
#include "collect/texts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "abi/log_format.h"
#include "base/text.h"

enum { SLOTS = 4, LENGTH_MAX = SF_TEXT_BYTES_MAX };

struct slot {
    uint32_t number;
    size_t length;
    char bytes[LENGTH_MAX];
};

struct texts {
    unsigned next; /* the slot to take next, in turn; if a text in it is incomplete, that is dropped */
    struct slot slots[SLOTS];
    char done[LENGTH_MAX + 1];
};

struct texts *texts_new(void)
{
    return calloc(1, sizeof(struct texts));
}

void texts_free(struct texts *texts)
{
    free(texts);
}

const char *texts_add(struct texts *texts, uint32_t number, uint64_t a, uint64_t b)
{
    char bytes[16];
    struct slot *s = NULL;
    memcpy(bytes, &a, 8);
    memcpy(bytes + 8, &b, 8);
    for (int i = 0; i < SLOTS; i++)
        if (texts->slots[i].number == number)
            s = &texts->slots[i];
    if (!s) {
        s = &texts->slots[texts->next++ % SLOTS];
        s->number = number;
        s->length = 0;
    }
    size_t n = strnlen(bytes, sizeof bytes);
    if (n > LENGTH_MAX - s->length)
        n = LENGTH_MAX - s->length;
    memcpy(s->bytes + s->length, bytes, n);
    s->length += n;
    assert(s->length <= LENGTH_MAX);
    if (!memchr(bytes, '\0', sizeof bytes))
        return NULL;
    text_clean(texts->done, sizeof texts->done, s->bytes, s->length);
    s->number = 0;
    return texts->done;
}

void texts_clear(struct texts *texts)
{
    for (int i = 0; i < SLOTS; i++)
        texts->slots[i].number = 0;
}
