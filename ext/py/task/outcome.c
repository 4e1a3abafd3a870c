/* Outcomes: packing in the child, opening in the parent. See outcome.h. Formatting tracebacks and the rules of sys.exit
 * are Python: snakefish/_child.py. So is how exceptions are pickled, and made again: snakefish/_exceptions.py. */
#include "py/task/outcome.h"

#include <assert.h>
#include <string.h>

#include "core/log/log.h"
#include "py/base/errors.h"
#include "py/base/interruption.h"
#include "py/message/pickle.h"

struct packed_bytes {
    enum sf_tag tag;
    PyObject *bytes; /* owned; NULL only with SF_TAG_NONE */
    int exit_status; /* of SF_TAG_EXITED */
};

static PyObject *pickle_exception;

int sf_outcome_import(void)
{
    if (pickle_exception)
        return 0;
    PyObject *module = PyImport_ImportModule("snakefish._exceptions");
    if (module)
        pickle_exception = PyObject_GetAttrString(module, "pickle_exception");
    Py_XDECREF(module);
    return pickle_exception ? 0 : -1;
}

/* ---- packing ---- */

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
static void set_pickle(enum sf_tag tag, PyObject *object, struct packed_bytes *out)
{
    out->bytes = object ? sf_pickle_dumps(object) : NULL;
    out->tag = out->bytes ? tag : SF_TAG_NONE;
    Py_XDECREF(object);
}

/* sentence is stolen; text: the remote traceback of the reason; NULL: there is none. Clears the current exception. */
static void pack_broken(PyObject *sentence, PyObject *text, struct packed_bytes *out)
{
    PyErr_Clear();
    set_pickle(SF_TAG_BROKEN, sentence ? Py_BuildValue("(NO)", sentence, text ? text : Py_None) : NULL, out);
    PyErr_Clear();
}

static void pack_unpicklable_value(PyObject *value, const char *what, struct packed_bytes *out)
{
    PyObject *reason = sf_take_raised();
    PyObject *text = call_child_py("format_exception", reason);
    PyObject *sentence =
        PyUnicode_FromFormat("%s (%.200s) cannot be pickled: %S", what, Py_TYPE(value)->tp_name, reason);
    pack_broken(sentence, text, out);
    Py_XDECREF(text);
    Py_XDECREF(reason);
}

/* The pickle of an exception (bytes), with a line for each of its attributes that is not in it added to *text, a str.
 * NULL with what pickle raised. */
static PyObject *pickle_with_class(PyObject *exception, PyObject **text)
{
    uint64_t from = sf_log_stretch_begin();
    PyObject *both = PyObject_CallOneArg(pickle_exception, exception), *pickled = NULL, *lines;
    if (both && PyArg_ParseTuple(both, "SU", &pickled, &lines)) {
        Py_INCREF(pickled);
        Py_SETREF(*text, PyUnicode_Concat(*text, lines));
        sf_log_stretch(SF_EVENT_PICKLED, from, (uint64_t)PyBytes_GET_SIZE(pickled));
    }
    Py_XDECREF(both);
    return pickled;
}

static void pack_exception(PyObject *exception, const char *what, struct packed_bytes *out)
{
    /* a StopIteration that ends a generator has no traceback, and needs no text */
    PyObject *traceback = PyException_GetTraceback(exception);
    int is_end = !traceback && PyErr_GivenExceptionMatches(exception, PyExc_StopIteration);
    Py_XDECREF(traceback);
    PyObject *text = is_end ? PyUnicode_FromString("") : call_child_py("format_exception", exception);
    PyErr_Clear();
    PyObject *summary = call_child_py("summarise", exception), *pickled = NULL;
    if (text && summary)
        pickled = is_end ? sf_pickle_dumps(exception) : pickle_with_class(exception, &text);
    if (pickled) {
        set_pickle(SF_TAG_RAISED, text ? PyTuple_Pack(3, text, summary, pickled) : NULL, out);
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

static void pack_exit(PyObject *exception, struct packed_bytes *out)
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

/* The call raised the exception that is set. */
static void pack_raised(const char *what, struct packed_bytes *out)
{
    PyObject *exception = sf_take_raised();
    if (!exception)
        pack_broken(PyUnicode_FromString("the call failed without an exception"), NULL, out);
    else if (PyErr_GivenExceptionMatches(exception, PyExc_SystemExit))
        pack_exit(exception, out);
    else
        pack_exception(exception, what, out);
    Py_XDECREF(exception);
}

/* Makes a message of the bytes, which are stolen. */
static enum sf_tag pack_bytes(const struct packed_bytes *packed, struct sf_message *message)
{
    PyObject *bytes = packed->bytes ? packed->bytes : PyBytes_FromStringAndSize(NULL, 0); /* the empty one exists */
    if (sf_message_pack(message, bytes)) /* bytes need no memory: only taking the view could fail */
        PyErr_Clear();
    Py_XDECREF(bytes);
    return packed->tag;
}

enum sf_tag sf_outcome_pack_broken(const char *sentence, struct sf_message *message)
{
    struct packed_bytes packed = {.tag = SF_TAG_NONE};
    pack_broken(PyUnicode_FromString(sentence), NULL, &packed);
    return pack_bytes(&packed, message);
}

enum sf_tag sf_outcome_pack_message(PyObject *value, const char *what, struct sf_message *message, int *exit_status)
{
    struct packed_bytes packed = {.tag = SF_TAG_NONE};
    uint64_t from = sf_log_stretch_begin();
    if (value && sf_message_pack(message, value) == 0) {
        sf_log_stretch(SF_EVENT_PICKLED, from, message->bytes); /* logged also for a value that needs no pickle */
        return SF_TAG_RETURNED;
    }
    if (value) {
        sf_message_fini(message);
        pack_unpicklable_value(value, what, &packed);
    } else {
        pack_raised(what, &packed);
    }
    *exit_status = packed.exit_status;
    return pack_bytes(&packed, message);
}

/* ---- opening ---- */

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

/* Unpickling raised the current exception. Returns NULL. */
static PyObject *raise_unopened(const struct sf_outcome_origin *origin, bool *interrupted)
{
    *interrupted = sf_interruption_is_raised();
    if (*interrupted)
        return NULL;
    PyObject *reason = sf_take_raised();
    return raise_died(origin, PyUnicode_FromFormat("%s cannot be unpickled: %S", origin->what, reason), reason);
}

/* Raises the pickled exception with its cause, which is stolen and may be NULL. Returns NULL. */
static PyObject *raise_pickled(PyObject *pickled, PyObject *summary, PyObject *cause,
                               const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *exception = sf_pickle_loads_bytes(pickled), *reason;
    if (exception && PyExceptionInstance_Check(exception)) {
        if (cause)
            PyException_SetCause(exception, cause);
        sf_put_raised(exception);
        return NULL;
    }
    if (!exception && sf_interruption_is_raised()) {
        *interrupted = true;
        Py_XDECREF(cause);
        return NULL;
    }
    reason =
        exception ? PyUnicode_FromFormat("it came back as a %.200s", Py_TYPE(exception)->tp_name) : sf_take_raised();
    Py_XDECREF(exception);
    PyObject *sentence =
        reason ? PyUnicode_FromFormat("it raised %U, which cannot be unpickled here: %S", summary, reason) : NULL;
    Py_XDECREF(reason);
    return raise_died(origin, sentence, cause);
}

static PyObject *raise_what_it_raised(PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *parts = sf_pickle_loads_bytes(bytes), *text, *summary, *pickled;
    if (!parts || !PyArg_ParseTuple(parts, "UUS", &text, &summary, &pickled)) {
        Py_XDECREF(parts);
        return raise_unopened(origin, interrupted);
    }
    PyObject *cause = PyUnicode_GET_LENGTH(text) ? sf_error_remote_traceback(text) : NULL;
    PyErr_Clear();
    raise_pickled(pickled, summary, cause, origin, interrupted);
    Py_DECREF(parts);
    return NULL;
}

static PyObject *raise_broken(PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *parts = sf_pickle_loads_bytes(bytes), *sentence, *text;
    if (!parts || !PyArg_ParseTuple(parts, "UO", &sentence, &text)) {
        Py_XDECREF(parts);
        return raise_unopened(origin, interrupted);
    }
    PyObject *cause = PyUnicode_Check(text) ? sf_error_remote_traceback(text) : NULL;
    PyErr_Clear();
    raise_died(origin, Py_NewRef(sentence), cause);
    Py_DECREF(parts);
    return NULL;
}

static PyObject *raise_exited(PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted)
{
    PyObject *text = sf_pickle_loads_bytes(bytes);
    if (!text)
        return raise_unopened(origin, interrupted);
    PyObject *cause = sf_error_remote_traceback(text);
    PyErr_Clear();
    Py_DECREF(text);
    return raise_died(origin, PyUnicode_FromFormat("called sys.exit(), exit status %d", (int)origin->exit_status),
                      cause);
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

PyObject *sf_outcome_open(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin, bool *interrupted)
{
    *interrupted = false;
    if (!opened && (tag != SF_TAG_NONE || PyErr_Occurred()))
        return raise_unopened(origin, interrupted);
    if (tag == SF_TAG_NONE)
        return raise_died(origin, sf_error_fate(origin->exit_status), NULL);
    if (tag == SF_TAG_RETURNED)
        return Py_NewRef(opened);
    if (!PyBytes_CheckExact(opened))
        return raise_died(origin, PyUnicode_FromFormat("%s is damaged", origin->what), NULL);
    if (tag == SF_TAG_RAISED)
        return raise_what_it_raised(opened, origin, interrupted);
    return tag == SF_TAG_EXITED ? raise_exited(opened, origin, interrupted) : raise_broken(opened, origin, interrupted);
}

PyObject *sf_outcome_open_message(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin)
{
    bool ignored; /* it cannot be opened again */
    PyObject *value = sf_outcome_open(tag, opened, origin, &ignored);
    Py_XDECREF(opened);
    return value;
}
