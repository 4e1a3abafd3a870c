/* See thread_names.h. The log asks for a name when a thread writes its first event, which may be anywhere: an exception
 * may be set, and no Python code may run. So the name is read from where threading keeps it: threading._active, which
 * is a dict from ident to Thread, and _name of that. A thread that Python did not start has no name.
 *
 * threading is not imported for that: then each fork would cost more, by its hooks. So the setter is put in place when
 * a thread is introduced and threading is there. Only a main thread that gets another name before that is not heard;
 * its name is looked at when the session or the process ends. */
#include "py/trace/thread_names.h"

#include "py/base/types.h"

#include <pthread.h>

#include "core/log/log.h"
#include "py/trace/texts.h"

/* threading.Thread.name: the program's property, and ours that has taken its place; NULL: none has. */
static PyObject *original, *watching;

/* An attribute that the object itself holds, or its type. NULL: it has none. A new reference. */
static PyObject *attribute(PyObject *object, const char *name)
{
    PyObject *key = object ? PyUnicode_InternFromString(name) : NULL;
    PyObject *value = key ? PyObject_GenericGetAttr(object, key) : NULL;
    Py_XDECREF(key);
    return value;
}

/* Borrowed; NULL: the program has not imported it. */
static PyObject *threading(void)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");
    return module && PyModule_Check(module) ? module : NULL;
}

/* The Thread of that ident, which lives; NULL: threading knows none, perhaps with an exception. A new reference. */
static PyObject *thread_of(PyObject *ident)
{
    PyObject *threads = attribute(threading(), "_active"), *thread = NULL;
    if (threads && PyDict_Check(threads) && ident)
        thread = Py_XNewRef(PyDict_GetItemWithError(threads, ident));
    Py_XDECREF(threads);
    return thread;
}

/* The number of its name in the log; 0: it has none that can be written. usual: a name that is not told. */
static uint32_t name_number(PyObject *thread, const char *usual)
{
    uint32_t number = 0;
    PyObject *name = attribute(thread, "_name");
    bool is_told = name && PyUnicode_CheckExact(name) && sf_texts_check(name) &&
                   !(usual && PyUnicode_CompareWithASCIIString(name, usual) == 0);
    if (is_told && sf_texts_look_up(name, &number))
        number = 0;
    Py_XDECREF(name);
    return number;
}

/* ---- the setter ---- */

/* set_name(thread, name): the original setter, and then the trace is told. */
static PyObject *set_name(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *self, *name;
    if (!PyArg_ParseTuple(args, "OO:name", &self, &name))
        return NULL;
    PyObject *original_set = attribute(original, "fset");
    PyObject *set = original_set ? PyObject_CallFunctionObjArgs(original_set, self, name, NULL) : NULL;
    Py_XDECREF(original_set);
    if (!set || !sf_log_enabled())
        return set;
    PyObject *ident = attribute(self, "_ident"), *thread = ident ? thread_of(ident) : NULL;
    if (thread == self) { /* else it has not begun, or has ended */
        uint32_t number = name_number(thread, NULL);
        unsigned long long wanted = PyLong_AsUnsignedLongLong(ident);
        if (number)
            sf_log_rename_thread(wanted, number);
    }
    Py_XDECREF(thread);
    Py_XDECREF(ident);
    PyErr_Clear();
    return set;
}

static PyMethodDef setter_definition = {"name", set_name, METH_VARARGS, NULL};

/* A property like `original`, with our setter. */
static PyObject *make_property(void)
{
    PyObject *get = attribute(original, "fget"), *set = attribute(original, "fset"), *made = NULL;
    PyObject *delete = attribute(original, "fdel"), *doc = attribute(original, "__doc__");
    PyObject *ours = set && set != Py_None ? PyCFunction_New(&setter_definition, NULL) : NULL;
    if (get && ours && delete &&doc)
        made = PyObject_CallFunctionObjArgs((PyObject *)Py_TYPE(original), get, ours, delete, doc, NULL);
    Py_XDECREF(get);
    Py_XDECREF(set);
    Py_XDECREF(delete);
    Py_XDECREF(doc);
    Py_XDECREF(ours);
    return made;
}

/* Puts our property in the place of the program's, or that back. Another one that is there stays. */
static void set_watching(bool watch)
{
    PyObject *type = attribute(threading(), "Thread");
    PyObject *found = type && PyType_Check(type) ? PyObject_GetAttrString(type, "name") : NULL;
    if (found && watch && !watching) {
        Py_XSETREF(original, Py_NewRef(found));
        watching = make_property();
    }
    PyObject *before = watch ? original : watching, *after = watch ? watching : original;
    if (found && watching && found == before)
        PyObject_SetAttrString(type, "name", after);
    Py_XDECREF(found);
    Py_XDECREF(type);
    PyErr_Clear();
}

/* ---- what the log asks for ---- */

static uint32_t name_of(uint32_t lane, uint64_t thread)
{
    if (sf_is_finalizing() || !threading())
        return 0;
    PyObject *raised = sf_take_raised(), *ident = PyLong_FromUnsignedLongLong(thread), *found = thread_of(ident);
    set_watching(true);
    uint32_t number = found ? name_number(found, lane == 0 ? SF_FIRST_THREAD_NAME : NULL) : 0;
    Py_XDECREF(found);
    Py_XDECREF(ident);
    PyErr_Clear();
    if (raised)
        sf_put_raised(raised);
    return number;
}

void sf_thread_names_init(void)
{
    sf_log_name_threads_by(name_of);
}

void sf_thread_names_tell(PyObject *thread)
{
    PyObject *type = attribute(threading(), "Thread");
    uint32_t number =
        type && PyType_Check(type) && PyObject_TypeCheck(thread, (PyTypeObject *)type) ? name_number(thread, NULL) : 0;
    set_watching(true);
    if (number)
        sf_log_rename_thread((uint64_t)pthread_self(), number);
    Py_XDECREF(type);
    PyErr_Clear();
}

static PyObject *leave_threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    struct sf_lane main_thread;
    if (sf_log_enabled() && sf_lanes_holder(0, &main_thread)) {
        uint32_t number = name_of(0, main_thread.thread);
        if (number)
            sf_log_rename_thread(main_thread.thread, number);
    }
    set_watching(false);
    Py_RETURN_NONE;
}

PyMethodDef sf_thread_names_functions[] = {
    {"_trace_leave_threads", leave_threads, METH_NOARGS,
     "The session or the process ends: tells a name of the main thread that was not heard, and takes the setter away."},
    {NULL, NULL, 0, NULL},
};
