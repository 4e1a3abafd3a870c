/* Reading arguments. See arguments.h. */
#include "py/base/arguments.h"

#include <string.h>

static int raise_out_of_range(PyObject *value, const char *name, int64_t least, const char *meaning)
{
    PyErr_Format(PyExc_ValueError,
                 meaning ? "%s must be at least %lld (%s), not %R" : "%s must be at least %lld%s, not %R", name,
                 (long long)least, meaning ? meaning : "", value);
    return -1;
}

int sf_argument_integer(PyObject *value, const char *name, int64_t least, const char *meaning, int64_t *out)
{
    if (!value)
        return 0;
    if (!PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int, not %.200s%s", name, Py_TYPE(value)->tp_name,
                     PyFloat_Check(value) ? ": write // instead of /, or int(...)" : "");
        return -1;
    }
    PyObject *integer = PyNumber_Index(value);
    if (!integer)
        return -1;
    int overflow, failed = 0;
    long long number = PyLong_AsLongLongAndOverflow(integer, &overflow);
    if (overflow > 0) {
        PyErr_Format(PyExc_ValueError, "%s is too large: %R", name, integer);
        failed = -1;
    } else if (overflow < 0 || number < least) {
        failed = raise_out_of_range(integer, name, least, meaning);
    } else {
        *out = number;
    }
    Py_DECREF(integer);
    return failed;
}

PyObject *sf_argument_iterator(PyObject *value, const char *name)
{
    PyObject *iterator = PyObject_GetIter(value);
    if (!iterator && PyErr_ExceptionMatches(PyExc_TypeError) && !Py_TYPE(value)->tp_iter && !PySequence_Check(value))
        PyErr_Format(PyExc_TypeError, "%s must be an iterable, not %.200s", name, Py_TYPE(value)->tp_name);
    return iterator;
}

PyObject *sf_argument_list(PyObject *value, const char *name)
{
    PyObject *iterator = sf_argument_iterator(value, name), *list = iterator ? PySequence_List(iterator) : NULL;
    Py_XDECREF(iterator);
    return list;
}

bool sf_argument_is_callable(PyObject *f, const char *name, bool optional)
{
    if ((optional && f == Py_None) || PyCallable_Check(f))
        return true;
    PyErr_Format(PyExc_TypeError, "%s must be callable%s, not %.200s", name, optional ? " or None" : "",
                 Py_TYPE(f)->tp_name);
    return false;
}

/* What other libraries call an argument, and what it is called here. */
static const struct {
    const char *theirs, *ours;
} foreign_names[] = {
    {"target", "f"},
    {"func", "f"},
    {"fn", "f"},
    {"function", "f"},
    {"iterable", "args"},
    {"iterables", "args"},
    {"processes", "concurrency"},
    {"n_jobs", "concurrency"},
    {"max_workers", "concurrency"},
    {"chunk_size", "chunksize"},
};

static const char *find_foreign(PyObject *keyword)
{
    for (size_t i = 0; i < sizeof foreign_names / sizeof *foreign_names; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, foreign_names[i].theirs) == 0)
            return foreign_names[i].ours;
    return NULL;
}

bool sf_argument_knows_keywords(const char *function, const char *example, char *const *names, PyObject *kwargs)
{
    PyObject *keyword, *value;
    Py_ssize_t at = 0;
    while (kwargs && PyDict_Next(kwargs, &at, &keyword, &value)) {
        const char *ours = PyUnicode_Check(keyword) ? find_foreign(keyword) : NULL;
        bool has_it = false;
        for (char *const *name = names; ours && *name; name++)
            has_it = has_it || strcmp(*name, ours) == 0;
        if (has_it) {
            PyErr_Format(PyExc_TypeError, "%s() has no argument %R: here it is %s, as in %s", function, keyword, ours,
                         example);
            return false;
        }
    }
    return true;
}

static int find_name(const char *const *names, int most, PyObject *keyword)
{
    for (int i = 0; i < most; i++)
        if (PyUnicode_CompareWithASCIIString(keyword, names[i]) == 0)
            return i;
    return -1;
}

int sf_argument_fast(const char *method, const char *const *names, int most, int required, PyObject *const *args,
                     Py_ssize_t count, PyObject *keywords, PyObject **given)
{
    if (count > most) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments, not %zd", method, most, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = args[i];
    for (Py_ssize_t i = 0; keywords && i < PyTuple_GET_SIZE(keywords); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(keywords, i);
        int at = find_name(names, most, keyword);
        if (at < 0) {
            PyErr_Format(PyExc_TypeError, "%s() has no argument %R", method, keyword);
            return -1;
        }
        if (at < count) {
            PyErr_Format(PyExc_TypeError, "%s() got argument %R twice", method, keyword);
            return -1;
        }
        given[at] = args[count + i];
    }
    for (int i = 0; i < required; i++)
        if (!given[i]) {
            PyErr_Format(PyExc_TypeError, "%s() needs argument '%s'", method, names[i]);
            return -1;
        }
    return 0;
}
