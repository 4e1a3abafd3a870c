/* Finds the function behind a callable. See function.h. */
#include "py/task/function.h"

#ifdef PYPY_VERSION
#define FUNCTOOLS "functools"
#else
#define FUNCTOOLS "_functools" /* the part of it that takes no time to import */
#endif

static PyObject *partial; /* functools.partial */

int sf_function_init(void)
{
    PyObject *functools = PyImport_ImportModule(FUNCTOOLS);
    partial = functools ? PyObject_GetAttrString(functools, "partial") : NULL;
    Py_XDECREF(functools);
    return partial ? 0 : -1;
}

/* The attribute, or NULL without an exception where there is none, or with one for any other failure. */
static PyObject *attribute(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    if (!value && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    return value;
}

/* What f wraps if f is a wrapper that functools itself made, such as singledispatch's (or lru_cache's where that is
 * written in Python). The wrapper's own globals are those of functools, which no program wants here. A new reference,
 * or NULL: f is no such wrapper, or an exception. */
static PyObject *unwrap_functools(PyObject *f)
{
    PyObject *functools = PyDict_GetItemString(PyImport_GetModuleDict(), "functools"); /* borrowed */
    PyObject *known = functools ? attribute(functools, "__dict__") : NULL, *globals = attribute(f, "__globals__");
    Py_XDECREF(known); /* both are only compared */
    Py_XDECREF(globals);
    return known && globals == known ? attribute(f, "__wrapped__") : NULL;
}

/* What f wraps, one layer: partial.func, method.__func__, type(object).__call__, and the __wrapped__ of a wrapper of
 * functools or of a callable written in C. A new reference, or NULL: it wraps nothing, or an exception. */
static PyObject *unwrap(PyObject *f)
{
    int is_partial = PyObject_IsInstance(f, partial);
    if (is_partial < 0)
        return NULL;
    if (is_partial)
        return PyObject_GetAttrString(f, "func");
    if (PyMethod_Check(f))
        return Py_NewRef(PyMethod_GET_FUNCTION(f));
    if (PyFunction_Check(f))
        return unwrap_functools(f);
    if (PyCFunction_Check(f) || PyType_Check(f))
        return NULL;
    PyObject *call = attribute((PyObject *)Py_TYPE(f), "__call__");
    if (!call || PyFunction_Check(call))
        return call;
    Py_DECREF(call); /* a slot of a type written in C */
    return attribute(f, "__wrapped__");
}

/* The innermost callable. A new reference, or NULL with an exception. */
static PyObject *unwrap_fully(PyObject *f)
{
    PyObject *at = Py_NewRef(f), *next;
    for (int depth = 0; depth < 100 && (next = unwrap(at)); depth++)
        Py_SETREF(at, next);
    if (PyErr_Occurred())
        Py_CLEAR(at);
    return at;
}

PyObject *sf_function_name(PyObject *f)
{
    PyObject *name = PyObject_GetAttrString(f, "__name__");
    if (!name || !PyUnicode_Check(name)) {
        PyErr_Clear();
        Py_XSETREF(name, PyUnicode_FromString(Py_TYPE(f)->tp_name));
    }
    return name;
}

PyObject *sf_function_globals(PyObject *f)
{
    PyObject *function = unwrap_fully(f);
    if (!function)
        return NULL;
    PyObject *globals = attribute(function, "__globals__");
    Py_DECREF(function);
    if (globals == Py_None) /* PyPy: of a builtin */
        Py_CLEAR(globals);
    if (!globals && !PyErr_Occurred()) {
        globals = PyEval_GetGlobals(); /* borrowed */
        globals = globals ? Py_NewRef(globals) : PyDict_New();
    }
    return globals;
}

int sf_function_is_generator(PyObject *f)
{
    PyObject *function = unwrap_fully(f);
    if (!function)
        return -1;
    PyObject *code = attribute(function, "__code__"), *flags = code ? attribute(code, "co_flags") : NULL;
    long value = flags ? PyLong_AsLong(flags) : 0;
    Py_DECREF(function);
    Py_XDECREF(code);
    Py_XDECREF(flags);
    if (PyErr_Occurred())
        return -1;
    return (value & 0x20) != 0; /* inspect.CO_GENERATOR */
}
