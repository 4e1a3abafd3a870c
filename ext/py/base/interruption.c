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
    bool is_interruption = found != Py_False;
    if (found)
        sf_put_raised(raised);
    else
        Py_XDECREF(raised); /* Ctrl-C came meanwhile */
    Py_XDECREF(found);
    Py_XDECREF(module);
    return is_interruption;
}
