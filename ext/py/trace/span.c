/* trace.span(name): a context manager that writes the begin and the end of its block.
 *
 * Spans overlap: asyncio's tasks, generators and threads enter and leave them in any order. So each entry gets a
 * number, which its end writes again. A span keeps the number of its open entry. One object may be entered again while
 * it is open: by another with statement, or by a call of __enter__.
 *
 *     with statement    looks up __exit__ and then calls __enter__, and nothing comes between. The look-up on an open
 *                       span returns a new span, `block`, which the __enter__ that follows opens instead. The statement
 *                       keeps it and calls it at its end: so each statement ends its own entry, in any order.
 *     calls             (contextlib.ExitStack) have the object alone: entries that are still open are kept in `outer`,
 *                       and the last one ends first.
 *
 * On CPython __enter__ is no method either, because looking up a method makes a new object. Both are descriptors that
 * return the span itself. A call of the span without arguments is __enter__, a call with three arguments is __exit__.
 * So a with statement with a literal makes no object, and costs little more than its two events. */
#include "py/base/types.h"

#include <assert.h>
#include <stddef.h>

#include "py/base/arguments.h"
#include "py/trace/texts.h"

struct span {
    PyObject_HEAD PyObject *name; /* a text that can be written; NULL: __init__ was not called, or failed */
    vectorcallfunc call;          /* call_span */
    uint64_t number;              /* of the open entry; 0: none is open, or tracing was off when it began */
    uint32_t era;                 /* of the log that has its BEGIN */
    struct span *outer;           /* earlier entries of this object; owned */
    struct span *block;           /* returned by the look-up of __exit__, and not yet opened; borrowed */
    struct span *of;              /* in such a block, until it is opened: the span that it was made for; owned */
};

static struct span *new_span(PyTypeObject *type, PyObject *name);

static PyObject *no_name(void)
{
    PyErr_SetString(PyExc_RuntimeError, "__init__ was not called, or failed");
    return NULL;
}

/* The span whose entry begins, when `span` is entered: itself, or the block of a with statement. */
static struct span *entered(struct span *span)
{
    struct span *block = span->block;
    if (__builtin_expect(!block, 1))
        return span;
    assert(block->of == span && !block->number);
    span->block = NULL;
    Py_CLEAR(block->of);
    return block;
}

/* Keeps the open entry of the span, for another one. 0, or -1 with an exception. */
static int keep_entry(struct span *span)
{
    struct span *outer = new_span(Py_TYPE(span), span->name);
    if (!outer)
        return -1;
    outer->number = span->number;
    outer->era = span->era;
    outer->outer = span->outer;
    span->outer = outer;
    return 0;
}

/* Takes back what keep_entry has kept last. */
static void restore_entry(struct span *span)
{
    struct span *outer = span->outer;
    span->number = outer->number;
    span->era = outer->era;
    span->outer = outer->outer;
    outer->outer = NULL;
    Py_DECREF(outer);
}

static PyObject *begin_span(PyObject *self)
{
    if (!((struct span *)self)->name)
        return no_name();
    struct span *span = entered((struct span *)self);
    if (!sf_log_enabled())
        return Py_NewRef(self);
    if (__builtin_expect(span->number != 0, 0) && keep_entry(span))
        return NULL;
    span->number = sf_log_next_span();
    span->era = sf_log_texts_era();
    if (sf_texts_write(span->name, SF_EVENT_SPAN, SF_PHASE_BEGIN, span->number, 0))
        return NULL;
    return Py_NewRef(self);
}

static PyObject *end_span(PyObject *self)
{
    struct span *span = (struct span *)self;
    if (!span->name)
        return no_name();
    if (__builtin_expect(span->of != NULL, 0)) /* nobody has entered this block: __exit__ was called by hand */
        span = span->of;
    uint64_t number = span->number, is_of_this_log = number && span->era == sf_log_texts_era();
    span->number = 0;
    if (__builtin_expect(span->outer != NULL, 0))
        restore_entry(span);
    if (sf_texts_write(span->name, SF_EVENT_SPAN, SF_PHASE_END, number, !is_of_this_log))
        return NULL;
    Py_RETURN_FALSE;
}

/* The call of a span: without arguments it is __enter__, with three it is __exit__. */
static PyObject *enter_or_exit(PyObject *span, Py_ssize_t count, bool has_keywords)
{
    if (!has_keywords && count == 0)
        return begin_span(span);
    if (!has_keywords && count == 3)
        return end_span(span);
    if (has_keywords)
        PyErr_SetString(PyExc_TypeError, "a span takes no keyword arguments");
    else
        PyErr_Format(PyExc_TypeError, "__enter__ takes no arguments and __exit__ takes 3, not %zd", count);
    return NULL;
}

static int span_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"name", NULL};
    PyObject *name;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:span", keywords, &name) || !sf_texts_check(name))
        return -1;
    Py_XSETREF(((struct span *)self)->name, Py_NewRef(name));
    return 0;
}

/* Lets go of the other spans that it refers to. */
static void forget_others(struct span *span)
{
    struct span *outer = span->outer;
    if (span->of && span->of->block == span)
        span->of->block = NULL;
    span->outer = NULL;
    Py_CLEAR(span->of);
    while (outer) { /* one after the other: there may be more than a C stack can hold */
        struct span *next = outer->outer;
        outer->outer = NULL;
        Py_DECREF(outer);
        outer = next;
    }
}

static void span_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    forget_others((struct span *)self);
    Py_XDECREF(((struct span *)self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyTypeObject *span_type;

/* What __exit__ is: looked up in a span, the span itself, or the block of the with statement that is about to enter it;
 * looked up in the type, as contextlib.ExitStack does, the descriptor. */
static PyObject *exit_get(PyObject *self, PyObject *found, PyObject *type)
{
    struct span *span = (struct span *)found;
    (void)type;
    if (!span || Py_TYPE(found) != span_type || !span->number)
        return Py_NewRef(found ? found : self);
    struct span *block = new_span(span_type, span->name);
    if (block) {
        block->of = (struct span *)Py_NewRef(found);
        span->block = block;
    }
    return (PyObject *)block;
}

static PyObject *ends_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    PyObject *span = count ? PyTuple_GET_ITEM(args, 0) : NULL;
    if (span && Py_TYPE(span) == span_type)
        return enter_or_exit(span, count - 1, kwargs && PyDict_Size(kwargs) > 0);
    PyErr_SetString(PyExc_TypeError, "the first argument must be a span");
    return NULL;
}

static PyType_Slot exit_slots[] = {{Py_tp_descr_get, exit_get}, {Py_tp_call, ends_call}, {0, NULL}};

static PyType_Spec exit_spec = {
    .name = "snakefish.trace.span_exit",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = exit_slots,
};

/* Puts a descriptor of that kind into the type. 0, or -1 with an exception. */
static int add_end(PyObject *type, const char *name, PyType_Spec *spec)
{
    PyObject *kind = sf_type_from_spec(spec), *end = kind ? PyObject_CallObject(kind, NULL) : NULL;
    int failed = !end || PyObject_SetAttrString(type, name, end);
    Py_XDECREF(end);
    Py_XDECREF(kind);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(
    span_doc,
    "span(name)\n--\n\nA context manager that writes the begin and the end of its block, with "
    "that name (a str), into\n"
    "the trace; does nothing when tracing is off. Spans may overlap in any way, and end in another thread than they\n"
    "began in. One object may be entered again, also while it is open. Does not block.");

#ifdef PYPY_VERSION

static struct span *new_span(PyTypeObject *type, PyObject *name)
{
    return (struct span *)PyObject_CallFunctionObjArgs((PyObject *)type, name, NULL);
}

static PyObject *span_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return begin_span(self);
}

/* A look-up of __exit__ returns a span, and calls it. */
static PyObject *span_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return enter_or_exit(self, PyTuple_GET_SIZE(args), kwargs && PyDict_Size(kwargs) > 0);
}

static PyMethodDef span_methods[] = {
    {"__enter__", span_enter, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot span_slots[] = {
    {Py_tp_doc, (void *)span_doc},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, span_init},
    {Py_tp_dealloc, span_dealloc},
    {Py_tp_methods, span_methods},
    {Py_tp_call, span_call},
    {0, NULL},
};

static PyType_Spec span_spec = {
    .name = "snakefish.trace.span",
    .basicsize = sizeof(struct span),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = span_slots,
};

static int finish_type(PyTypeObject *type)
{
    (void)type;
    return 0;
}

#else

static PyObject *call_span(PyObject *self, PyObject *const *args, size_t count, PyObject *keywords)
{
    (void)args;
    return enter_or_exit(self, PyVectorcall_NARGS(count), keywords != NULL);
}

/* name: may be NULL, for span_init to set. */
static struct span *new_span(PyTypeObject *type, PyObject *name)
{
    struct span *span = (struct span *)type->tp_alloc(type, 0);
    if (!span)
        return NULL;
    span->call = call_span;
    span->name = Py_XNewRef(name);
    return span;
}

static PyObject *span_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    return (PyObject *)new_span(type, NULL);
}

/* span("name"), without a tuple for its arguments. A literal has the same address each time: the span that was made for
 * it is used again when nobody else has it. */
static PyObject *make_span(PyObject *type, PyObject *const *args, size_t count, PyObject *keywords)
{
    static struct span *recent[SF_TEXTS_RECENT]; /* owned */
    static const char *const names[] = {"name"};
    PyObject *given[1];
    if (!keywords && PyVectorcall_NARGS(count) == 1)
        given[0] = args[0];
    else if (sf_argument_fast("span", names, 1, 1, args, PyVectorcall_NARGS(count), keywords, given))
        return NULL;
    struct span **place = &recent[sf_texts_place(given[0])], *span = *place;
    bool is_kept = span && span->name == given[0];
    if (is_kept && Py_REFCNT(span) == 1 && !span->number)
        return Py_NewRef((PyObject *)span);
    if (!sf_texts_check(given[0]))
        return NULL;
    bool is_busy = is_kept && Py_REFCNT(span) > 1;
    span = new_span((PyTypeObject *)type, given[0]);
    if (span && !is_busy)
        Py_XSETREF(*place, (struct span *)Py_NewRef((PyObject *)span));
    return (PyObject *)span;
}

static PyMemberDef span_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct span, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot span_slots[] = {
    {Py_tp_doc, (void *)span_doc},
    {Py_tp_new, span_new},
    {Py_tp_init, span_init},
    {Py_tp_dealloc, span_dealloc},
    {Py_tp_members, span_members},
    {Py_tp_call, PyVectorcall_Call},
    {0, NULL},
};

static PyType_Spec span_spec = {
    .name = "snakefish.trace.span",
    .basicsize = sizeof(struct span),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .slots = span_slots,
};

/* What __enter__ is: the span itself. */
static PyObject *enter_get(PyObject *self, PyObject *span, PyObject *type)
{
    (void)type;
    return Py_NewRef(span ? span : self);
}

static PyType_Slot enter_slots[] = {{Py_tp_descr_get, enter_get}, {Py_tp_call, ends_call}, {0, NULL}};

static PyType_Spec enter_spec = {
    .name = "snakefish.trace.span_enter",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = enter_slots,
};

static int finish_type(PyTypeObject *type)
{
    type->tp_vectorcall = make_span;
    return add_end((PyObject *)type, "__enter__", &enter_spec);
}

#endif

PyObject *sf_span_type(void)
{
    PyObject *type = sf_type_from_spec(&span_spec);
    if (!type || add_end(type, "__exit__", &exit_spec) || finish_type((PyTypeObject *)type)) {
        Py_XDECREF(type);
        return NULL;
    }
    span_type = (PyTypeObject *)type;
    return type;
}
