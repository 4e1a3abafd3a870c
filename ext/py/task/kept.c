/* Threads and Generators that were started. See kept.h. */
#include "py/task/kept.h"

#include <assert.h>
#include <stdint.h>

#include "core/os/pid.h"
#include "core/os/process.h"
#include "py/task/fate.h"
#include "py/task/task_struct.h"

/* A look is one system call. Each start adds one to the list, and looks at four: so where all of them end, no more than
 * a third as many dead ones as running ones are in it. */
#define SWEPT_AT_ONCE 4

#ifdef PYPY_VERSION
#define GARBAGE_ROUNDS 4
#else
#define GARBAGE_ROUNDS 1
#endif

/* In `known`, what this process has inherited stands before what it has added. Both are empty from sf_kept_init on.
 * With an initialiser they would lie in another page than all else that a fork's parent writes. */
static struct sf_kept_link kept, known;
static pid_t owner; /* the process that has added something last */

static void take_out(struct sf_kept_link *link)
{
    if (!link->next)
        return;
    link->next->previous = link->previous;
    link->previous->next = link->next;
    link->next = link->previous = NULL;
}

static void put_before(struct sf_kept_link *place, struct sf_kept_link *link)
{
    take_out(link);
    assert(place->previous); /* it is in a list, or the head of one */
    link->next = place;
    link->previous = place->previous;
    place->previous->next = link;
    place->previous = link;
}

static bool is_own(const struct sf_kept_link *link, pid_t this_process)
{
    return link->task->child.owner == this_process;
}

void sf_kept_add(struct sf_kept_link *link, PyObject *self, struct sf_task *task, bool keep)
{
    owner = sf_pid_own();
    link->self = self;
    link->task = task;
    put_before(keep ? &kept : &known, link);
    if (keep && !link->kept)
        Py_INCREF(self);
    link->kept = link->kept || keep;
}

void sf_kept_let_go(struct sf_kept_link *link)
{
    if (!link->kept)
        return;
    link->kept = false;
    if (is_own(link, sf_pid_own()))
        put_before(&known, link);
    else
        take_out(link);
    Py_DECREF(link->self);
}

void sf_kept_forget(struct sf_kept_link *link)
{
    assert(!link->kept);
    take_out(link);
}

static bool is_over(const struct sf_kept_link *link, pid_t this_process)
{
    const struct sf_child *child = &link->task->child;
    return child->state != SF_CHILD_RUNNING || !is_own(link, this_process) || sf_process_is_dead(child->pid);
}

/* Looks at each of the first `count` once; others may be added meanwhile, by code of the program. */
static void sweep(size_t count)
{
    if (!count)
        return;
    for (pid_t this_process = sf_pid_own(); count && kept.next != &kept; count--) {
        struct sf_kept_link *link = kept.next;
        put_before(&kept, link);
        if (is_over(link, this_process)) {
            sf_kept_let_go(link); /* may run code of the program, which may fork */
            this_process = sf_pid_own();
        }
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
    pid_t self = sf_pid_own();
    for (struct sf_kept_link *link = known.previous; link != &known && is_own(link, self); link = link->previous)
        count += link->task->child.state == SF_CHILD_RUNNING && is_over(link, self);
    return count;
}

/* Opens no file: there may be no descriptor left for one. PyPy needs several rounds for objects written in C: one to
 * find them, one to run what their end calls. */
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
    if (owner != sf_pid_own())
        return;
    sweep(count_kept(SIZE_MAX));
    struct sf_kept_link telling = {.next = &telling, .previous = &telling};
    while (known.previous != &known && is_own(known.previous, owner))
        put_before(telling.next, known.previous);
    while (telling.next != &telling) {
        PyObject *self = telling.next->self;
        struct sf_task *task = telling.next->task;
        take_out(telling.next);
        if (Py_REFCNT(self) <= 0) /* PyPy is about to free it */
            continue;
        Py_INCREF(self);
        sf_fate_report(task, self);
        Py_DECREF(self);
    }
}

void sf_kept_init(void)
{
    kept.next = kept.previous = &kept;
    known.next = known.previous = &known;
    sf_child_all_ended = tell_at_end;
}
