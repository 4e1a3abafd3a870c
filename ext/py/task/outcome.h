/* What became of a call in a child, on its way to the parent: a tag and bytes. Used for the results of Threads, what
 * was extracted, the items of Generators and the chunks of map. */
#ifndef SF_PY_TASK_OUTCOME_H
#define SF_PY_TASK_OUTCOME_H

#include "py/message/message.h"

#include <stdint.h>

enum sf_tag {
    SF_TAG_NONE = 0, /* nothing was said */
    SF_TAG_RETURNED, /* pickle of the value; nothing: None */
    SF_TAG_RAISED,   /* pickle of (remote traceback, one-line summary, pickle of the exception) */
    SF_TAG_EXITED,   /* sys.exit(): pickle of the remote traceback; the status is the process's */
    SF_TAG_BROKEN,   /* could not be pickled: pickle of (sentence, remote traceback of the reason) */
};

struct sf_outcome_bytes {
    enum sf_tag tag;
    PyObject *bytes; /* owned; NULL only with SF_TAG_NONE */
    int exit_status; /* of SF_TAG_EXITED */
};

/* Who the outcome is of, for messages. */
struct sf_outcome_origin {
    int pid;
    int32_t exit_status;
    PyObject *name;   /* borrowed */
    const char *what; /* "its result", "what it extracted", ... */
};

/* In the child. value: what the call returned (borrowed), or NULL: it raised, and the exception is set; it is taken.
 * Never fails: what cannot be pickled becomes SF_TAG_BROKEN, and when even that is impossible SF_TAG_NONE. */
void sf_outcome_pack(PyObject *value, const char *what, struct sf_outcome_bytes *out);

/* The same for a stream: the value itself as a message, or the bytes of any other outcome. Never fails, but that the
 * tag may be SF_TAG_NONE with an empty message. *exit_status: of SF_TAG_EXITED. The caller calls sf_message_fini. */
enum sf_tag sf_outcome_pack_message(PyObject *value, const char *what, struct sf_message *message, int *exit_status);

/* What such a message was, once it is opened: the value, or what the outcome raises. opened: stolen; NULL: unpickling
 * raised, and the exception is set. */
PyObject *sf_outcome_open_message(enum sf_tag tag, PyObject *opened, const struct sf_outcome_origin *origin);

/* A BROKEN outcome with a sentence of ours. */
void sf_outcome_pack_broken(const char *sentence, struct sf_outcome_bytes *out);

/* In the parent. The value (a new reference), or NULL with the exception that tells what happened set: the child's own
 * with its remote traceback as __cause__, or ChildDied. */
PyObject *sf_outcome_open(enum sf_tag tag, PyObject *bytes, const struct sf_outcome_origin *origin);

#endif
