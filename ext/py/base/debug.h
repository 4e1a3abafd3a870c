/* SNAKEFISH_DEBUG=log,ring: the core's words about these parts on stderr. */
#ifndef SF_PY_BASE_DEBUG_H
#define SF_PY_BASE_DEBUG_H

/* Reads the environment. Once, first of all. */
void sf_debug_from_environment(void);

#endif
