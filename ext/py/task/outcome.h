/* How a call in a child ended, on its way to the parent: a tag and a message. Used for the results of Threads, for what
 * was extracted, for the items of Generators and the chunks of map. The child packs, the parent opens.
 *
 * Opening runs code of the program: it unpickles. What that raises is one of two things.
 *
 * 1. It is about the bytes: they cannot be unpickled here. The caller gets ChildDied with the reason as its cause.
 * 2. It is an interruption (py/base/interruption.h). The caller gets it as it is.
 *
 * What another thread raises here (PyThreadState_SetAsyncExc) looks like 1 if it is an Exception. So get_result() keeps
 * a value that could not be unpickled in either case: it can be asked for again (packed.h).
 *
 * An exception whose class does not make it again from its args is made without the class's __init__; attributes that
 * cannot be pickled are left out, and the remote traceback says so (snakefish/_exceptions.py). */
#ifndef SF_PY_TASK_OUTCOME_H
#define SF_PY_TASK_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "py/message/message.h"

enum sf_tag {
    SF_TAG_NONE = 0, /* the child left no outcome; no message */
    SF_TAG_RETURNED, /* the value */
    SF_TAG_RAISED,   /* bytes: pickle of (remote traceback, one-line summary, pickle of the exception) */
    SF_TAG_EXITED,   /* sys.exit(). bytes: pickle of the remote traceback; the process ends with the status */
    SF_TAG_BROKEN,   /* could not be pickled. bytes: pickle of (sentence, remote traceback of the reason) */
};

/* The child that the outcome comes from, for error messages. */
struct sf_outcome_origin {
    int pid;
    int32_t exit_status;
    PyObject *name;   /* borrowed */
    const char *what; /* "its result", "what it extracted", ... */
};

/* Imports what the others need, once: before a fork, because a child should not have to. 0, or -1 with an exception. */
int sf_outcome_import(void);

/* ---- in the child ---- */

/* value: what the call returned (borrowed), or NULL with the exception that it raised, which is cleared. Packs the
 * value itself as a message, or the bytes of any other outcome. Never fails: what cannot be pickled becomes
 * SF_TAG_BROKEN, or SF_TAG_NONE with an empty message where memory runs out. *exit_status: of SF_TAG_EXITED. The caller
 * calls sf_message_fini. */
enum sf_tag sf_outcome_pack_message(PyObject *value, const char *what, struct sf_message *message, int *exit_status);

/* The same for a BROKEN outcome with this sentence. */
enum sf_tag sf_outcome_pack_broken(const char *sentence, struct sf_message *message);

/* ---- in the parent ---- */

/* The value (a new reference), or NULL with an exception: what the call raised, with the remote traceback as __cause__,
 * or ChildDied. opened: what the outcome's message held (borrowed); NULL with what unpickling it raised, or with
 * SF_TAG_NONE. *interrupted: see 2 above; it can be opened again. */
PyObject *sf_outcome_open(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin, bool *interrupted);

/* The same for an outcome that is gone once its message is opened. Steals `opened`. */
PyObject *sf_outcome_open_message(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin);

/* The name of the class of the exception in the bytes of SF_TAG_RAISED. Runs no code of the program. A new str, or NULL
 * with an exception. */
PyObject *sf_outcome_exception_name(PyObject *bytes);

#endif
