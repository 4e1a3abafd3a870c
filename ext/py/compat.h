/* Python.h, and what older headers lack. The only file of ext/py that asks for versions. */
#ifndef SF_PY_COMPAT_H
#define SF_PY_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x03090000
#error "snakefish needs Python 3.9 or later"
#endif

#if PY_VERSION_HEX < 0x030A0000
static inline PyObject *Py_NewRef(PyObject *object)
{
    Py_INCREF(object);
    return object;
}
static inline PyObject *Py_XNewRef(PyObject *object)
{
    Py_XINCREF(object);
    return object;
}
static inline int PyModule_AddObjectRef(PyObject *module, const char *name, PyObject *value)
{
    Py_INCREF(value); /* PyModule_AddObject steals it, but only when it succeeds */
    int failed = PyModule_AddObject(module, name, value);
    if (failed)
        Py_DECREF(value);
    return failed;
}
#endif

/* The current exception as one object with its traceback, and clears it. A new reference, NULL if there is none. */
static inline PyObject *sf_take_raised(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!type)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback && value)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

/* Raises the exception object again; steals the reference. */
static inline void sf_put_raised(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exception)), exception, PyException_GetTraceback(exception));
#endif
}

static inline int sf_is_finalizing(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing();
#elif defined(PYPY_VERSION)
    return 0;
#else
    return _Py_IsFinalizing();
#endif
}

#endif
