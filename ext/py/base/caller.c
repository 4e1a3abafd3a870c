/* The code that is calling. See caller.h. */
#include "py/base/caller.h"

#include <stdbool.h>

/* Whether the frame runs a method of `self`: its first argument is self. 1, 0, or -1 with an exception. */
static int is_method_of(PyObject *frame, PyObject *self)
{
    PyObject *code = PyObject_GetAttrString(frame, "f_code");
    PyObject *count = code ? PyObject_GetAttrString(code, "co_argcount") : NULL;
    PyObject *names = count ? PyObject_GetAttrString(code, "co_varnames") : NULL;
    PyObject *locals = names ? PyObject_GetAttrString(frame, "f_locals") : NULL;
    int is_method = locals ? 0 : -1;
    if (locals && PyObject_IsTrue(count) > 0) {
        PyObject *first = PySequence_GetItem(names, 0), *value = first ? PyObject_GetItem(locals, first) : NULL;
        is_method = value == self;
        Py_XDECREF(value);
        Py_XDECREF(first);
        PyErr_Clear(); /* the method has deleted it */
    }
    Py_XDECREF(code);
    Py_XDECREF(count);
    Py_XDECREF(names);
    Py_XDECREF(locals);
    return is_method;
}

/* The globals of the frame that makes self, a subclass's object. */
static PyObject *globals_of_maker(PyObject *self)
{
    PyObject *get = PySys_GetObject("_getframe"), *frame = get ? PyObject_CallObject(get, NULL) : NULL;
    int is_method = 0;
    while (frame && frame != Py_None && (is_method = is_method_of(frame, self)) > 0)
        Py_SETREF(frame, PyObject_GetAttrString(frame, "f_back"));
    PyObject *globals = NULL;
    if (frame && frame != Py_None && is_method == 0)
        globals = PyObject_GetAttrString(frame, "f_globals");
    Py_XDECREF(frame);
    return globals;
}

PyObject *sf_caller_globals(PyObject *given, PyObject *self)
{
    if (given && given != Py_None) {
        if (PyDict_Check(given))
            return Py_NewRef(given);
        return PyErr_Format(PyExc_TypeError, "globals must be a dict, such as globals(), not %.200s",
                            Py_TYPE(given)->tp_name);
    }
    PyObject *globals = self && Py_TYPE(self)->tp_base != &PyBaseObject_Type ? globals_of_maker(self) : NULL;
    if (globals || PyErr_Occurred())
        return globals;
    globals = PyEval_GetGlobals(); /* borrowed */
    return globals ? Py_NewRef(globals) : PyDict_New();
}

static int add_note(PyObject *exception, PyObject *note)
{
    PyObject *notes = PyObject_GetAttrString(exception, "__notes__");
    if (!notes) {
        PyErr_Clear();
        notes = PyList_New(0);
    }
    int failed = !notes || PyList_Append(notes, note) || PyObject_SetAttrString(exception, "__notes__", notes) ? -1 : 0;
    Py_XDECREF(notes);
    return failed;
}

void sf_caller_note_key_error(const char *who, PyObject *globals)
{
    if (!PyErr_ExceptionMatches(PyExc_KeyError))
        return;
    PyObject *exception = sf_take_raised(), *module = PyDict_GetItemString(globals, "__name__"); /* borrowed */
    PyObject *note = PyUnicode_FromFormat("%s was given the globals of module %R, because code of that module made the "
                                          "call; the argument globals= says others",
                                          who, module ? module : Py_None);
    if (!note || add_note(exception, note))
        PyErr_Clear(); /* the KeyError itself matters more */
    Py_XDECREF(note);
    sf_put_raised(exception);
}
