/* trace.span(name): a context manager that writes the begin and the end of its block.
 *
 * On CPython a with block creates no object, so it costs little more than its two events. span("name") returns the
 * span that was made earlier for the same literal. __enter__ and __exit__ are not methods, because looking up a method
 * makes a new object. Both are one descriptor that returns the span itself. A call of the span without arguments is
 * __enter__, a call with three arguments is __exit__. */
#include "py/base/types.h"

#include <stddef.h>

#include "py/base/arguments.h"
#include "py/trace/texts.h"

struct span {
    PyObject_HEAD PyObject *name; /* a text that can be written; NULL: __init__ was not called, or failed */
    vectorcallfunc call;          /* call_span */
};

static int write_phase(PyObject *self, enum sf_phase phase)
{
    PyObject *name = ((struct span *)self)->name;
    if (name)
        return sf_texts_write(name, SF_EVENT_SPAN, phase);
    PyErr_SetString(PyExc_RuntimeError, "__init__ was not called, or failed");
    return -1;
}

static PyObject *begin_span(PyObject *self)
{
    return write_phase(self, SF_PHASE_BEGIN) ? NULL : Py_NewRef(self);
}

static PyObject *end_span(PyObject *self)
{
    if (write_phase(self, SF_PHASE_END))
        return NULL;
    Py_RETURN_FALSE;
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

static void span_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((struct span *)self)->name);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(span_doc, "span(name)\n--\n\nA context manager that writes the begin and the end of its block, with "
                       "that name (a str), into\n"
                       "the trace; does nothing when tracing is off. May be used again, and nested. Does not block.");

#ifdef PYPY_VERSION

static PyObject *span_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return begin_span(self);
}

static PyObject *span_exit(PyObject *self, PyObject *args)
{
    (void)args;
    return end_span(self);
}

static PyMethodDef span_methods[] = {
    {"__enter__", span_enter, METH_NOARGS, NULL},
    {"__exit__", span_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot span_slots[] = {
    {Py_tp_doc, (void *)span_doc}, {Py_tp_new, PyType_GenericNew}, {Py_tp_init, span_init},
    {Py_tp_dealloc, span_dealloc}, {Py_tp_methods, span_methods},  {0, NULL},
};

static PyType_Spec span_spec = {
    .name = "snakefish.trace.span",
    .basicsize = sizeof(struct span),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = span_slots,
};

PyObject *sf_span_type(void)
{
    return sf_type_from_spec(&span_spec);
}

#else

static PyObject *call_span(PyObject *self, PyObject *const *args, size_t count, PyObject *keywords)
{
    (void)args;
    if (keywords) {
        PyErr_SetString(PyExc_TypeError, "a span takes no keyword arguments");
        return NULL;
    }
    return PyVectorcall_NARGS(count) ? end_span(self) : begin_span(self);
}

static PyObject *span_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args;
    (void)kwargs;
    struct span *span = (struct span *)type->tp_alloc(type, 0);
    if (span)
        span->call = call_span;
    return (PyObject *)span;
}

/* span("name"), without a tuple for its arguments. A span has no state but its name, so one object serves all uses. A
 * literal has the same address each time: its span is found by that. */
static PyObject *make_span(PyObject *type, PyObject *const *args, size_t count, PyObject *keywords)
{
    static struct span *recent[SF_TEXTS_RECENT]; /* owned */
    static const char *const names[] = {"name"};
    PyObject *given[1];
    if (!keywords && PyVectorcall_NARGS(count) == 1)
        given[0] = args[0];
    else if (sf_argument_fast("span", names, 1, 1, args, PyVectorcall_NARGS(count), keywords, given))
        return NULL;
    size_t place = sf_texts_place(given[0]);
    if (recent[place] && recent[place]->name == given[0])
        return Py_NewRef((PyObject *)recent[place]);
    if (!sf_texts_check(given[0]))
        return NULL;
    struct span *span = (struct span *)span_new((PyTypeObject *)type, NULL, NULL);
    if (!span)
        return NULL;
    span->name = Py_NewRef(given[0]);
    Py_XSETREF(recent[place], (struct span *)Py_NewRef((PyObject *)span));
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

static PyTypeObject *span_type;

/* What __enter__ and __exit__ are: looked up in a span, the span itself; looked up in the type, as contextlib.ExitStack
 * does, the descriptor. */
static PyObject *ends_get(PyObject *self, PyObject *span, PyObject *type)
{
    (void)type;
    return Py_NewRef(span ? span : self);
}

static PyObject *ends_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
    (void)self;
    (void)kwargs;
    Py_ssize_t count = PyTuple_GET_SIZE(args);
    PyObject *span = count ? PyTuple_GET_ITEM(args, 0) : NULL;
    if (span && Py_TYPE(span) == span_type)
        return count > 1 ? end_span(span) : begin_span(span);
    PyErr_SetString(PyExc_TypeError, "the first argument must be a span");
    return NULL;
}

static PyType_Slot ends_slots[] = {{Py_tp_descr_get, ends_get}, {Py_tp_call, ends_call}, {0, NULL}};

static PyType_Spec ends_spec = {
    .name = "snakefish.trace.span_ends",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = ends_slots,
};

PyObject *sf_span_type(void)
{
    PyObject *type = sf_type_from_spec(&span_spec), *ends_type = type ? sf_type_from_spec(&ends_spec) : NULL;
    PyObject *ends = ends_type ? PyObject_CallObject(ends_type, NULL) : NULL;
    if (!ends || PyObject_SetAttrString(type, "__enter__", ends) || PyObject_SetAttrString(type, "__exit__", ends)) {
        Py_CLEAR(type);
    } else {
        ((PyTypeObject *)type)->tp_vectorcall = make_span;
        span_type = (PyTypeObject *)type;
    }
    Py_XDECREF(ends);
    Py_XDECREF(ends_type);
    return type;
}

#endif
