/* Arrays for what arrives. See array.h.
 *
 * numpy's C functions are found in the table that it gives to extensions, at the places that its ABI has fixed. An
 * array made by them runs no code of the program. While our allocator is set, other arrays may come to be, as in a
 * garbage collection: they get fresh memory of the same kind. */
#include "py/message/array.h"

#include <stdbool.h>
#include <string.h>

#include "core/result/buffer_file.h"

PyObject *sf_array_new(uint64_t bytes, char **memory)
{
    PyObject *module = PyImport_ImportModule("snakefish._arrays");
    PyObject *array = module ? PyObject_CallMethod(module, "new", "K", (unsigned long long)bytes) : NULL;
    Py_buffer view;
    Py_XDECREF(module);
    if (array && PyObject_GetBuffer(array, &view, PyBUF_WRITABLE))
        Py_CLEAR(array);
    if (array) {
        *memory = view.buf;
        PyBuffer_Release(&view); /* nobody else has the array, so its memory stays where it is */
    }
    return array;
}

/* ---- numpy's table ---- */

#define NUMPY_1_22 0xfu /* the version of its C API that can set an allocator */
#define UINT8 2         /* NPY_UBYTE */

enum { ARRAY_TYPE = 2, DESCR_FROM_TYPE = 45, NEW_FROM_DESCR = 94, FEATURE_VERSION = 211, SET_HANDLER = 304 };

union entry { /* of the table */
    void *pointer;
    PyObject *(*descr_from_type)(int type);
    PyObject *(*new_from_descr)(PyTypeObject *type, PyObject *descr, int dimensions, const Py_ssize_t *shape,
                                const Py_ssize_t *strides, void *data, int flags, PyObject *base);
    unsigned (*feature_version)(void);
    PyObject *(*set_handler)(PyObject *handler);
};

static const union entry *table; /* NULL: not looked for yet, or numpy cannot */

/* Looks for the table once numpy is loaded. NULL, without an exception: numpy cannot. */
static const union entry *find_table(void)
{
#ifndef PYPY_VERSION
    static bool looked;
    static const char *const names[] = {"numpy._core._multiarray_umath", "numpy.core._multiarray_umath"};
    for (int i = 0; i < 2 && !looked; i++) {
        PyObject *modules = PyImport_GetModuleDict();               /* borrowed */
        PyObject *module = PyDict_GetItemString(modules, names[i]); /* borrowed */
        PyObject *capsule = module ? PyObject_GetAttrString(module, "_ARRAY_API") : NULL;
        const union entry *found = capsule ? PyCapsule_GetPointer(capsule, NULL) : NULL;
        if (found && found[FEATURE_VERSION].feature_version() >= NUMPY_1_22)
            table = found;
        looked = found != NULL;
        Py_XDECREF(capsule);
        PyErr_Clear();
    }
#endif
    return table;
}

/* ---- our allocator ---- */

static void *offered; /* what the next array of its length gets */

static void *allocate(void *context, size_t bytes)
{
    (void)context;
    void *memory = offered;
    if (!memory || sf_buffer_bytes(memory) != bytes)
        return sf_buffer_new(bytes);
    offered = NULL;
    return memory;
}

static void *allocate_zeroed(void *context, size_t count, size_t bytes)
{
    (void)context;
    return bytes && count > SIZE_MAX / bytes ? NULL : sf_buffer_new(count * bytes);
}

static void *reallocate(void *context, void *memory, size_t bytes)
{
    (void)context;
    return memory ? sf_buffer_resize(memory, bytes) : sf_buffer_new(bytes);
}

static void release(void *context, void *memory, size_t bytes)
{
    (void)context;
    (void)bytes; /* what numpy says of it after a resize is not what it asked for */
    sf_buffer_free(memory);
}

/* numpy's PyDataMem_Handler, version 1. */
static struct handler {
    char name[127];
    uint8_t version;
    void *context;
    void *(*allocate)(void *context, size_t bytes);
    void *(*allocate_zeroed)(void *context, size_t count, size_t bytes);
    void *(*reallocate)(void *context, void *memory, size_t bytes);
    void (*release)(void *context, void *memory, size_t bytes);
} handler = {"snakefish", 1, NULL, allocate, allocate_zeroed, reallocate, release};

/* numpy's allocator becomes this one: a new reference to the one before, or NULL with an exception. */
static PyObject *set_ours(const union entry *numpy)
{
    static PyObject *capsule; /* each array has a reference to it */
    if (!capsule)
        capsule = PyCapsule_New(&handler, "mem_handler", NULL);
    return capsule ? numpy[SET_HANDLER].set_handler(capsule) : NULL;
}

/* Sets the one before again; steals it. Where there is no memory for that, ours stays, which does no harm. */
static void set_back(const union entry *numpy, PyObject *before)
{
    PyObject *ours = numpy[SET_HANDLER].set_handler(before);
    Py_DECREF(before);
    Py_XDECREF(ours);
    PyErr_Clear();
}

static PyObject *make(const union entry *numpy, void *memory)
{
    Py_ssize_t bytes = (Py_ssize_t)sf_buffer_bytes(memory);
    PyObject *descr = numpy[DESCR_FROM_TYPE].descr_from_type(UINT8);
    if (!descr)
        return NULL;
    offered = memory;
    PyObject *array = numpy[NEW_FROM_DESCR].new_from_descr(numpy[ARRAY_TYPE].pointer, descr, 1, &bytes, NULL, NULL, 0,
                                                           NULL); /* steals descr */
    offered = NULL;
    return array;
}

static PyObject *copy(void *memory)
{
    char *to;
    uint64_t bytes = sf_buffer_bytes(memory);
    PyObject *array = sf_array_new(bytes, &to);
    if (array) {
        memcpy(to, memory, bytes);
        sf_buffer_free(memory);
    }
    return array;
}

PyObject *sf_array_of(void *memory)
{
    PyObject *module = PyImport_ImportModule("snakefish._arrays"); /* and with it numpy */
    Py_XDECREF(module);
    if (!module)
        return NULL;
    const union entry *numpy = find_table();
    if (!numpy)
        return copy(memory);
    PyObject *before = set_ours(numpy);
    if (!before)
        return NULL;
    PyObject *array = make(numpy, memory), *raised = array ? NULL : sf_take_raised();
    set_back(numpy, before);
    if (raised)
        sf_put_raised(raised);
    return array;
}
