/* How the program's Pythons come to load snakefish: a directory in front of their PYTHONPATH. The directory belongs to
 * the Python package, and its sitecustomize.py says what it does. */
#ifndef SF_TRACER_COLLECT_ENTRY_H
#define SF_TRACER_COLLECT_ENTRY_H

#include <limits.h>
#include <stdbool.h>

#define ENTRY_LOAD_ENV "SNAKEFISH_TRACE_LOAD" /* "no": only programs that import snakefish use it */
#define ENTRY_INSTRUMENT_ENV "SNAKEFISH_TRACE_INSTRUMENT"

/* The directory of the package that was built or installed with this program. false: there is none, or others than
 * those who could change this program may change it. */
bool entry_find(char path[PATH_MAX]);

/* In a child, before exec: puts it in front of PYTHONPATH, unless the environment says no. */
void entry_put(const char *path);

#endif
