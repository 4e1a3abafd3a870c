/* The child's half of a Generator: computes items when they are asked for, or ahead of that, and sends them. See
 * generator_struct.h for the parent's half and for what they share. Code of the program may call os.fork, and come back
 * in both processes; only the child itself (sf_child_is_self) computes and sends items. */
#include "py/task/generator_child.h"

#include <assert.h>
#include <errno.h>

#include "core/log/log.h"
#include "core/os/futex.h"
#include "py/base/wait.h"
#include "py/message/departure.h"
#include "py/task/generator_struct.h"

static int try_request(void *what)
{
    struct sf_generator *generator = what;
    uint32_t asked = atomic_load_explicit(&generator->control->asked, memory_order_acquire);
    /* made is at most asked + prefetch, so != means less, also where the counts wrap around */
    return asked + generator->prefetch != generator->made || sf_generator_stopped(generator) ? 0 : -EAGAIN;
}

static int sleep_for_request(void *what, int64_t timeout_ns)
{
    struct sf_generator *generator = what;
    if (sf_generator_stopped(generator))
        return 0;
    return sf_futex_wait(&generator->control->asked, generator->made - generator->prefetch, timeout_ns);
}

/* Sends an item, or what the iterator raised instead (item NULL). *bytes: of its message. 0, or -1: the parent has
 * stopped the generator meanwhile, this process is a fork of the child, or an exception. */
static int send_item(struct sf_generator *generator, PyObject *item, uint64_t number, uint64_t *bytes)
{
    struct sf_message message;
    int exit_status;
    enum sf_tag tag = sf_outcome_pack_message(item, "an item", &message, &exit_status);
    *bytes = message.bytes;
    int error = -ECHILD;
    if (sf_child_is_self(&generator->base.task.child))
        error = sf_departure_send(generator->ring, &message, 0, tag, number, &generator->control->stop);
    sf_message_fini(&message);
    return error ? -1 : 0;
}

static PyObject *close_iterator(PyObject *iterator)
{
    PyObject *closed = PyObject_CallMethod(iterator, "close", NULL);
    if (!closed)
        PyErr_WriteUnraisable(iterator); /* no next() will raise it, so it is printed */
    Py_XDECREF(closed);
    Py_RETURN_NONE;
}

/* The next item of the iterator. NULL at its end (with or without StopIteration) and NULL with what it raised. Without
 * an iterator: NULL, with *failure as the exception; *failure is NULL then. */
static PyObject *compute_item(PyObject *iterator, PyObject **failure)
{
    assert(iterator || *failure);
    if (iterator)
        return sf_iter_next(iterator);
    sf_put_raised(*failure);
    *failure = NULL;
    return NULL;
}

/* Computes and sends one item. 1: more may follow, 0: it was the last, -1: the child is to end, perhaps with an
 * exception. */
static int make_item(struct sf_generator *generator, PyObject *iterator, PyObject **failure)
{
    uint32_t number = generator->base.task.child.task;
    uint64_t bytes = 0;
    sf_log_write(SF_EVENT_ITEM, SF_PHASE_BEGIN, number, 0, 0);
    PyObject *item = compute_item(iterator, failure), *last = NULL;
    if (!sf_child_is_self(&generator->base.task.child)) { /* a process that f made by os.fork: it must not send items */
        Py_XDECREF(item);
        return -1;
    }
    generator->made++;
    if (!item) {
        if (!PyErr_Occurred())
            PyErr_SetNone(PyExc_StopIteration);
        last = sf_take_raised();
        sf_put_raised(Py_NewRef(last));
    }
    int failed = send_item(generator, item, last ? SF_GENERATOR_LAST_ITEM : generator->made, &bytes);
    sf_log_write(SF_EVENT_ITEM, SF_PHASE_END, number, bytes, 0);
    Py_XDECREF(item);
    int go_on = failed && PyErr_Occurred() ? -1 : last ? 0 : 1;
    if (go_on == 0 && !PyErr_GivenExceptionMatches(last, PyExc_StopIteration)) {
        sf_put_raised(last); /* for the exit status, and in case that nobody takes the item */
        return -1;
    }
    Py_XDECREF(last);
    return go_on;
}

PyObject *sf_generator_run(struct sf_task *task)
{
    struct sf_generator *generator = sf_generator_of(task);
    PyObject *iterator = PyObject_Call(task->f, task->args, task->kwargs);
    if (iterator && !PyIter_Check(iterator)) {
        PyErr_Format(PyExc_TypeError, "f returned %.200s, not a generator", Py_TYPE(iterator)->tp_name);
        Py_CLEAR(iterator);
    }
    PyObject *failure = iterator ? NULL : sf_take_raised(); /* what calling f raised: the first next() gets it */
    struct sf_waiting waiting = {try_request, sleep_for_request, generator, SF_WAIT_REQUEST, task->child.task};
    PyObject *result = NULL;
    for (int go_on = 1; go_on > 0;) {
        if (sf_wait(&waiting, true, SF_FOREVER) || !sf_child_is_self(&task->child))
            break;
        if (!sf_generator_stopped(generator)) {
            go_on = make_item(generator, iterator, &failure);
        } else if (iterator) {
            result = close_iterator(iterator);
            go_on = 0;
        } else {
            compute_item(NULL, &failure); /* raises what calling f raised, which no next() has asked for */
            go_on = -1;
        }
        if (go_on == 0 && !result)
            result = Py_NewRef(Py_None);
    }
    Py_XDECREF(failure);
    Py_XDECREF(iterator);
    return result;
}
