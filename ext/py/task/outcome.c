/* Outcomes: packing in the child, opening in the parent. See outcome.h. Formatting tracebacks and the rules of sys.exit
 * are Python: snakefish/_child.py. */
#include "py/task/outcome.h"

#include <assert.h>
#include <string.h>

#include "core/log/log.h"
#include "py/base/errors.h"
#include "py/message/pickle.h"

/* Calls snakefish._child.<name>(argument). */
static PyObject *call_child_py(const char *name, PyObject *argument)
{
    PyObject *module = PyImport_ImportModule("snakefish._child");
    if (!module)
        return NULL;
    PyObject *result = PyObject_CallMethod(module, name, "O", argument);
    Py_DECREF(module);
    return result;
}

/* Sets tag and bytes: the pickle of `object`, which is stolen and may be NULL. */
static void set_pickle(enum sf_tag tag, PyObject *object, struct sf_outcome_bytes *out)
{
    out->bytes = object ? sf_pickle_dumps(object) : NULL;
    out->tag = out->bytes ? tag : SF_TAG_NONE;
    Py_XDECREF(object);
}

/* The current exception is why something could not be pickled. sentence is stolen. */
static void pack_broken(PyObject *sentence, PyObject *text, struct sf_outcome_bytes *out)
{
    PyObject *both = sentence && text ? PyTuple_Pack(2, sentence, text) : NULL;
    Py_XDECREF(sentence);
    set_pickle(SF_TAG_BROKEN, both, out);
    PyErr_Clear();
}

void sf_outcome_pack_broken(const char *sentence, struct sf_outcome_bytes *out)
{
    PyObject *text = PyUnicode_FromString("");
    pack_broken(PyUnicode_FromString(sentence), text, out);
    Py_XDECREF(text);
}

static void pack_unpicklable_value(PyObject *value, const char *what, struct sf_outcome_bytes *out)
{
    PyObject *reason = sf_take_raised();
    PyObject *text = call_child_py("format_exception", reason);
    PyObject *sentence =
        PyUnicode_FromFormat("%s (%.200s) cannot be pickled: %S", what, Py_TYPE(value)->tp_name, reason);
    pack_broken(sentence, text, out);
    Py_XDECREF(text);
    Py_XDECREF(reason);
}

static void pack_exception(PyObject *exception, const char *what, struct sf_outcome_bytes *out)
{
    /* a StopIteration that ends a generator has no traceback, and needs no text */
    PyObject *traceback = PyException_GetTraceback(exception);
    int is_end = !traceback && PyErr_GivenExceptionMatches(exception, PyExc_StopIteration);
    Py_XDECREF(traceback);
    PyObject *text = is_end ? PyUnicode_FromString("") : call_child_py("format_exception", exception);
    PyErr_Clear();
    PyObject *summary = call_child_py("summarise", exception);
    PyObject *pickled = text && summary ? sf_pickle_dumps(exception) : NULL;
    if (pickled) {
        set_pickle(SF_TAG_RAISED, PyTuple_Pack(3, text, summary, pickled), out);
    } else {
        PyObject *reason = sf_take_raised();
        PyObject *sentence =
            summary && reason
                ? PyUnicode_FromFormat("%s was %U, an exception that cannot be pickled: %S", what, summary, reason)
                : NULL;
        pack_broken(sentence, text, out);
        Py_XDECREF(reason);
    }
    PyErr_Clear();
    Py_XDECREF(pickled);
    Py_XDECREF(summary);
    Py_XDECREF(text);
}

static void pack_exit(PyObject *exception, struct sf_outcome_bytes *out)
{
    PyObject *status = call_child_py("exit_status", exception); /* prints what sys.exit("words") prints */
    if (!status)                                                /* printing raised, as with a closed stderr */
        PyErr_Clear();
    PyObject *text = call_child_py("format_exception", exception);
    out->exit_status = status ? (int)(PyLong_AsLong(status) & 0xff) : 1;
    Py_XDECREF(status);
    set_pickle(SF_TAG_EXITED, text, out);
    PyErr_Clear();
}

void sf_outcome_pack(PyObject *value, const char *what, struct sf_outcome_bytes *out)
{
    *out = (struct sf_outcome_bytes){.tag = SF_TAG_NONE};
    if (value) {
        /* None, the most common result, needs no pickle: one costs a child dozens of page faults */
        out->bytes = value == Py_None ? PyBytes_FromStringAndSize(NULL, 0) : sf_pickle_dumps(value);
        out->tag = SF_TAG_RETURNED;
        if (!out->bytes)
            pack_unpicklable_value(value, what, out);
        return;
    }
    PyObject *exception = sf_take_raised();
    if (!exception) {
        sf_outcome_pack_broken("the call failed without an exception", out);
        return;
    }
    if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit))
        pack_exit(exception, out);
    else
        pack_exception(exception, what, out);
    Py_DECREF(exception);
}

enum sf_tag sf_outcome_pack_message(PyObject *value, const char *what, struct sf_message *message, int *exit_status)
{
    struct sf_outcome_bytes outcome = {.tag = SF_TAG_RETURNED};
    uint64_t from = sf_log_stretch_begin();
    if (value && sf_message_pack(message, value) == 0) {
        sf_log_stretch(SF_EVENT_PICKLED, from, message->bytes); /* logged also for a value that needs no pickle */
        return SF_TAG_RETURNED;
    }
    if (value) {
        sf_message_fini(message);
        pack_unpicklable_value(value, what, &outcome);
    } else {
        sf_outcome_pack(NULL, what, &outcome);
    }
    *exit_status = outcome.exit_status;
    PyObject *bytes =
        outcome.bytes ? outcome.bytes : PyBytes_FromStringAndSize(NULL, 0); /* the empty one always exists */
    if (sf_message_pack(message, bytes)) /* bytes need no memory: only taking the view could fail */
        PyErr_Clear();
    Py_XDECREF(bytes);
    return outcome.tag;
}

/* Raises ChildDied("<name> (pid n): <sentence>"); cause may be NULL. Steals both. Returns NULL. */
static PyObject *raise_died(const struct sf_outcome_origin *origin, PyObject *sentence, PyObject *cause)
{
    PyObject *message = sentence ? PyUnicode_FromFormat("%U (pid %d): %U", origin->name, origin->pid, sentence) : NULL;
    PyObject *died =
        message ? sf_error_child_died(message, origin->pid, origin->exit_status, origin->name, cause) : NULL;
    Py_XDECREF(sentence);
    Py_XDECREF(cause);
    Py_XDECREF(message);
    if (died)
        sf_put_raised(died);
    return NULL;
}

bool sf_outcome_was_interrupted(void)
{
    return PyErr_ExceptionMatches(PyExc_MemoryError) || !PyErr_ExceptionMatches(PyExc_Exception);
}

/* The reason is the current exception. Returns NULL. */
static PyObject *raise_unpicklable_here(const struct sf_outcome_origin *origin, bool *interrupted)
{
    *interrupted = sf_outcome_was_interrupted();
    if (*interrupted)
        return NULL;
    PyObject *reason = sf_take_raised();
    return raise_died(origin, PyUnicode_FromFormat("%s cannot be unpickled: %S", origin->what, reason), reason);
}

static PyObject *raise_what_it_raised(PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *parts = sf_pickle_loads_bytes(bytes), *text, *summary, *pickled;
    if (!parts || !PyArg_ParseTuple(parts, "UUS", &text, &summary, &pickled)) {
        Py_XDECREF(parts);
        return raise_unpicklable_here(origin, interrupted);
    }
    PyObject *cause = PyUnicode_GET_LENGTH(text) ? sf_error_remote_traceback(text) : NULL;
    PyObject *exception = sf_pickle_loads_bytes(pickled);
    if (exception && PyExceptionInstance_Check(exception)) {
        if (cause)
            PyException_SetCause(exception, cause);
        sf_put_raised(exception);
    } else if (!exception && sf_outcome_was_interrupted()) {
        *interrupted = true;
        Py_XDECREF(cause);
    } else {
        PyObject *reason = exception ? NULL : sf_take_raised();
        PyErr_Clear();
        PyObject *sentence = PyUnicode_FromFormat("it raised %U, which cannot be unpickled here: %S", summary,
                                                  reason ? reason : Py_None);
        Py_XDECREF(exception);
        Py_XDECREF(reason);
        raise_died(origin, sentence, cause);
    }
    Py_DECREF(parts);
    return NULL;
}

static PyObject *raise_broken(PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *parts = sf_pickle_loads_bytes(bytes), *sentence, *text;
    if (!parts || !PyArg_ParseTuple(parts, "UU", &sentence, &text)) {
        Py_XDECREF(parts);
        return raise_unpicklable_here(origin, interrupted);
    }
    PyObject *cause = PyUnicode_GET_LENGTH(text) ? sf_error_remote_traceback(text) : NULL;
    raise_died(origin, Py_NewRef(sentence), cause);
    Py_DECREF(parts);
    return NULL;
}

PyObject *sf_outcome_exception_name(PyObject *bytes)
{
    PyObject *parts = sf_pickle_loads_bytes(bytes), *text, *summary, *pickled;
    if (!parts || !PyArg_ParseTuple(parts, "UUS", &text, &summary, &pickled)) {
        Py_XDECREF(parts);
        return NULL;
    }
    /* "ValueError: words", "package.module.Refused: words", or a SyntaxError, which begins with a line of the source */
    const char *line = PyUnicode_AsUTF8(summary), *class = line ? line : "";
    size_t length = strcspn(class, ":\n");
    for (size_t i = 0; i < length; i++)
        if (class[i] == '.')
            line = class + i + 1;
    length -= line ? (size_t)(line - class) : 0;
    PyObject *name = !line                               ? NULL
                     : memchr(line, ' ', length) != NULL ? PyUnicode_FromString("an exception")
                                                         : PyUnicode_FromStringAndSize(line, (Py_ssize_t)length);
    Py_DECREF(parts);
    return name;
}

PyObject *sf_outcome_open(enum sf_tag tag, PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *value, *text;
    assert(bytes || tag == SF_TAG_NONE);
    *interrupted = false;
    switch (tag) {
    case SF_TAG_RETURNED:
        if (PyBytes_GET_SIZE(bytes) == 0)
            Py_RETURN_NONE;
        value = sf_pickle_loads_bytes(bytes);
        return value ? value : raise_unpicklable_here(origin, interrupted);
    case SF_TAG_RAISED:
        return raise_what_it_raised(bytes, origin, interrupted);
    case SF_TAG_BROKEN:
        return raise_broken(bytes, origin, interrupted);
    case SF_TAG_EXITED:
        text = sf_pickle_loads_bytes(bytes);
        PyObject *cause = text ? sf_error_remote_traceback(text) : NULL;
        PyErr_Clear();
        Py_XDECREF(text);
        return raise_died(origin, PyUnicode_FromFormat("called sys.exit(), exit status %d", (int)origin->exit_status),
                          cause);
    case SF_TAG_NONE:
        break;
    }
    return raise_died(origin, sf_error_fate(origin->exit_status), NULL);
}

PyObject *sf_outcome_open_message(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin)
{
    bool ignored; /* the message is gone: it cannot be opened again */
    bool *interrupted = &ignored;
    if (!opened)
        return raise_unpicklable_here(origin, interrupted);
    if (tag == SF_TAG_RETURNED)
        return opened;
    sf_outcome_open(tag, opened, origin, interrupted); /* raises */
    Py_DECREF(opened);
    return NULL;
}
