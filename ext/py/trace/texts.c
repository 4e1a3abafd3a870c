/* The names of marks and spans. See texts.h. A number is valid in one log only: sf_log_texts_era() changes with the log
 * (after a fork, in another session), and all numbers are dropped then. */
#include "py/trace/texts.h"

/* How many texts are remembered, and how large they are together at most. */
#define TEXTS_MAX 8192
#define TEXTS_MAX_BYTES (1 << 20)

static PyObject *texts;    /* text -> its number in the log of sf_texts_era */
static size_t texts_bytes; /* of the texts in it */
uint32_t sf_texts_era;
struct sf_texts_recent sf_texts_recent[SF_TEXTS_RECENT];

bool sf_texts_check(PyObject *text)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "name must be a str, not %.200s", Py_TYPE(text)->tp_name);
        return false;
    }
    if (PyUnicode_AsUTF8(text))
        return true;
    if (PyErr_ExceptionMatches(PyExc_UnicodeError))
        PyErr_SetString(PyExc_ValueError, "name must be text that can be written as UTF-8");
    return false;
}

/* Also done where a program makes up ever new names: a text that comes again then gets a second number, and the
 * collector knows both as the same text. */
static void forget_texts(void)
{
    PyDict_Clear(texts);
    texts_bytes = 0;
    for (size_t i = 0; i < SF_TEXTS_RECENT; i++)
        Py_CLEAR(sf_texts_recent[i].text);
    sf_texts_era = sf_log_texts_era();
}

/* Looks in `texts`; writes a new text into the log. */
static int look_up(PyObject *text, uint32_t *number)
{
    PyObject *known = PyDict_GetItemWithError(texts, text);
    if (known) {
        *number = (uint32_t)PyLong_AsUnsignedLong(known);
        return 0;
    }
    if (PyErr_Occurred())
        return -1;
    Py_ssize_t bytes;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &bytes);
    if (!utf8)
        return -1;
    *number = sf_log_text(utf8, (uint64_t)bytes);
    PyObject *fresh = PyLong_FromUnsignedLong(*number);
    int failed = !fresh || PyDict_SetItem(texts, text, fresh);
    Py_XDECREF(fresh);
    texts_bytes += (size_t)bytes;
    return failed ? -1 : 0;
}

int sf_texts_look_up(PyObject *text, uint32_t *number)
{
    if (!texts && !(texts = PyDict_New()))
        return -1;
    if (sf_texts_era != sf_log_texts_era() || PyDict_GET_SIZE(texts) >= TEXTS_MAX || texts_bytes >= TEXTS_MAX_BYTES)
        forget_texts();
    if (look_up(text, number))
        return -1;
    struct sf_texts_recent *recent = &sf_texts_recent[sf_texts_place(text)];
    PyObject *before = recent->text;
    recent->text = Py_NewRef(text);
    recent->number = *number;
    Py_XDECREF(before); /* last: it may run a __del__ that calls this function */
    return 0;
}
