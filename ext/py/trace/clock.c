/* get_timestamp and what goes with it. */
#include "py/base/types.h"

#include "core/os/cpus.h"
#include "core/os/tsc.h"

static PyObject *get_timestamp(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(sf_tsc_read());
}

static PyObject *get_timestamp_serialized(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(sf_tsc_read_fenced());
}

static PyObject *timestamp_frequency(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    uint64_t hz;
    Py_BEGIN_ALLOW_THREADS;
    hz = sf_tsc_frequency_hz();
    Py_END_ALLOW_THREADS;
    return PyLong_FromUnsignedLongLong(hz);
}

static PyObject *cpu_count(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
    return PyLong_FromLong(sf_cpus_count());
}

PyMethodDef sf_clock_functions[] = {
    {"get_timestamp", get_timestamp, METH_NOARGS,
     "get_timestamp()\n--\n\nThe CPU's timestamp counter, in ticks (see timestamp_frequency). Instructions around it "
     "may\n"
     "be executed before or after it. Does not block."},
    {"get_timestamp_serialized", get_timestamp_serialized, METH_NOARGS,
     "get_timestamp_serialized()\n--\n\nThe CPU's timestamp counter, in ticks, read after everything before it and "
     "before\n"
     "everything after it (lfence and a compiler fence on both sides). Does not block."},
    {"timestamp_frequency", timestamp_frequency, METH_NOARGS,
     "timestamp_frequency()\n--\n\nTicks of the timestamp counter a second, in Hz. The first call measures it against\n"
     "CLOCK_MONOTONIC and blocks for some 20 ms; later ones, and those in child processes, return what it found."},
    {"cpu_count", cpu_count, METH_NOARGS,
     "cpu_count()\n--\n\nHow many CPUs this process may use: its affinity mask, or fewer where a cgroup quota says "
     "so.\n"
     "At least 1. The default concurrency of map and starmap."},
    {NULL, NULL, 0, NULL},
};
