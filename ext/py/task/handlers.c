/* Handlers of signals. See handlers.h. */
#include "py/task/handlers.h"

#include "py/base/compat.h"

#include <signal.h>
#include <stdbool.h>

#include "core/os/signal_delay.h"

#ifdef PYPY_VERSION
/* A call takes longer there than to ask the kernel. */
int sf_handlers_init(void)
{
    return 0;
}

uint64_t sf_handlers_bits(void)
{
    return SF_SIGNAL_DELAY_ALL;
}
#else
static PyObject *get_handler;

int sf_handlers_init(void)
{
    PyObject *module = PyImport_ImportModule("_signal");
    get_handler = module ? PyObject_GetAttrString(module, "getsignal") : NULL;
    Py_XDECREF(module);
    return get_handler ? 0 : -1;
}

/* None: not set by Python. A small int: signal.SIG_DFL or SIG_IGN. */
static bool is_function(PyObject *handler)
{
    return handler != Py_None && !PyLong_Check(handler);
}

uint64_t sf_handlers_bits(void)
{
    uint64_t bits = 0;
    for (int number = 1; number < NSIG; number++) {
        PyObject *key = PyLong_FromLong(number), *handler = key ? PyObject_CallOneArg(get_handler, key) : NULL;
        if (!handler || is_function(handler))
            bits |= sf_signal_delay_bit(number);
        if (!handler)
            PyErr_Clear();
        Py_XDECREF(handler);
        Py_XDECREF(key);
    }
    return bits;
}
#endif
