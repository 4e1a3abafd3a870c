/* The names of marks and spans. See texts.h. A number is valid in one log only: sf_log_texts_era() changes with the log
 * (after a fork, in another session), and all numbers are dropped then. */
#include "py/trace/texts.h"

static PyObject *texts; /* text -> its number in the log of sf_texts_era */
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

static void forget_texts(void)
{
    PyDict_Clear(texts);
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
    return failed ? -1 : 0;
}

int sf_texts_look_up(PyObject *text, uint32_t *number)
{
    if (!texts && !(texts = PyDict_New()))
        return -1;
    if (sf_texts_era != sf_log_texts_era())
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
