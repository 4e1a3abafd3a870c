/* The programs that a traced process starts: each finds in its environment what makes it join the trace.
 *
 * Python reads PYTHONPATH when it starts, so `entry`, a directory with a sitecustomize.py of ours, stands in front of
 * it, in the environment that C sees. The program does not see it there: os.environ has PYTHONPATH as it was. Therefore
 * `entry` is missing from an environment that the program hands on, made from os.environ, and it is gone once the
 * program has set PYTHONPATH. The functions here take the places of those by which Python starts programs, and put it
 * back. When the session ends it is taken out of what C sees, too.
 *
 * They are functions in C with the names and documentation of their originals, so nobody sees them: no frame in a
 * traceback, no other message for a wrong call. Only an environment that has a session gets the entry: one that the
 * program has emptied stays empty. Written and read with the interpreter lock held. */
#include "py/base/types.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "abi/log_format.h"

#define PATH_NAME "PYTHONPATH"

static PyObject *entry; /* bytes; NULL: none */

/* The form of PYTHONPATH with the entry is "ENTRY" where it was not set, "ENTRY/" where it was empty, for ":" would add
 * the current directory, else "ENTRY:OLD". The same form is written by entry_put (tracer/collect/entry.c) and put_entry
 * (snakefish/_tree.py), and read by _restore_path (snakefish/entry/sitecustomize.py). */

/* What stands behind the entry: "", "/" or ":OLD"; NULL: the entry does not stand in front of `path`. */
static const char *behind_entry(const char *path)
{
    const char *mine = PyBytes_AS_STRING(entry);
    size_t n = strlen(mine);
    if (!path || strncmp(path, mine, n) != 0)
        return NULL;
    return !path[n] || path[n] == ':' || strcmp(path + n, "/") == 0 ? path + n : NULL;
}

/* What PYTHONPATH becomes where it was `old`, NULL: not set. New bytes. NULL without an exception: the entry is there
 * already; NULL with one: there is no memory. */
static PyObject *with_entry(const char *old)
{
    const char *mine = PyBytes_AS_STRING(entry);
    if (!old)
        return Py_NewRef(entry);
    if (behind_entry(old))
        return NULL;
    return old[0] ? PyBytes_FromFormat("%s:%s", mine, old) : PyBytes_FromFormat("%s/", mine);
}

/* The environment that C sees, which programs get that are started without one. */
static void renew_own(void)
{
    PyObject *value = getenv(SF_SESSION_ENV) ? with_entry(getenv(PATH_NAME)) : NULL;
    if (value)
        setenv(PATH_NAME, PyBytes_AS_STRING(value), 1);
    Py_XDECREF(value);
    PyErr_Clear(); /* no memory: that program is not traced */
}

/* Takes the entry out of it again. */
static void restore_own(void)
{
    const char *behind = behind_entry(getenv(PATH_NAME));
    if (!behind)
        return;
    char *old = behind[0] == ':' ? strdup(behind + 1) : NULL;
    if (behind[0] == ':' && old)
        setenv(PATH_NAME, old, 1);
    else if (behind[0] == '/')
        setenv(PATH_NAME, "", 1);
    else if (!behind[0])
        unsetenv(PATH_NAME);
    free(old);
}

/* The key under which the environment has this name, as text or as bytes: a new reference, NULL: neither. */
static PyObject *key_of(PyObject *environment, const char *name)
{
    PyObject *key = PyUnicode_FromString(name);
    int is_there = key ? PyDict_Contains(environment, key) : 0;
    if (!is_there) {
        Py_XDECREF(key);
        key = PyBytes_FromString(name);
        is_there = key ? PyDict_Contains(environment, key) : 0;
    }
    if (is_there > 0)
        return key;
    Py_XDECREF(key);
    return NULL;
}

/* The same for a value in a mapping: text or bytes, as it was, or NULL. */
static PyObject *object_with_entry(PyObject *old)
{
    PyObject *bytes = NULL, *value = NULL, *text = NULL;
    if (old && !PyUnicode_FSConverter(old, &bytes))
        return NULL;
    value = with_entry(bytes ? PyBytes_AS_STRING(bytes) : NULL);
    Py_XDECREF(bytes);
    if (!value || (old && PyBytes_Check(old)))
        return value;
    text = PyUnicode_DecodeFSDefaultAndSize(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    Py_DECREF(value);
    return text;
}

/* A new dict like this mapping, with the entry; NULL: it needs none, or is no environment, as the original will say. */
static PyObject *mapping_with_entry(PyObject *given)
{
    PyObject *copy = PyDict_New(), *session = NULL, *key = NULL, *value = NULL;
    bool changed = false;
    if (!copy || !PyMapping_Check(given) || PyDict_Update(copy, given) || !(session = key_of(copy, SF_SESSION_ENV)))
        goto out;
    key = key_of(copy, PATH_NAME);
    value = object_with_entry(key ? PyDict_GetItem(copy, key) : NULL);
    if (!key)
        key = PyUnicode_FromString(PATH_NAME);
    changed = key && value && PyDict_SetItem(copy, key, value) == 0;
out:
    Py_XDECREF(session);
    Py_XDECREF(key);
    Py_XDECREF(value);
    if (!changed)
        Py_CLEAR(copy);
    PyErr_Clear();
    return copy;
}

/* The value in an item b"NAME=value"; NULL: the item has another name. */
static const char *value_in(PyObject *item, const char *name)
{
    size_t n = strlen(name);
    const char *text = PyBytes_Check(item) ? PyBytes_AS_STRING(item) : "";
    return strncmp(text, name, n) == 0 && text[n] == '=' ? text + n + 1 : NULL;
}

/* A new list like this sequence of b"NAME=value", with the entry; NULL as above. */
static PyObject *list_with_entry(PyObject *given)
{
    PyObject *copy = PySequence_List(given), *value = NULL, *item = NULL;
    Py_ssize_t count = copy ? PyList_GET_SIZE(copy) : 0, at = count;
    bool has_session = false, changed = false;
    const char *path = NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *found = value_in(PyList_GET_ITEM(copy, i), PATH_NAME);
        has_session = has_session || value_in(PyList_GET_ITEM(copy, i), SF_SESSION_ENV);
        path = found ? found : path;
        at = found ? i : at;
    }
    if (has_session && (value = with_entry(path)))
        item = PyBytes_FromFormat(PATH_NAME "=%s", PyBytes_AS_STRING(value));
    if (item)
        changed = at < count ? PyList_SetItem(copy, at, Py_NewRef(item)) == 0 : PyList_Append(copy, item) == 0;
    Py_XDECREF(value);
    Py_XDECREF(item);
    if (!changed)
        Py_CLEAR(copy);
    PyErr_Clear();
    return copy;
}

/* ---- the functions by which Python starts programs ---- */

enum { EXECV, EXECVE, POSIX_SPAWN, POSIX_SPAWNP, SYSTEM, FORK_EXEC, STARTERS };
static struct {
    const char *name;
    Py_ssize_t environment; /* the place of that argument; -1: it has none */
    PyObject *original;     /* NULL until it is replaced */
} starters[STARTERS] = {
    [EXECV] = {"execv", -1, NULL},
    [EXECVE] = {"execve", 2, NULL},
    [POSIX_SPAWN] = {"posix_spawn", 2, NULL},
    [POSIX_SPAWNP] = {"posix_spawnp", 2, NULL},
    [SYSTEM] = {"system", -1, NULL},
    [FORK_EXEC] = {"fork_exec", 5, NULL},
};

/* The arguments with that environment. A new reference, NULL with an exception. */
static PyObject *with_argument(PyObject *args, Py_ssize_t at, PyObject *environment)
{
    PyObject *list = PySequence_List(args), *result = NULL;
    if (list && PyList_SetItem(list, at, Py_NewRef(environment)) == 0)
        result = PyList_AsTuple(list);
    Py_XDECREF(list);
    return result;
}

static PyObject *call(int which, PyObject *args, PyObject *keywords)
{
    Py_ssize_t at = starters[which].environment;
    PyObject *given = NULL, *mine = NULL, *new_args = NULL, *new_keywords = NULL, *result;
    bool is_keyword = at >= PyTuple_GET_SIZE(args);
    if (entry && at >= 0)
        given = !is_keyword ? PyTuple_GET_ITEM(args, at) : keywords ? PyDict_GetItemString(keywords, "env") : NULL;
    if (entry)
        renew_own();
    if (given && given != Py_None)
        mine = which == FORK_EXEC ? list_with_entry(given) : mapping_with_entry(given);
    if (mine && !is_keyword)
        new_args = with_argument(args, at, mine);
    else if (mine && (new_keywords = PyDict_Copy(keywords)) && PyDict_SetItemString(new_keywords, "env", mine))
        Py_CLEAR(new_keywords);
    PyErr_Clear(); /* lack of memory: as it was given */
    result =
        PyObject_Call(starters[which].original, new_args ? new_args : args, new_keywords ? new_keywords : keywords);
    Py_XDECREF(mine);
    Py_XDECREF(new_args);
    Py_XDECREF(new_keywords);
    return result;
}

#define STARTER(which, name)                                                                                           \
    static PyObject *name(PyObject *Py_UNUSED(module), PyObject *args, PyObject *keywords)                             \
    {                                                                                                                  \
        return call(which, args, keywords);                                                                            \
    }
STARTER(EXECV, start_execv)
STARTER(EXECVE, start_execve)
STARTER(POSIX_SPAWN, start_posix_spawn)
STARTER(POSIX_SPAWNP, start_posix_spawnp)
STARTER(SYSTEM, start_system)
STARTER(FORK_EXEC, start_fork_exec)

#define DEFINITION(which, name)                                                                                        \
    [which] = {NULL, (PyCFunction)(void (*)(void))(name), METH_VARARGS | METH_KEYWORDS, NULL}
static PyMethodDef definitions[STARTERS] = {
    DEFINITION(EXECV, start_execv),
    DEFINITION(EXECVE, start_execve),
    DEFINITION(POSIX_SPAWN, start_posix_spawn),
    DEFINITION(POSIX_SPAWNP, start_posix_spawnp),
    DEFINITION(SYSTEM, start_system),
    DEFINITION(FORK_EXEC, start_fork_exec),
};

/* (module, name): what takes the place of module.name, which is replaced once. */
static PyObject *starter(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *module;
    const char *name;
    int which = 0;
    if (!PyArg_ParseTuple(args, "Os:_trace_starter", &module, &name))
        return NULL;
    while (which < STARTERS && strcmp(starters[which].name, name))
        which++;
    if (which == STARTERS || starters[which].original) {
        PyErr_Format(PyExc_ValueError, "%s starts no programs, or is replaced already", name);
        return NULL;
    }
    PyObject *original = PyObject_GetAttrString(module, name);
    if (!original)
        return NULL;
    starters[which].original = original; /* kept for ever: the program may keep what takes its place */
    definitions[which].ml_name = starters[which].name;
    definitions[which].ml_doc = sf_builtin_doc(original);
    PyObject *module_name = PyObject_GetAttrString(module, "__name__");
    PyObject *mine = module_name ? PyCFunction_NewEx(&definitions[which], module, module_name) : NULL;
    Py_XDECREF(module_name);
    return mine;
}

static PyObject *set_entry(PyObject *Py_UNUSED(self), PyObject *path)
{
    PyObject *bytes = NULL;
    if (path != Py_None && !PyUnicode_FSConverter(path, &bytes))
        return NULL;
    if (entry)
        restore_own();
    Py_XSETREF(entry, bytes);
    Py_RETURN_NONE;
}

PyMethodDef sf_programs_functions[] = {
    {"_trace_starter", starter, METH_VARARGS, "module, name: what takes the place of that function."},
    {"_trace_set_entry", set_entry, METH_O, "What is put in front of PYTHONPATH; None: nothing any more."},
    {NULL, NULL, 0, NULL},
};
