/* Which slots of a container hold another object than in a copy of it that was made before: the loops of three-way
 * merges, for snakefish/_merge_changes.py, which has them in Python too and says what each returns.
 *
 * Objects are compared by identity, so the objects in the containers are neither read nor referred to: in a forked
 * child no page of theirs is copied. Python code runs in one place only: where a key is looked up, because keys have
 * gone or moved, its __hash__ and __eq__ run. They may change the container. So what is used after a lookup is referred
 * to before it. Reading on by PyDict_Next() is safe in any case, and a container whose size has changed is an error.
 *
 * PyPy has the loops in Python: there these functions are not in the module's table. */
#include "py/base/types.h"

#include <stdbool.h>

#ifdef PYPY_VERSION

PyMethodDef sf_changes_functions[] = {{NULL, NULL, 0, NULL}};

#else

/* ---- what may be a container itself ---- */

static bool is_atom(const PyTypeObject *type)
{
    return type == &PyLong_Type || type == &PyUnicode_Type || type == &PyFloat_Type || type == &PyBool_Type ||
           type == Py_TYPE(Py_None) || type == &PyBytes_Type || type == &PyComplex_Type;
}

static bool is_tuple_of_atoms(PyObject *value)
{
    Py_ssize_t i = 0;
    if (!PyTuple_CheckExact(value))
        return false;
    while (i < PyTuple_GET_SIZE(value) && is_atom(Py_TYPE(PyTuple_GET_ITEM(value, i))))
        i++;
    return i == PyTuple_GET_SIZE(value);
}

/* Appends (key, value) if the value may be a container or hold one. key NULL: the index. 0, or -1 with an exception. */
static int add_other(PyObject *found, PyObject *key, Py_ssize_t index, PyObject *value, PyObject *leaves)
{
    if (is_atom(Py_TYPE(value)) || is_tuple_of_atoms(value))
        return 0;
    int failed = -1;
    Py_INCREF(value); /* a metaclass may have a __hash__ that runs now */
    Py_XINCREF(key);
    int is_leaf = PySet_Contains(leaves, (PyObject *)Py_TYPE(value));
    if (is_leaf) {
        failed = is_leaf < 0 ? -1 : 0;
        goto out;
    }
    PyObject *pair = key ? PyTuple_Pack(2, key, value) : Py_BuildValue("nO", index, value);
    if (!pair)
        goto out;
    failed = PyList_Append(found, pair);
    Py_DECREF(pair);
out:
    Py_XDECREF(key);
    Py_DECREF(value);
    return failed;
}

static int add_others_iterated(PyObject *found, PyObject *iterable, PyObject *leaves)
{
    PyObject *iterator = PyObject_GetIter(iterable);
    if (!iterator)
        return -1;
    PyObject *element;
    int failed = 0;
    while (!failed && (element = PyIter_Next(iterator))) {
        failed = add_other(found, element, 0, element, leaves);
        Py_DECREF(element);
    }
    Py_DECREF(iterator);
    return failed || PyErr_Occurred() ? -1 : 0;
}

static PyObject *others(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *container, *leaves, *key, *value;
    if (!PyArg_ParseTuple(arguments, "OO!:_others", &container, &PySet_Type, &leaves))
        return NULL;
    PyObject *found = PyList_New(0);
    if (!found)
        return NULL;
    int failed = 0;
    Py_ssize_t at = 0;
    if (PyDict_Check(container)) {
        while (!failed && PyDict_Next(container, &at, &key, &value))
            failed = add_other(found, key, 0, value, leaves);
    } else if (PyList_Check(container)) {
        for (; !failed && at < PyList_GET_SIZE(container); at++)
            failed = add_other(found, NULL, at, PyList_GET_ITEM(container, at), leaves);
    } else {
        failed = add_others_iterated(found, container, leaves);
    }
    if (!failed)
        return found;
    Py_DECREF(found);
    return NULL;
}

/* ---- dicts ---- */

struct dict_changes {
    PyObject *gone, *held, *moved; /* what is returned */
    PyObject *missing;             /* keys that have moved, and were not met yet */
};

static void fini_changes(struct dict_changes *changes)
{
    Py_XDECREF(changes->gone);
    Py_XDECREF(changes->held);
    Py_XDECREF(changes->moved);
    Py_XDECREF(changes->missing);
}

/* `key` does not stand where it stood: it is gone, or comes later. 0, or -1 with an exception. */
static int note_missing(struct dict_changes *changes, PyObject *now, PyObject *key)
{
    int is_there = PyDict_Contains(now, key);
    if (is_there < 0)
        return -1;
    return is_there ? PySet_Add(changes->missing, key) : PyList_Append(changes->gone, key);
}

static int note_held(struct dict_changes *changes, PyObject *key, PyObject *value)
{
    PyObject *pair = PyTuple_Pack(2, key, value);
    int failed = pair ? PyList_Append(changes->held, pair) : -1;
    Py_XDECREF(pair);
    return failed;
}

/* A key behind all those that stand as they stood: it is new, or has moved. */
static int note_late(struct dict_changes *changes, PyObject *key, PyObject *value)
{
    int has_moved = PySet_GET_SIZE(changes->missing) ? PySet_Contains(changes->missing, key) : 0;
    if (has_moved < 0 || (has_moved && PyList_Append(changes->moved, key)))
        return -1;
    return note_held(changes, key, value);
}

static int compare_dicts(struct dict_changes *changes, PyObject *before, PyObject *now)
{
    Py_ssize_t at_before = 0, at_now = 0, size = PyDict_GET_SIZE(now);
    PyObject *old_key, *old_value, *key, *value;
    bool is_left = PyDict_Next(before, &at_before, &old_key, &old_value);
    while (PyDict_Next(now, &at_now, &key, &value)) {
        if (is_left && old_key == key) {
            if (old_value != value && note_held(changes, key, value))
                return -1;
            is_left = PyDict_Next(before, &at_before, &old_key, &old_value);
            continue;
        }
        int failed = 0;
        Py_INCREF(key);
        Py_INCREF(value);
        for (; !failed && is_left && old_key != key; is_left = PyDict_Next(before, &at_before, &old_key, &old_value))
            failed = note_missing(changes, now, old_key);
        if (!failed && is_left) {
            failed = old_value == value ? 0 : note_held(changes, key, value);
            is_left = PyDict_Next(before, &at_before, &old_key, &old_value);
        } else if (!failed) {
            failed = note_late(changes, key, value);
        }
        Py_DECREF(key);
        Py_DECREF(value);
        if (failed)
            return -1;
        if (PyDict_GET_SIZE(now) != size) {
            PyErr_SetString(PyExc_RuntimeError, "a shared dict has changed its size while it was compared");
            return -1;
        }
    }
    for (; is_left; is_left = PyDict_Next(before, &at_before, &old_key, &old_value)) {
        if (PyList_Append(changes->gone, old_key))
            return -1;
    }
    return 0;
}

/* Whether both have the same keys in the same order with the same values. Runs no Python code. */
static bool dicts_are_same(PyObject *before, PyObject *now)
{
    if (PyDict_GET_SIZE(before) != PyDict_GET_SIZE(now))
        return false;
    Py_ssize_t at_before = 0, at_now = 0;
    PyObject *old_key, *old_value, *key, *value;
    while (PyDict_Next(before, &at_before, &old_key, &old_value)) {
        if (!PyDict_Next(now, &at_now, &key, &value) || old_key != key || old_value != value)
            return false;
    }
    return true;
}

static PyObject *dict_changes(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *before, *now;
    if (!PyArg_ParseTuple(arguments, "O!O!:_dict_changes", &PyDict_Type, &before, &PyDict_Type, &now))
        return NULL;
    if (dicts_are_same(before, now))
        Py_RETURN_NONE;
    struct dict_changes changes = {PyList_New(0), PyList_New(0), PyList_New(0), PySet_New(NULL)};
    PyObject *result = NULL;
    if (changes.gone && changes.held && changes.moved && changes.missing && !compare_dicts(&changes, before, now))
        result = PyTuple_Pack(3, changes.gone, changes.held, changes.moved);
    fini_changes(&changes);
    return result;
}

/* ---- lists ---- */

static bool lists_are_same(PyObject *before, PyObject *now)
{
    Py_ssize_t size = PyList_GET_SIZE(before);
    return size == PyList_GET_SIZE(now) &&
           (!size || !memcmp(((PyListObject *)before)->ob_item, ((PyListObject *)now)->ob_item,
                             (size_t)size * sizeof(PyObject *)));
}

static PyObject *list_changes(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *before, *now;
    if (!PyArg_ParseTuple(arguments, "O!O!:_list_changes", &PyList_Type, &before, &PyList_Type, &now))
        return NULL;
    if (lists_are_same(before, now))
        Py_RETURN_NONE;
    Py_ssize_t old_size = PyList_GET_SIZE(before), size = PyList_GET_SIZE(now);
    Py_ssize_t shorter = old_size < size ? old_size : size, first = shorter, same = 0;
    PyObject *indices = PyList_New(0);
    if (!indices)
        return NULL;
    for (Py_ssize_t i = 0; i < shorter; i++) {
        if (PyList_GET_ITEM(before, i) == PyList_GET_ITEM(now, i))
            continue;
        PyObject *index = PyLong_FromSsize_t(i);
        int failed = index ? PyList_Append(indices, index) : -1;
        Py_XDECREF(index);
        if (failed) {
            Py_DECREF(indices);
            return NULL;
        }
        first = i < first ? i : first;
    }
    while (same < shorter - first &&
           PyList_GET_ITEM(before, old_size - 1 - same) == PyList_GET_ITEM(now, size - 1 - same))
        same++;
    return Py_BuildValue("Nn", indices, same);
}

/* ---- all containers ---- */

/* An object's attributes are the dict `shadow`, all of them in its __dict__. */
static bool attributes_are_same(PyObject *shadow, PyObject *object)
{
    PyObject *attributes = PyObject_GenericGetDict(object, NULL);
    if (!attributes)
        PyErr_Clear();
    bool same = attributes && PyDict_CheckExact(attributes) && dicts_are_same(shadow, attributes);
    Py_XDECREF(attributes);
    return same;
}

static bool is_unchanged(PyObject *shadow, PyObject *live)
{
    if (shadow == live)
        return true;
    if (PyList_CheckExact(shadow))
        return PyList_Check(live) && lists_are_same(shadow, live);
    if (!PyDict_CheckExact(shadow))
        return false;
    if (!PyDict_Check(live))
        return attributes_are_same(shadow, live);
    /* the order of an OrderedDict is not that of its dict, which its iterator knows */
    return Py_TYPE(live)->tp_iter == PyDict_Type.tp_iter && dicts_are_same(shadow, live);
}

static PyObject *changed(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *lives, *shadows;
    Py_ssize_t i;
    if (!PyArg_ParseTuple(arguments, "O!O!n:_changed", &PyList_Type, &lives, &PyList_Type, &shadows, &i))
        return NULL;
    while (i < PyList_GET_SIZE(lives) && i < PyList_GET_SIZE(shadows) &&
           is_unchanged(PyList_GET_ITEM(shadows, i), PyList_GET_ITEM(lives, i)))
        i++;
    return PyLong_FromSsize_t(i < PyList_GET_SIZE(lives) ? i : -1);
}

/* ---- the snapshot that is kept for the next fork (snakefish/_merge_latest.py) ---- */

/* place: (weak reference to a module, name, container; or None: no matter what it is bound to). */
static bool is_bound_still(PyObject *place)
{
    PyObject *module = PyObject_CallNoArgs(PyTuple_GET_ITEM(place, 0)), *container = PyTuple_GET_ITEM(place, 2);
    bool is_still = module && PyModule_Check(module) &&
                    (container == Py_None ||
                     PyDict_GetItemWithError(PyModule_GetDict(module), PyTuple_GET_ITEM(place, 1)) == container);
    Py_XDECREF(module);
    return is_still;
}

static bool are_bound_still(PyObject *bound)
{
    Py_ssize_t i = 0;
    while (i < PyList_GET_SIZE(bound) && is_bound_still(PyList_GET_ITEM(bound, i)))
        i++;
    return i == PyList_GET_SIZE(bound);
}

static bool is_stale(PyObject *snapshot, bool look_at_all)
{
    PyObject *bound = PyObject_GetAttrString(snapshot, "bound"), *lives = PyObject_GetAttrString(snapshot, "lives"),
             *shadows = PyObject_GetAttrString(snapshot, "shadows");
    bool stale = !bound || !lives || !shadows || !are_bound_still(bound);
    for (Py_ssize_t i = 1; !stale && look_at_all && i < PyList_GET_SIZE(lives); i++)
        stale = !is_unchanged(PyList_GET_ITEM(shadows, i), PyList_GET_ITEM(lives, i));
    Py_XDECREF(bound);
    Py_XDECREF(lives);
    Py_XDECREF(shadows);
    return stale;
}

/* Called by the garbage collector. In C, because no signal handler runs here: what one raises would be printed and
 * lost.
 */
static PyObject *drop_stale(PyObject *latest, PyObject *arguments)
{
    PyObject *phase, *info;
    if (!PyArg_ParseTuple(arguments, "UO!", &phase, &PyDict_Type, &info))
        return NULL;
    PyObject *generation = PyDict_GetItemString(info, "generation"); /* borrowed */
    bool is_full = generation && PyLong_AsLong(generation) >= 2;
    if (PyUnicode_CompareWithASCIIString(phase, "start") == 0 && PyList_GET_SIZE(latest) == 1 &&
        is_stale(PyList_GET_ITEM(latest, 0), is_full) && PyList_SetSlice(latest, 0, 1, NULL))
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *stale_dropper(PyObject *Py_UNUSED(module), PyObject *latest)
{
    static PyMethodDef method = {"drop_stale", drop_stale, METH_VARARGS, NULL};
    if (PyList_Check(latest))
        return PyCFunction_New(&method, latest);
    PyErr_SetString(PyExc_TypeError, "_stale_dropper takes a list");
    return NULL;
}

PyMethodDef sf_changes_functions[] = {
    {"_stale_dropper", stale_dropper, METH_O, "For _merge_latest.py."},
    {"_others", others, METH_VARARGS, "For _merge_changes.py."},
    {"_dict_changes", dict_changes, METH_VARARGS, "For _merge_changes.py."},
    {"_list_changes", list_changes, METH_VARARGS, "For _merge_changes.py."},
    {"_changed", changed, METH_VARARGS, "For _merge_changes.py."},
    {NULL, NULL, 0, NULL},
};

#endif
