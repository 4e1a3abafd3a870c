/* _snakefish._Items: the results of Executor.map, one by one, for snakefish/_executor_map.py. It takes lists from
 * another iterator, and refers to no item that it has handed out, so that each can be freed while the others are there.
 * In Python this would take longer than to compute small results. */
#include "py/base/types.h"

struct items {
    PyObject_HEAD PyObject *source; /* an iterator over lists, with close(); owned; NULL once it is closed */
    PyObject *list;                 /* the one that is being handed out; owned; NULL: none */
    Py_ssize_t at;                  /* of the next item in it */
};

static PyObject *items_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"source", NULL};
    PyObject *source;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:_Items", keywords, &source))
        return NULL;
    PyObject *self = type->tp_alloc(type, 0);
    if (self)
        ((struct items *)self)->source = Py_NewRef(source);
    return self;
}

/* Takes the next list. 0, or -1: at the end, or with an exception. */
static int take_list(struct items *items)
{
    Py_CLEAR(items->list);
    PyObject *source = Py_XNewRef(items->source); /* what it calls may close this */
    PyObject *list = source ? PyIter_Next(source) : NULL;
    Py_XDECREF(source);
    if (!list)
        return -1;
    if (!PyList_CheckExact(list)) {
        PyErr_Format(PyExc_TypeError, "a list of results is needed, not %.200s", Py_TYPE(list)->tp_name);
        Py_DECREF(list);
        return -1;
    }
    items->at = 0;
    Py_XSETREF(items->list, list);
    return 0;
}

static PyObject *items_next(PyObject *self)
{
    struct items *items = (struct items *)self;
    while (!items->list || items->at >= PyList_GET_SIZE(items->list))
        if (take_list(items))
            return NULL;
    PyObject *item = Py_NewRef(PyList_GET_ITEM(items->list, items->at));
    if (PyList_SetItem(items->list, items->at++, Py_NewRef(Py_None))) {
        Py_DECREF(item);
        return NULL;
    }
    return item;
}

static PyObject *items_close(PyObject *self, PyObject *Py_UNUSED(unused))
{
    struct items *items = (struct items *)self;
    PyObject *source = items->source;
    items->source = NULL;
    Py_CLEAR(items->list);
    if (!source)
        Py_RETURN_NONE;
    PyObject *closed = PyObject_CallMethod(source, "close", NULL);
    Py_DECREF(source);
    return closed;
}

static int items_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct items *items = (struct items *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(items->source);
    Py_VISIT(items->list);
    return 0;
}

static int items_clear(PyObject *self)
{
    Py_CLEAR(((struct items *)self)->source);
    Py_CLEAR(((struct items *)self)->list);
    return 0;
}

static void items_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    items_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef items_methods[] = {
    {"close", items_close, METH_NOARGS, "close($self)\n--\n\nCancels what is left."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot items_slots[] = {
    {Py_tp_doc, (void *)"The iterator that Executor.map returns."},
    {Py_tp_new, items_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, items_next},
    {Py_tp_dealloc, items_dealloc},
    {Py_tp_traverse, items_traverse},
    {Py_tp_clear, items_clear},
    {Py_tp_methods, items_methods},
    {0, NULL},
};

PyType_Spec sf_items_spec = {
    .name = "snakefish._Items",
    .basicsize = sizeof(struct items),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = items_slots,
};
