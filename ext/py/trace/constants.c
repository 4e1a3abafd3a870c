/* See constants.h. The Python files type none of these numbers themselves. */
#include "py/trace/constants.h"

#include "abi/log_format.h"

static const struct {
    const char *name;
    long value;
} constants[] = {
#define X(id, name, phase, object, a, b, doc) {"_EVENT_" #name, id},
#include "abi/events.def"
#undef X
    {"_PHASE_INSTANT", SF_PHASE_INSTANT},
    {"_PHASE_BEGIN", SF_PHASE_BEGIN},
    {"_PHASE_END", SF_PHASE_END},
    {"_TASK_MAP", SF_TASK_MAP},
    {"_TASK_PROCESS", SF_TASK_PROCESS},
    {"_TASK_EXECUTOR_WORKER", SF_TASK_EXECUTOR_WORKER},
    {"_OUTCOME_RETURNED", SF_OUTCOME_RETURNED},
    {"_OUTCOME_RAISED", SF_OUTCOME_RAISED},
    {"_OUTCOME_EXITED", SF_OUTCOME_EXITED},
    {"_WAIT_MESSAGE", SF_WAIT_MESSAGE},
    {"_WAIT_ROOM", SF_WAIT_ROOM},
    {"_WAIT_CHILD", SF_WAIT_CHILD},
    {"_WAIT_THREAD", SF_WAIT_THREAD},
    {"_WAIT_REQUEST", SF_WAIT_REQUEST},
};

int sf_constants_add(PyObject *module)
{
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (PyModule_AddIntConstant(module, constants[i].name, constants[i].value))
            return -1;
    return 0;
}
