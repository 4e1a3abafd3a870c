/* See ids.h. Invariant: every entry of the cache is in the table too. A new entry replaces the one in its slot. */
#include "store/ids.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS = 4096 }; /* a power of two */

struct slot {
    uint64_t number;
    int64_t scope, id; /* id 0: empty */
    int type;
};

struct ids {
    struct store *store;
    struct slot slots[SLOTS];
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

static struct slot *slot_of(struct ids *ids, int type, int64_t scope, uint64_t number)
{
    static_assert((SLOTS & (SLOTS - 1)) == 0, "the hash is masked");
    uint64_t hash = (number * 4 + (uint64_t)type) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)scope;
    hash *= UINT64_C(0xff51afd7ed558ccd);
    return &ids->slots[hash >> 52 & (SLOTS - 1)];
}

int64_t ids_get(struct ids *ids, enum store_object type, int64_t scope, uint64_t number)
{
    if (!number)
        return 0;
    struct slot *p = slot_of(ids, type, scope, number);
    if (p->id && p->type == (int)type && p->scope == scope && p->number == number)
        return p->id;
    int64_t id = store_number(ids->store, type, scope, number);
    if (!id) {
        int64_t text = type == STORE_TEXT ? store_text(ids->store, "(lost text)") : 0;
        id = store_new_number(ids->store, type, scope, number, text);
    }
    *p = (struct slot){number, scope, id, type};
    return id;
}

void ids_set_text(struct ids *ids, int64_t log, uint64_t number, const char *text)
{
    int64_t id = store_new_number(ids->store, STORE_TEXT, log, number, store_text(ids->store, text));
    *slot_of(ids, STORE_TEXT, log, number) = (struct slot){number, log, id, STORE_TEXT};
}
