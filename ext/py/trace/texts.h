/* The names of marks and spans: a text is written to the log once, and events name it by its number there. */
#ifndef SF_PY_TRACE_TEXTS_H
#define SF_PY_TRACE_TEXTS_H

#include "py/base/compat.h"

#include "core/log/log.h"

/* Whether a name can be written. If not: false, with TypeError or ValueError. The same whether tracing is on or off. */
bool sf_texts_check(PyObject *text);

/* The texts used last, by address: a literal has the same address each time. */
#define SF_TEXTS_RECENT 16
static inline size_t sf_texts_place(PyObject *text)
{
    return ((uintptr_t)text >> 4) % SF_TEXTS_RECENT;
}
extern struct sf_texts_recent {
    PyObject *text; /* owned */
    uint32_t number;
} sf_texts_recent[SF_TEXTS_RECENT];
extern uint32_t sf_texts_era; /* the era of the log in which these numbers are valid */

/* The text's number in this log, for a text that is not among the recent ones. 0, or -1 with an exception. */
int sf_texts_look_up(PyObject *text, uint32_t *number);

/* Writes an event with that name, which sf_texts_check has accepted; does nothing when tracing is off. 0, or -1 with an
 * exception. */
__attribute__((always_inline)) static inline int sf_texts_write(PyObject *text, enum sf_event_kind kind,
                                                                enum sf_phase phase, uint64_t a, uint64_t b)
{
    if (!sf_log_enabled())
        return 0;
    const struct sf_texts_recent *recent = &sf_texts_recent[sf_texts_place(text)];
    uint32_t number = recent->number;
    if ((recent->text != text || sf_texts_era != sf_log_texts_era()) && sf_texts_look_up(text, &number))
        return -1;
    sf_log_write(kind, phase, number, a, b);
    return 0;
}

#endif
