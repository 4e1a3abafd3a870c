/* Threads and Generators that were started. See kept.h. */
#include "py/task/kept.h"

#include <assert.h>
#include <stdint.h>
#include <unistd.h>

#include "core/os/process.h"
#include "py/task/fate.h"
#include "py/task/task_struct.h"

#define SWEPT_AT_ONCE 16 /* a look is one system call */

#ifdef PYPY_VERSION
#define GARBAGE_ROUNDS 4
#else
#define GARBAGE_ROUNDS 1
#endif

static struct sf_kept_link kept = {.next = &kept, .previous = &kept}, known = {.next = &known, .previous = &known};
static pid_t owner; /* the process that has added something last */

static void take_out(struct sf_kept_link *link)
{
    if (!link->next)
        return;
    link->next->previous = link->previous;
    link->previous->next = link->next;
    link->next = link->previous = NULL;
}

static void put_last(struct sf_kept_link *list, struct sf_kept_link *link)
{
    take_out(link);
    link->next = list;
    link->previous = list->previous;
    list->previous->next = link;
    list->previous = link;
}

void sf_kept_add(struct sf_kept_link *link, PyObject *self, struct sf_task *task, bool keep)
{
    owner = getpid();
    link->self = self;
    link->task = task;
    put_last(keep ? &kept : &known, link);
    if (keep && !link->kept)
        Py_INCREF(self);
    link->kept = link->kept || keep;
}

void sf_kept_let_go(struct sf_kept_link *link)
{
    if (!link->kept)
        return;
    link->kept = false;
    put_last(&known, link);
    Py_DECREF(link->self);
}

void sf_kept_forget(struct sf_kept_link *link)
{
    assert(!link->kept);
    take_out(link);
}

static bool is_over(const struct sf_child *child)
{
    return child->state != SF_CHILD_RUNNING || child->owner != getpid() || sf_process_is_dead(child->pid);
}

/* Looks at each of the first `count` once; others may be added meanwhile, by code of the program. */
static void sweep(size_t count)
{
    while (count-- && kept.next != &kept) {
        struct sf_kept_link *link = kept.next;
        put_last(&kept, link);
        if (is_over(&link->task->child))
            sf_kept_let_go(link); /* may run code of the program */
    }
}

static size_t count_kept(size_t most)
{
    size_t count = 0;
    for (struct sf_kept_link *link = kept.next; link != &kept && count < most; link = link->next)
        count++;
    return count;
}

void sf_kept_sweep(void)
{
    sweep(count_kept(SWEPT_AT_ONCE));
}

PyObject *sf_kept_sweep_function(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    sf_kept_sweep();
    Py_RETURN_NONE;
}

/* Those whose child has died and was not reaped. */
static size_t count_unreaped(void)
{
    size_t count = 0;
    for (struct sf_kept_link *link = known.next; link != &known; link = link->next) {
        const struct sf_child *child = &link->task->child;
        count += child->state == SF_CHILD_RUNNING && is_over(child);
    }
    return count;
}

/* Opens no file: there may be no descriptor left for one. PyPy needs several rounds for objects written in C: one to find
 * them, one to run what their end calls. */
static void collect_garbage(void)
{
    PyObject *module = PyImport_ImportModule("gc");
    for (int i = 0; i < GARBAGE_ROUNDS; i++) {
        PyObject *done = module ? PyObject_CallMethod(module, "collect", NULL) : NULL;
        if (!done)
            PyErr_WriteUnraisable(NULL);
        Py_XDECREF(done);
    }
    Py_XDECREF(module);
}

bool sf_kept_make_room(void)
{
    if (!PyErr_ExceptionMatches(PyExc_RuntimeError) && !PyErr_ExceptionMatches(PyExc_MemoryError))
        return false;
    PyObject *raised = sf_take_raised();
    sweep(count_kept(SIZE_MAX));
    size_t before = count_unreaped();
    if (before)
        collect_garbage();
    bool freed = count_unreaped() < before;
    if (freed)
        Py_DECREF(raised);
    else
        sf_put_raised(raised);
    return freed;
}

/* Tells of those that have ended by now. Others may be started meanwhile: they are not looked at. */
static void tell_at_end(void)
{
    if (owner != getpid())
        return;
    sweep(count_kept(SIZE_MAX));
    while (known.next != &known) {
        PyObject *self = known.next->self;
        struct sf_task *task = known.next->task;
        take_out(known.next);
        if (Py_REFCNT(self) <= 0) /* PyPy is about to free it */
            continue;
        Py_INCREF(self);
        sf_fate_report(task, self);
        Py_DECREF(self);
    }
}

void sf_kept_init(void)
{
    sf_child_all_ended = tell_at_end;
}
