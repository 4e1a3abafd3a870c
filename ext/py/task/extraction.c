/* What comes back from a child beside its result. See extraction.h. */
#include "py/task/extraction.h"

#include "core/log/log.h"
#include "core/os/pid.h"
#include "core/os/signal_delay.h"
#include "py/base/arguments.h"
#include "py/base/caller.h"
#include "py/task/handlers.h"

static PyObject *given(PyObject *argument)
{
    return argument && argument != Py_None ? argument : NULL;
}

/* A Sharing: a new reference, or NULL with an exception. */
static PyObject *new_sharing(PyObject *f, PyObject *self, const struct sf_extraction_call *call)
{
    PyObject *own = given(call->globals);
    PyObject *globals = sf_caller_globals(own, self);
    PyObject *module = globals ? PyImport_ImportModule("snakefish._sharing") : NULL;
    PyObject *sharing = NULL;
    if (module)
        sharing =
            PyObject_CallMethod(module, "Sharing", "OOOOOOi", f, call->share ? call->share : Py_None,
                                call->on_conflict ? call->on_conflict : Py_None, call->merge ? call->merge : Py_None,
                                call->share_check ? call->share_check : Py_False, globals, own != NULL);
    Py_XDECREF(module);
    Py_XDECREF(globals);
    return sharing;
}

static struct sf_extraction *allocate(void)
{
    struct sf_extraction *extraction = PyMem_Calloc(1, sizeof *extraction);
    if (!extraction)
        PyErr_NoMemory();
    return extraction;
}

/* 0, or -1 with an exception; then what is in *extraction is dropped by the caller. */
static int fill(struct sf_extraction *extraction, PyObject *f, PyObject *self, const struct sf_extraction_call *call,
                bool shares)
{
    if (shares)
        return (extraction->sharing = new_sharing(f, self, call)) ? 0 : -1;
    extraction->extract = Py_NewRef(call->extract);
    extraction->merge = Py_NewRef(call->merge);
    return (extraction->globals = sf_caller_globals(call->globals, self)) ? 0 : -1;
}

/* Which arguments go together. *shares: whether it is by share=. 0, or -1 with an exception. */
static int check(const struct sf_extraction_call *call, bool *shares)
{
    if ((call->extract && !sf_argument_is_callable(call->extract, "extract", true)) ||
        (call->merge && !sf_argument_is_callable(call->merge, "merge", true)))
        return -1;
    int checks = given(call->share_check) ? PyObject_IsTrue(call->share_check) : 0;
    if (checks < 0)
        return -1;
    *shares = given(call->share) || checks;
    const char *wrong = NULL;
    if (checks && !given(call->share) && given(call->extract))
        wrong = "share_check does not go with extract: nobody can tell what extract brings back";
    else if (*shares && given(call->extract))
        wrong = "share does not go with extract: share the globals, or bring them back by extract and merge";
    else if (!*shares && given(call->on_conflict))
        wrong = "on_conflict goes with share: it says what becomes of a shared global that both have changed";
    else if (!*shares && (given(call->extract) != NULL) != (given(call->merge) != NULL))
        wrong = "extract and merge go together: give both or neither";
    if (wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    return wrong ? -1 : 0;
}

int sf_extraction_new(struct sf_extraction **extraction, PyObject *f, PyObject *self,
                      const struct sf_extraction_call *call)
{
    bool shares;
    *extraction = NULL;
    if (check(call, &shares))
        return -1;
    if (!shares && !given(call->extract)) {
        PyObject *globals = given(call->globals) ? sf_caller_globals(call->globals, self) : Py_NewRef(Py_None);
        Py_XDECREF(globals); /* nobody gets it */
        return globals ? 0 : -1;
    }
    struct sf_extraction *made = allocate();
    if (!made)
        return -1;
    if (fill(made, f, self, call, shares)) {
        sf_extraction_free(made);
        return -1;
    }
    *extraction = made;
    return 0;
}

struct sf_extraction *sf_extraction_copy(const struct sf_extraction *extraction)
{
    struct sf_extraction *copy = allocate();
    if (!copy)
        return NULL;
    copy->extract = Py_XNewRef(extraction->extract);
    copy->merge = Py_XNewRef(extraction->merge);
    copy->globals = Py_XNewRef(extraction->globals);
    copy->sharing = Py_XNewRef(extraction->sharing);
    copy->by_run = true;
    return copy;
}

int sf_extraction_fork(struct sf_extraction *extraction)
{
    if (!extraction->sharing)
        return 0;
    PyObject *ancestor = PyObject_CallMethod(extraction->sharing, "fork", NULL);
    if (!ancestor)
        return -1;
    Py_XSETREF(extraction->ancestor, ancestor);
    return 0;
}

PyObject *sf_extraction_extract(const struct sf_extraction *extraction, uint32_t task)
{
    sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_BEGIN, task, 0, 0);
    pid_t pid = sf_pid_own();
    PyObject *extracted = extraction->sharing ? PyObject_CallMethod(extraction->ancestor, "changes", NULL)
                                              : PyObject_CallOneArg(extraction->extract, extraction->globals);
    if (!extracted && extraction->globals)
        sf_caller_note_key_error("extract", extraction->globals);
    if (sf_pid_own() == pid)
        sf_log_write(SF_EVENT_EXTRACT, SF_PHASE_END, task, 0, 0);
    return extracted;
}

int sf_extraction_merge(const struct sf_extraction *extraction, uint32_t task, PyObject *name, PyObject *extracted)
{
    sf_log_write(SF_EVENT_MERGE, SF_PHASE_BEGIN, task, 0, 0);
    PyObject *merged = extraction->sharing
                           ? PyObject_CallMethod(extraction->ancestor, "merge", "OO", extracted, name)
                           : PyObject_CallFunctionObjArgs(extraction->merge, extraction->globals, extracted, NULL);
    sf_log_write(SF_EVENT_MERGE, SF_PHASE_END, task, 0, 0);
    if (!merged && extraction->globals)
        sf_caller_note_key_error("merge", extraction->globals);
    Py_XDECREF(merged);
    return merged ? 0 : -1;
}

int sf_extraction_begin(const struct sf_extraction *extraction)
{
    PyObject *begun =
        extraction->sharing ? PyObject_CallMethod(extraction->sharing, "begin", NULL) : Py_NewRef(Py_None);
    Py_XDECREF(begun);
    return begun ? 0 : -1;
}

bool sf_extraction_revert(const struct sf_extraction *extraction)
{
    if (!extraction->sharing)
        return false;
    PyObject *raised = sf_take_raised();
    sf_signal_delay_begin(sf_handlers_bits());
    PyObject *reverted = PyObject_CallMethod(extraction->sharing, "revert", NULL);
    sf_signal_delay_end();
    if (!reverted)
        PyErr_WriteUnraisable(extraction->sharing);
    Py_XDECREF(reverted);
    if (raised)
        sf_put_raised(raised);
    return true;
}

void sf_extraction_free(struct sf_extraction *extraction)
{
    if (!extraction)
        return;
    PyObject *raised = sf_take_raised();
    Py_CLEAR(extraction->extract);
    Py_CLEAR(extraction->merge);
    Py_CLEAR(extraction->globals);
    Py_CLEAR(extraction->sharing);
    Py_CLEAR(extraction->ancestor);
    PyMem_Free(extraction);
    if (raised)
        sf_put_raised(raised);
}

int sf_extraction_traverse(const struct sf_extraction *extraction, visitproc visit, void *arg)
{
    Py_VISIT(extraction->extract);
    Py_VISIT(extraction->merge);
    Py_VISIT(extraction->globals);
    Py_VISIT(extraction->sharing);
    Py_VISIT(extraction->ancestor);
    return 0;
}
