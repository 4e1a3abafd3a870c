/* SNAKEFISH_DEBUG=log,ring: these parts of the core print what they do to stderr. */
#ifndef SF_PY_BASE_DEBUG_H
#define SF_PY_BASE_DEBUG_H

/* Reads the environment variable. To be called once, before anything else of the core. */
void sf_debug_from_environment(void);

#endif
