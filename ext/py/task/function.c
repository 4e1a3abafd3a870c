/* Finds the function behind a callable. See function.h. */
#include "py/task/function.h"

#define CO_GENERATOR_FLAG 0x20 /* inspect.CO_GENERATOR */
#define DEEPEST 100            /* layers of wrapping; a callable may wrap itself */

static PyObject *partial; /* functools.partial */
static PyObject *name_name;

int sf_function_init(void)
{
    PyObject *functools = PyImport_ImportModule("_functools");     /* imports nothing else */
    if (!functools && PyErr_ExceptionMatches(PyExc_ImportError)) { /* PyPy */
        PyErr_Clear();
        functools = PyImport_ImportModule("functools");
    }
    partial = functools ? PyObject_GetAttrString(functools, "partial") : NULL;
    Py_XDECREF(functools);
    name_name = PyUnicode_InternFromString("__name__");
    return partial && name_name ? 0 : -1;
}

/* The attribute, or NULL without an exception where there is none, or with one for any other failure. */
static PyObject *attribute(PyObject *object, const char *name)
{
    PyObject *value = PyObject_GetAttrString(object, name);
    if (!value && PyErr_ExceptionMatches(PyExc_AttributeError))
        PyErr_Clear();
    return value;
}

/* What f wraps, one layer: partial.func, method.__func__, __wrapped__, type(object).__call__. A new reference, or NULL:
 * it wraps nothing, or an exception. */
static PyObject *unwrap(PyObject *f)
{
    int is_partial = PyObject_IsInstance(f, partial);
    if (is_partial)
        return is_partial < 0 ? NULL : PyObject_GetAttrString(f, "func");
    if (PyMethod_Check(f))
        return Py_NewRef(PyMethod_GET_FUNCTION(f));
    if (PyType_Check(f))
        return NULL; /* calling it makes an instance */
    PyObject *wrapped = attribute(f, "__wrapped__");
    if (wrapped || PyErr_Occurred() || PyFunction_Check(f) || PyCFunction_Check(f))
        return wrapped;
    PyObject *call = attribute((PyObject *)Py_TYPE(f), "__call__");
    if (call && Py_TYPE(call) == Py_TYPE(f))
        Py_CLEAR(call); /* the slots of types written in C have such slots themselves */
    return call;
}

PyObject *sf_function_name(PyObject *f)
{
    PyObject *name = PyObject_GetAttr(f, name_name);
    if (!name || !PyUnicode_Check(name)) {
        PyErr_Clear();
        Py_XSETREF(name, PyUnicode_FromString(Py_TYPE(f)->tp_name));
    }
    return name;
}

/* The function itself, without what it may wrap. 1, 0, or -1 with an exception. */
static int has_yield(PyObject *f)
{
    PyObject *code = attribute(f, "__code__"), *flags = code ? attribute(code, "co_flags") : NULL;
    long value = flags ? PyLong_AsLong(flags) : 0;
    Py_XDECREF(code);
    Py_XDECREF(flags);
    return PyErr_Occurred() ? -1 : (value & CO_GENERATOR_FLAG) != 0;
}

int sf_function_is_generator(PyObject *f)
{
    PyObject *at = Py_NewRef(f);
    int is_generator = 0;
    for (int depth = 0; at && depth < DEEPEST && (is_generator = has_yield(at)) == 0; depth++)
        Py_SETREF(at, unwrap(at));
    Py_XDECREF(at);
    return PyErr_Occurred() ? -1 : is_generator;
}
