/* Interruptions. See interruption.h; the traceback is read in Python (snakefish/_interruption.py). */
#include "py/base/interruption.h"

bool sf_interruption_is_raised(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError) ||
        PyErr_ExceptionMatches(PyExc_RecursionError)) /* with which no Python code could be called here */
        return true;
    PyObject *raised = sf_take_raised();
    PyObject *module = PyImport_ImportModule("snakefish._interruption");
    PyObject *found = module ? PyObject_CallMethod(module, "is_from_signal_handler", "O", raised) : NULL;
    Py_XDECREF(module);
    if (!found) { /* an interruption came just now */
        Py_DECREF(raised);
        return true;
    }
    bool is_interruption = found == Py_True;
    Py_DECREF(found);
    sf_put_raised(raised);
    return is_interruption;
}
