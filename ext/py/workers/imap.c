/* snakefish.imap and imap_unordered: the iterator that they return, as a Python type. What it does is in imap_run.c. */
#include "py/base/types.h"

#include "core/os/cpus.h"
#include "py/base/arguments.h"
#include "py/workers/call_arguments.h"
#include "py/workers/imap_run.h"
#include "py/workers/share.h"
#include "py/workers/timeout.h"

struct iterator {
    PyObject_HEAD struct sf_imap imap;
    PyObject *weakrefs;
};

static struct sf_imap *imap_of(PyObject *self)
{
    return &((struct iterator *)self)->imap;
}

static PyObject *imap_next(PyObject *self)
{
    return sf_imap_next(imap_of(self));
}

static PyObject *imap_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    sf_imap_close(imap_of(self));
    Py_RETURN_NONE;
}

static PyObject *imap_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(self);
}

static int imap_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return sf_imap_traverse(imap_of(self), visit, arg);
}

#if SF_HAS_FINALIZE
static void imap_finalize(PyObject *self)
{
    sf_imap_close(imap_of(self)); /* it may be called as __del__() at any time */
}
#endif

static int imap_clear(PyObject *self)
{
    sf_imap_clear(imap_of(self));
    return 0;
}

static void imap_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    struct iterator *iterator = (struct iterator *)self;
    if (SF_HAS_FINALIZE && PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (iterator->weakrefs)
        PyObject_ClearWeakRefs(self);
    imap_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef imap_methods[] = {
    {"close", imap_close, METH_NOARGS,
     "close($self)\n--\n\nEnds and reaps the workers; results that were not taken are lost. Calling it again does "
     "nothing.\n"
     "While a next() runs, that one does it when it comes back."},
    {"__enter__", imap_enter, METH_NOARGS, NULL},
    {"__exit__", imap_close, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef imap_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct iterator, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot imap_slots[] = {
    {Py_tp_doc, (void *)"The iterator that imap and imap_unordered return."},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, imap_next},
    SF_FINALIZE_SLOT(imap_finalize){Py_tp_dealloc, imap_dealloc},
    {Py_tp_traverse, imap_traverse},
    {Py_tp_clear, imap_clear},
    {Py_tp_methods, imap_methods},
    {Py_tp_members, imap_members},
    {0, NULL},
};

static PyType_Spec imap_spec = {
    .name = "snakefish._Results",
    .basicsize = sizeof(struct iterator),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = imap_slots,
};

/* ---- the functions ---- */

/* limits: timeout_ns and blas_threads. An imap of the default concurrency where that is 0, or NULL with an exception.
 */
static PyObject *make_imap(PyObject *f, PyObject *iterable, int64_t concurrency, int64_t chunksize,
                           const struct sf_engine *limits, bool is_ordered)
{
    static PyTypeObject *type;
    if (!type && !(type = (PyTypeObject *)sf_type_from_spec(&imap_spec)))
        return NULL;
    struct sf_source *source = sf_source_new(iterable, (Py_ssize_t)chunksize);
    PyObject *self = source ? type->tp_alloc(type, 0) : NULL;
    if (!self) {
        sf_source_free(source);
        return NULL;
    }
    concurrency = concurrency ? concurrency : sf_cpus_share();
    concurrency = concurrency < SF_ENGINE_MOST_WORKERS ? concurrency : SF_ENGINE_MOST_WORKERS;
    imap_of(self)->engine.timeout_ns = limits->timeout_ns;
    imap_of(self)->engine.blas_threads = limits->blas_threads;
    sf_imap_init(imap_of(self), f, source, (Py_ssize_t)concurrency, (Py_ssize_t)chunksize, is_ordered);
    return self;
}

/* Whether the call has one of the keywords of share=, which Python reads too. */
static bool has_share(PyObject *kwargs)
{
    static const char *const names[] = {"share", "on_conflict", "merge", "globals"};
    for (size_t i = 0; kwargs && i < sizeof names / sizeof names[0]; i++)
        if (PyDict_GetItemString(kwargs, names[i]))
            return true;
    return false;
}

static PyObject *new_imap(const char *function, PyObject *args, PyObject *kwargs, bool is_ordered)
{
    static char *keywords[] = {"f", "args", "concurrency", "chunksize", "timeout", "blas_threads", NULL};
    PyObject *f, *iterable, *concurrency_object = NULL, *chunksize_object = NULL, *timeout = NULL, *blas_threads = NULL;
    int64_t concurrency = 0, chunksize = 1;
    struct sf_engine limits = {.f = NULL};
    if (sf_call_has_executor(kwargs) || has_share(kwargs))
        return sf_call_on_executor(function, args, kwargs);
    if (!sf_argument_knows_keywords(function, "imap(f, args)", keywords, kwargs) ||
        !sf_call_has_one_iterable(function, "imap(lambda ab: f(*ab), zip(a_values, b_values))", args) ||
        !PyArg_ParseTupleAndKeywords(args, kwargs, is_ordered ? "OO|OO$OO:imap" : "OO|OO$OO:imap_unordered", keywords,
                                     &f, &iterable, &concurrency_object, &chunksize_object, &timeout, &blas_threads) ||
        !sf_call_is_callable(f, iterable) ||
        sf_call_integer(concurrency_object, "concurrency", 0, "0: one for each CPU", &concurrency) ||
        sf_call_integer(chunksize_object, "chunksize", 1, NULL, &chunksize) ||
        sf_timeout_read(timeout, &limits.timeout_ns) || sf_share_read(blas_threads, &limits))
        return NULL;
    return make_imap(f, iterable, concurrency, chunksize, &limits, is_ordered);
}

/* _imap_at_once(f, args, concurrency, blas_threads, blocks): an imap with chunks of one, in order, whose workers are
 * all forked by the first next(). blocks: whether args may, which their type does not say. For
 * snakefish/_shared_imap.py. */
static PyObject *imap_at_once(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *f, *iterable, *blas_threads, *self;
    Py_ssize_t concurrency, most;
    int blocks;
    struct sf_engine limits = {.f = NULL};
    if (!PyArg_ParseTuple(args, "OOnnOp", &f, &iterable, &concurrency, &most, &blas_threads, &blocks) ||
        sf_share_read(blas_threads, &limits) || !(self = make_imap(f, iterable, concurrency, 1, &limits, true)))
        return NULL;
    imap_of(self)->at_once = true;
    if (imap_of(self)->workers > most)
        imap_of(self)->workers = most;
    if (!blocks)
        sf_source_ask_in_place(imap_of(self)->source);
    return self;
}

static PyObject *imap_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return new_imap("imap", args, kwargs, true);
}

static PyObject *imap_unordered_function(PyObject *module, PyObject *args, PyObject *kwargs)
{
    (void)module;
    return new_imap("imap_unordered", args, kwargs, false);
}

PyMethodDef sf_imap_functions[] = {
    {"_imap_at_once", imap_at_once, METH_VARARGS, NULL},
    {"imap", (PyCFunction)(void (*)(void))imap_function, METH_VARARGS | METH_KEYWORDS,
     "imap(f, args, concurrency=0, chunksize=1, *, executor=None, local=None, timeout=None, blas_threads=None, "
     "share=None, on_conflict=None, merge=None, globals=None)\n--\n\n"
     "f(x) for x in args, in forked processes: an iterator over the results, in the order of args.\n\n"
     "args: any iterable, also an endless one, or one that waits for what is done with the results. It is asked as\n"
     "results are taken: at most 3 chunks for each worker ahead of the chunk whose results are being handed out. One\n"
     "that may block (all but lists, tuples, ranges, dicts, sets and strings) is asked in a Python thread of its own,\n"
     "so that results are handed out meanwhile. Arguments and results are pickled; f is not, it may be a lambda or a\n"
     "closure. concurrency: how many workers, 0 or None: cpu_count(), in a worker its share of the CPUs; they are\n"
     "forked as the first chunks are handed out, from the first next() on, and see everything as it is then.\n"
     "chunksize: arguments that travel together.\n\n"
     "timeout: seconds that f may take for one argument; next() looks while it waits. A worker that takes longer is\n"
     "killed, and TimeoutError, which names the argument, comes in its place. blas_threads: as of map().\n\n"
     "next() blocks until the next result is here. It raises what f raised, in the place of that result, with the\n"
     "worker's traceback as __cause__; what args raises, or that an argument cannot be pickled, after the results "
     "before\n"
     "it; what unpickling a result raises; ChildDied when a worker was killed or a result cannot be pickled. All of "
     "them\n"
     "name the argument by its number, from 0 (the other results of its chunk are lost with its worker). After any\n"
     "exception, and at the end, the workers are ended and reaped, and it is exhausted; so it is by close(), at the "
     "end\n"
     "of a with block, and when nobody refers to it any more. Only after an exception that comes from elsewhere "
     "(Ctrl-C,\n"
     "what a signal handler raises, no memory) the results that had come can still be taken.\n\n"
     "executor: the chunks are tasks of this concurrent.futures.Executor, as for map(); they begin in the order of "
     "args. What\n"
     "has begun goes on after close(). local=n: each of its workers shares a chunk among n processes that it forks.\n\n"
     "share: names of globals, or {name: rule}, as of Thread, with on_conflict and merge, and globals for whose they "
     "are.\n"
     "All chunks start from the state at the first next(), when all workers are forked (with executor: from that of "
     "the\n"
     "call, which travels); a worker runs each in a fork of its own. What a chunk has changed is merged right before "
     "its\n"
     "first result is handed out, in the order of args: so the merges are those of map, at any concurrency. If f "
     "raises,\n"
     "what was changed before is merged; of a chunk that takes too long or whose process dies, nothing. Conflict comes "
     "in\n"
     "the place of its chunk's results. What was not taken is not merged. imap_unordered has no share: the order of "
     "its\n"
     "merges would be another one each time."},
    {"imap_unordered", (PyCFunction)(void (*)(void))imap_unordered_function, METH_VARARGS | METH_KEYWORDS,
     "imap_unordered(f, args, concurrency=0, chunksize=1, *, executor=None, local=None, timeout=None, "
     "blas_threads=None)\n--\n\n"
     "f(x) for x in args, in forked processes: an iterator over the results, in the order in which they come.\n\n"
     "Otherwise like imap(); an exception comes after the results that are here, and others are lost."},
    {NULL, NULL, 0, NULL},
};
