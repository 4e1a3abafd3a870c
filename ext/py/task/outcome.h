/* How a call in a child ended, on its way to the parent: a tag and bytes. Used for the results of Threads, for what was
 * extracted, for the items of Generators and the chunks of map. The child packs, the parent opens. */
#ifndef SF_PY_TASK_OUTCOME_H
#define SF_PY_TASK_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "py/message/message.h"

enum sf_tag {
    SF_TAG_NONE = 0, /* the child left no outcome; no bytes */
    SF_TAG_RETURNED, /* pickle of the value; no bytes at all: None */
    SF_TAG_RAISED,   /* pickle of (remote traceback, one-line summary, pickle of the exception) */
    SF_TAG_EXITED,   /* sys.exit(): pickle of the remote traceback; the process ends with the status */
    SF_TAG_BROKEN,   /* could not be pickled: pickle of (sentence, remote traceback of the reason) */
};

struct sf_outcome_bytes {
    enum sf_tag tag;
    PyObject *bytes; /* owned; NULL only with SF_TAG_NONE */
    int exit_status; /* of SF_TAG_EXITED */
};

/* The child that the outcome comes from, for error messages. */
struct sf_outcome_origin {
    int pid;
    int32_t exit_status;
    PyObject *name;   /* borrowed */
    const char *what; /* "its result", "what it extracted", ... */
};

/* In the child. value: what the call returned (borrowed), or NULL with the exception that it raised, which is cleared.
 * Never fails: what cannot be pickled becomes SF_TAG_BROKEN, or SF_TAG_NONE where memory runs out. */
void sf_outcome_pack(PyObject *value, const char *what, struct sf_outcome_bytes *out);

/* The same for a stream: packs the value itself as a message, or the bytes of any other outcome. Never fails: the tag
 * is SF_TAG_NONE, with an empty message, where memory runs out. *exit_status: of SF_TAG_EXITED. The caller calls
 * sf_message_fini. */
enum sf_tag sf_outcome_pack_message(PyObject *value, const char *what, struct sf_message *message, int *exit_status);

/* In the parent: the outcome in such a message. opened: what the message held (stolen), or NULL with what unpickling it
 * raised. As sf_outcome_open. */
PyObject *sf_outcome_open_message(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin);

/* A BROKEN outcome with this sentence. */
void sf_outcome_pack_broken(const char *sentence, struct sf_outcome_bytes *out);

/* In the parent: the value (a new reference), or NULL with an exception: what the call raised, with the remote
 * traceback as __cause__, or ChildDied. bytes: NULL only with SF_TAG_NONE.
 *
 * Unpickling runs code of the program, and may be interrupted. *interrupted: an exception came that says nothing about
 * the bytes (sf_outcome_was_interrupted); it is set as it is, and the bytes can be opened again. */
PyObject *sf_outcome_open(enum sf_tag tag, PyObject *bytes, const struct sf_outcome_origin *origin, bool *interrupted);

/* In the parent: the name of the class of the exception in the bytes of SF_TAG_RAISED. Runs no code of the program. A
 * new str, or NULL with an exception. */
PyObject *sf_outcome_exception_name(PyObject *bytes);

/* Unpickling raised the exception that is set. Whether it says nothing about the bytes: KeyboardInterrupt, SystemExit
 * or whatever else is no Exception, and MemoryError. */
bool sf_outcome_was_interrupted(void);

#endif
