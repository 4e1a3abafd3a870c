/* Threads and Generators that were started. See kept.h. */
#include "py/task/kept.h"

#include <assert.h>
#include <unistd.h>

#include "core/os/process.h"
#include "py/task/fate.h"
#include "py/task/task_object.h"

#define SWEPT_AT_ONCE 16 /* a look is one system call */

static struct sf_kept_link kept = {&kept, &kept, false}, known = {&known, &known, false};
static pid_t owner; /* the process that has added something last */

static PyObject *object_of(struct sf_kept_link *link)
{
    return (PyObject *)((char *)link - offsetof(struct sf_task_object, link));
}

static struct sf_kept_link *link_of(PyObject *self)
{
    return &((struct sf_task_object *)self)->link;
}

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

void sf_kept_add(PyObject *self, bool keep)
{
    struct sf_kept_link *link = link_of(self);
    owner = getpid();
    put_last(keep ? &kept : &known, link);
    if (keep && !link->kept)
        Py_INCREF(self);
    link->kept = link->kept || keep;
}

void sf_kept_let_go(PyObject *self)
{
    struct sf_kept_link *link = link_of(self);
    if (!link->kept)
        return;
    link->kept = false;
    put_last(&known, link);
    Py_DECREF(self);
}

void sf_kept_forget(PyObject *self)
{
    assert(!link_of(self)->kept);
    take_out(link_of(self));
}

static bool is_over(const struct sf_child *child)
{
    return child->state != SF_CHILD_RUNNING || child->owner != getpid() || sf_process_is_dead(child->pid);
}

void sf_kept_sweep(void)
{
    struct sf_kept_link *last = kept.previous;
    for (int i = 0; i < SWEPT_AT_ONCE && kept.next != &kept; i++) {
        struct sf_kept_link *link = kept.next;
        bool all_seen = link == last;
        if (is_over(&sf_task_of(object_of(link))->child))
            sf_kept_let_go(object_of(link)); /* runs code of the program, which may change the list */
        else
            put_last(&kept, link);
        if (all_seen)
            break;
    }
}

/* Tells of those that have ended by now. Others may be started meanwhile: they are not looked at. */
static void tell_at_end(void)
{
    if (owner != getpid())
        return;
    size_t count = 0;
    for (struct sf_kept_link *link = kept.next; link != &kept; link = link->next)
        count++;
    while (count-- && kept.next != &kept) {
        struct sf_kept_link *link = kept.next;
        if (is_over(&sf_task_of(object_of(link))->child))
            sf_kept_let_go(object_of(link));
        else
            put_last(&kept, link);
    }
    while (known.next != &known) {
        PyObject *self = object_of(known.next);
        take_out(known.next);
        if (Py_REFCNT(self) <= 0) /* PyPy is about to free it */
            continue;
        Py_INCREF(self);
        sf_fate_report(sf_task_of(self), self);
        Py_DECREF(self);
    }
}

void sf_kept_init(void)
{
    sf_child_all_ended = tell_at_end;
}
