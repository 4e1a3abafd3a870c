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

static int64_t lost_text(struct store *store)
{
    return store_text(store, "(lost text)");
}

/* What stands for a number whose record was lost; 0: a new row. */
static int64_t lost(struct store *store, enum store_object type)
{
    if (type == STORE_TASK || type == STORE_CHANNEL)
        return 0;
    int64_t text = lost_text(store);
    int64_t frame = type == STORE_TEXT ? 0 : store_frame(store, text, 0, 0);
    return type == STORE_TEXT ? text : type == STORE_FRAME ? frame : store_stack(store, 0, frame);
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
        id = store_new_number(ids->store, type, scope, number, lost(ids->store, type));
    }
    *p = (struct slot){number, scope, id, type};
    return id;
}

static int64_t set(struct ids *ids, enum store_object type, int64_t scope, uint64_t number, int64_t id)
{
    store_new_number(ids->store, type, scope, number, id);
    *slot_of(ids, type, scope, number) = (struct slot){number, scope, id, type};
    return id;
}

int64_t ids_set_frame(struct ids *ids, int64_t log, uint64_t number, int64_t function, int64_t file, int64_t line)
{
    if (!function) /* its name could not be written */
        function = lost_text(ids->store);
    return set(ids, STORE_FRAME, log, number, store_frame(ids->store, function, file, line));
}

int64_t ids_set_stack(struct ids *ids, int64_t log, uint64_t number, int64_t parent, int64_t frame)
{
    return set(ids, STORE_STACK, log, number, store_stack(ids->store, parent, frame));
}

void ids_set_text(struct ids *ids, int64_t log, uint64_t number, const char *text)
{
    set(ids, STORE_TEXT, log, number, store_text(ids->store, text));
}
