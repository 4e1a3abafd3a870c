/* Arrays that grow. */
#ifndef SF_TRACER_BASE_ARRAY_H
#define SF_TRACER_BASE_ARRAY_H

#include <stddef.h>
#include <stdlib.h>

/* The array with room for one element more behind `count` of them; it may have moved. NULL: no memory, and it is as
 * it was. */
static inline void *array_grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t more = *room ? *room * 2 : 64;
    void *grown = realloc(array, more * size);
    if (grown)
        *room = more;
    return grown;
}

#endif
