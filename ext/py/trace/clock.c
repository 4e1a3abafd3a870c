/* get_timestamp, timestamp_frequency and cpu_count: thin wrappers of core/os. */
#include "py/base/types.h"

#include "core/os/cpus.h"
#include "core/os/tsc.h"

static PyObject *get_timestamp(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLongLong(sf_tsc_read());
}

static PyObject *get_timestamp_serialized(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLongLong(sf_tsc_read_fenced());
}

static PyObject *timestamp_frequency(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    uint64_t hz;
    Py_BEGIN_ALLOW_THREADS;
    hz = sf_tsc_frequency_hz();
    Py_END_ALLOW_THREADS;
    return PyLong_FromUnsignedLongLong(hz);
}

static PyObject *cpu_count(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    return PyLong_FromLong(sf_cpus_count());
}

PyMethodDef sf_clock_functions[] = {
    {"get_timestamp", get_timestamp, METH_NOARGS,
     "get_timestamp()\n--\n\nThe CPU's timestamp counter, in ticks (see timestamp_frequency). The CPU may execute\n"
     "instructions around it before or after it. Does not block."},
    {"get_timestamp_serialized", get_timestamp_serialized, METH_NOARGS,
     "get_timestamp_serialized()\n--\n\nThe CPU's timestamp counter, in ticks, read after all instructions\n"
     "before it and before all after it (lfence and a compiler fence on both sides). Does not block."},
    {"timestamp_frequency", timestamp_frequency, METH_NOARGS,
     "timestamp_frequency()\n--\n\nTicks of the timestamp counter a second, in Hz. The first call measures it against\n"
     "CLOCK_MONOTONIC and blocks for some 20 ms; later calls, also in child processes, return the same value."},
    {"cpu_count", cpu_count, METH_NOARGS,
     "cpu_count()\n--\n\nHow many CPUs this process may use, at least 1: those of its affinity mask, or fewer\n"
     "where a cgroup quota allows fewer. The default concurrency of map and starmap. Does not block."},
    {NULL, NULL, 0, NULL},
};
