/* Python.h, and what older versions and PyPy lack. Only this file and module.c compare versions of Python. */
#ifndef SF_PY_BASE_COMPAT_H
#define SF_PY_BASE_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#if !defined(PYPY_VERSION) && PY_VERSION_HEX < 0x030B0000
#include <frameobject.h>
#endif

#include <stdbool.h>
#include <stdint.h>

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

/* Clears the current exception and returns it, with its traceback: a new reference. NULL if there is none. */
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

/* The documentation of a built-in function, with its signature in front, which is never freed. NULL: the interpreter
 * keeps it in another way. */
static inline const char *sf_builtin_doc(PyObject *function)
{
#ifdef PYPY_VERSION
    (void)function;
    return NULL;
#else
    return PyCFunction_Check(function) ? ((PyCFunctionObject *)function)->m_ml->ml_doc : NULL;
#endif
}

#if defined(PYPY_VERSION) && !defined(PyRange_Check)
#define PyRange_Check(object) Py_IS_TYPE(object, &PyRange_Type) /* range cannot be subclassed */
#endif

/* Where a frame stands in its code: another number for each instruction. */
#ifndef PYPY_VERSION
static inline int sf_frame_instruction(PyFrameObject *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyFrame_GetLasti(frame);
#else
    return frame->f_lasti;
#endif
}

/* The name of a code, qualified from 3.11 on: a str, or NULL. Borrowed. */
static inline PyObject *sf_code_qualname(const PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030B0000
    return code->co_qualname;
#else
    return code->co_name;
#endif
}
#endif

#ifdef PYPY_VERSION
/* `source` is for tracemalloc only, which PyPy lacks. */
#define PyErr_ResourceWarning(source, level, ...) PyErr_WarnFormat(PyExc_ResourceWarning, level, __VA_ARGS__)

/* PyPy's C layer aborts where it should call Py_tp_finalize, so there tp_dealloc does that work. The Python side of the
 * object is gone by then, so no Python code may get the object. */
#define SF_HAS_FINALIZE 0
#define SF_FINALIZE_SLOT(function)
#else
#define SF_HAS_FINALIZE 1
#define SF_FINALIZE_SLOT(function) {Py_tp_finalize, function},
#endif

/* PyType_FromSpec. Before 3.10 it cuts the signature off the docstring, which inspect.signature looks for there. */
static inline PyObject *sf_type_from_spec(PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
#if PY_VERSION_HEX < 0x030A0000 && !defined(PYPY_VERSION)
    for (PyType_Slot *slot = spec->slots; type && slot->slot; slot++) {
        if (slot->slot != Py_tp_doc)
            continue;
        size_t bytes = strlen(slot->pfunc) + 1;
        char *copy = PyObject_Malloc(bytes); /* the type frees it by PyObject_Free */
        if (!copy) {
            Py_DECREF(type);
            return PyErr_NoMemory();
        }
        PyObject_Free((char *)((PyTypeObject *)type)->tp_doc);
        ((PyTypeObject *)type)->tp_doc = memcpy(copy, slot->pfunc, bytes);
    }
#endif
    return type;
}

/* Runs the handlers of pending signals. 0, or -1 with what one of them raised. PyPy runs handlers only between
 * bytecodes, so there a few are executed. */
static inline int sf_check_signals(void)
{
#ifdef PYPY_VERSION
    static PyObject *some_bytecodes;
    if (!some_bytecodes) {
        PyObject *module = PyImport_ImportModule("snakefish._child");
        some_bytecodes = module ? PyObject_GetAttrString(module, "run_signal_handlers") : NULL;
        Py_XDECREF(module);
    }
    PyObject *done = some_bytecodes ? PyObject_CallObject(some_bytecodes, NULL) : NULL;
    Py_XDECREF(done);
    return done ? 0 : -1;
#else
    return PyErr_CheckSignals();
#endif
}

/* next(iterator). NULL at its end, with StopIteration if that has a value, and NULL with what the iterator raised.
 * PyPy's tp_iternext loses the value. */
static inline PyObject *sf_iter_next(PyObject *iterator)
{
#ifdef PYPY_VERSION
    return PyObject_CallMethod(iterator, "__next__", NULL);
#else
    return Py_TYPE(iterator)->tp_iternext(iterator);
#endif
}

/* For asserts: whether this thread holds the interpreter lock. PyPy has no such call. */
static inline int sf_holds_interpreter_lock(void)
{
#ifdef PYPY_VERSION
    return 1;
#else
    return PyGILState_Check();
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

/* Of an int, of exactly this type. False: it does not fit into 64 bits. */
static inline bool sf_integer_value(PyObject *object, int64_t *value)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact((PyLongObject *)object)) {
        *value = PyUnstable_Long_CompactValue((PyLongObject *)object);
        return true;
    }
#elif PY_VERSION_HEX >= 0x030B0000
    if (Py_SIZE(object) >= -1 && Py_SIZE(object) <= 1) { /* 0 has one digit too, which is 0 */
        *value = Py_SIZE(object) * (int64_t)((PyLongObject *)object)->ob_digit[0];
        return true;
    }
#endif
    int overflow;
    *value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return !overflow;
}

#endif
