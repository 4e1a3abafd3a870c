/* The objects that plain.c has written and may meet again, with their numbers in the pickle's memo: a list of a few,
 * then a hash table. Inlined into plain.c, because a message may look up each of its objects. */
#ifndef SF_PY_MESSAGE_PLAIN_SEEN_H
#define SF_PY_MESSAGE_PLAIN_SEEN_H

#include "py/message/plain.h"

#include <stdbool.h>
#include <stdint.h>

#include "py/message/plain_format.h"

#ifdef SF_HAS_PLAIN

#define TABLE_FIRST 64
#define TABLE_FIRST_MOST 4096

enum { NOT_PLAIN = 0, WRITTEN = 1, NO_MEMORY = -1 };

static inline uint32_t hash_of(const PyObject *object)
{
    return (uint32_t)(((uintptr_t)object >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

/* The place of the object in the table, or the free place where it would be. */
static inline struct sf_plain_seen *place_in_table(const struct sf_plain *plain, const PyObject *object)
{
    uint32_t at = hash_of(object) & plain->table_mask;
    while (plain->table[at].object && plain->table[at].object != object)
        at = (at + 1) & plain->table_mask;
    return &plain->table[at];
}

/* Moves all to a new table of so many places. */
static inline int make_table(struct sf_plain *plain, uint32_t places)
{
    struct sf_plain_seen *old = plain->table ? plain->table : plain->few_seen;
    uint32_t old_places = plain->table ? plain->table_mask + 1 : plain->few;
    struct sf_plain_seen *table = PyMem_Calloc(places, sizeof *table);
    if (!table) {
        PyErr_NoMemory();
        return NO_MEMORY;
    }
    struct sf_plain_seen *former = plain->table;
    plain->table = table;
    plain->table_mask = places - 1;
    for (uint32_t i = 0; i < old_places; i++)
        if (old[i].object)
            *place_in_table(plain, old[i].object) = old[i];
    if (!former)
        plain->table_used = plain->few;
    PyMem_Free(former);
    return WRITTEN;
}

static inline bool may_come_again(PyObject *object)
{
    return Py_REFCNT(object) > 1;
}

static inline const struct sf_plain_seen *find_seen(const struct sf_plain *plain, const PyObject *object)
{
    if (plain->table) {
        const struct sf_plain_seen *place = place_in_table(plain, object);
        return place->object ? place : NULL;
    }
    for (uint32_t i = 0; i < plain->few; i++)
        if (plain->few_seen[i].object == object)
            return &plain->few_seen[i];
    return NULL;
}

/* How many places a first table has. One for a container of so many items is seldom copied to a larger one. */
static inline uint32_t first_places(const struct sf_plain *plain)
{
    uint32_t places = TABLE_FIRST, items = plain->count & SF_PLAIN_ITEMS;
    while (places < items * 2 && places < TABLE_FIRST_MOST)
        places *= 2;
    return places;
}

static inline int keep_seen(struct sf_plain *plain, PyObject *object)
{
    struct sf_plain_seen seen = {object, plain->memoized};
    if (!plain->table && plain->few < SF_PLAIN_FEW_SEEN) {
        plain->few_seen[plain->few++] = seen;
        return WRITTEN;
    }
    if (!plain->table || plain->table_used > plain->table_mask / 2) {
        int made = make_table(plain, plain->table ? (plain->table_mask + 1) * 4 : first_places(plain));
        if (made < 0)
            return made;
    }
    *place_in_table(plain, object) = seen;
    plain->table_used++;
    return WRITTEN;
}

#endif

#endif
