/* Debug messages: what a part does, in sentences (SNAKEFISH_DEBUG=log,ring). The core prints nothing; it gives
 * them to a hook that the layer above sets. No hot path has any. */
#ifndef SF_CORE_OS_DEBUG_H
#define SF_CORE_OS_DEBUG_H

enum sf_debug_part { SF_DEBUG_LOG = 1, SF_DEBUG_RING = 2 };

/* From now on the hook is called for these parts (a mask), by any thread, also in children. Call it before there are
 * threads. NULL: no hook. */
void sf_debug_set(unsigned parts, void (*hook)(enum sf_debug_part part, const char *sentence));

/* Gives one sentence to the hook, if it is set for this part. Otherwise the call costs nearly nothing. Keeps errno. */
void sf_debug(enum sf_debug_part part, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
