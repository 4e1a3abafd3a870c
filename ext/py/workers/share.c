/* A worker's share of the machine. See share.h. */
#include "py/workers/share.h"

#include "core/os/cpus.h"
#include "py/workers/call_arguments.h"

/* Calls a function of snakefish._blas. 0, or -1 with an exception. */
static int call_blas(const char *function, const char *format, long number)
{
    PyObject *module = PyImport_ImportModule("snakefish._blas");
    PyObject *returned = module ? PyObject_CallMethod(module, function, format, number) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(returned);
    return returned ? 0 : -1;
}

int sf_share_read(PyObject *blas_threads, struct sf_engine *engine)
{
    int64_t threads = 0;
    engine->blas_threads = 0;
    if (!blas_threads || blas_threads == Py_None)
        return 0;
    if (sf_call_integer(blas_threads, "blas_threads", 0, "0: the worker's share of the CPUs", &threads))
        return -1;
    engine->blas_threads = !threads ? SF_BLAS_THREADS_SHARE : threads < INT32_MAX ? (int32_t)threads : INT32_MAX;
    return call_blas("check", NULL, 0); /* what it imports here, the workers need not import */
}

int sf_share_take(const struct sf_worker *worker)
{
    const struct sf_engine *engine = worker->engine;
    sf_cpus_share_among(engine->together ? engine->together : engine->most);
    if (!engine->blas_threads)
        return 0;
    bool is_share = engine->blas_threads == SF_BLAS_THREADS_SHARE;
    return call_blas("limit", "l", is_share ? (long)sf_cpus_share() : (long)engine->blas_threads);
}
