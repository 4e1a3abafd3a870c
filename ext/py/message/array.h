/* New arrays of bytes for what arrives: numpy's own, which own their memory. numpy is asked at run time; nothing here
 * is built against it.
 *
 * All need the interpreter lock. */
#ifndef SF_PY_MESSAGE_ARRAY_H
#define SF_PY_MESSAGE_ARRAY_H

#include "py/base/compat.h"

#include <stdint.h>

/* One with fresh memory, where *memory points to. A new reference, or NULL with an exception. */
PyObject *sf_array_new(uint64_t bytes, char **memory);

/* One of memory of core/result/buffer_file.h, which is the array's from then on: numpy frees and resizes it as its own,
 * by functions of ours (PyDataMem_SetHandler, NEP 49). Before numpy 1.22 the bytes are copied. A new reference, or NULL
 * with an exception, and then the memory is still the caller's. */
PyObject *sf_array_of(void *memory);

#endif
