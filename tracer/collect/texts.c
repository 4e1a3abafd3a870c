/* Texts under way. Invariant: length < LENGTH_MAX; a place is free when its number is 0. */
#include "collect/texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { PLACES = 4, LENGTH_MAX = 4096 };

struct place {
    uint32_t number;
    size_t length;
    char bytes[LENGTH_MAX];
};

struct texts {
    unsigned oldest;
    struct place places[PLACES];
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
    struct place *p = NULL;
    memcpy(bytes, &a, 8);
    memcpy(bytes + 8, &b, 8);
    for (int i = 0; i < PLACES; i++)
        if (texts->places[i].number == number)
            p = &texts->places[i];
    if (!p) {
        p = &texts->places[texts->oldest++ % PLACES];
        p->number = number;
        p->length = 0;
    }
    size_t n = strnlen(bytes, sizeof bytes);
    if (n > LENGTH_MAX - p->length)
        n = LENGTH_MAX - p->length;
    memcpy(p->bytes + p->length, bytes, n);
    p->length += n;
    if (!memchr(bytes, '\0', sizeof bytes))
        return NULL;
    text_clean(texts->done, sizeof texts->done, p->bytes, p->length);
    p->number = 0;
    return texts->done;
}

void texts_clear(struct texts *texts)
{
    for (int i = 0; i < PLACES; i++)
        texts->places[i].number = 0;
}
