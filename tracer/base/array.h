/* Arrays that grow. */
#ifndef SF_TRACER_BASE_ARRAY_H
#define SF_TRACER_BASE_ARRAY_H

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/* Makes room for one more element after the first `count`. Returns the array, which may have moved; NULL: no memory,
 * and the array is unchanged. *room: how many elements it has room for, 0 at first. */
static inline void *array_grow(void *array, size_t count, size_t *room, size_t size)
{
    assert(count <= *room);
    if (count < *room)
        return array;
    size_t more = *room ? *room * 2 : 64;
    void *grown = realloc(array, more * size);
    if (grown)
        *room = more;
    return grown;
}

#endif
