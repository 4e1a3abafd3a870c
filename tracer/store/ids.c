/* Numbers to row ids. Invariant: what the cache holds, the table holds too; an entry is overwritten by the next one
 * that falls on its place. */
#include "store/ids.h"

#include <stdlib.h>

enum { PLACES = 4096 }; /* a power of two */

struct place {
    uint64_t number;
    int64_t scope, id; /* id 0: empty */
    int type;
};

struct ids {
    struct store *store;
    struct place places[PLACES];
};

struct ids *ids_new(struct store *store)
{
    struct ids *ids = calloc(1, sizeof *ids);
    if (ids)
        ids->store = store;
    return ids;
}

void ids_free(struct ids *ids)
{
    free(ids);
}

static struct place *place_of(struct ids *ids, int type, int64_t scope, uint64_t number)
{
    uint64_t hash = (number * 4 + (uint64_t)type) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)scope;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    return &ids->places[hash >> 52 & (PLACES - 1)];
}

int64_t ids_get(struct ids *ids, enum store_object type, int64_t scope, uint64_t number)
{
    if (!number)
        return 0;
    struct place *p = place_of(ids, type, scope, number);
    if (p->id && p->type == (int)type && p->scope == scope && p->number == number)
        return p->id;
    int64_t id = store_number(ids->store, type, scope, number);
    if (!id) {
        int64_t text = type == STORE_TEXT ? store_text(ids->store, "(lost text)") : 0;
        id = store_new_number(ids->store, type, scope, number, text);
    }
    *p = (struct place){number, scope, id, type};
    return id;
}

void ids_set_text(struct ids *ids, int64_t log, uint64_t number, const char *text)
{
    int64_t id = store_new_number(ids->store, STORE_TEXT, log, number, store_text(ids->store, text));
    *place_of(ids, STORE_TEXT, log, number) = (struct place){number, log, id, STORE_TEXT};
}
