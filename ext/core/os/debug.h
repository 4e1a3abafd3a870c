/* What a part does, in words, for who debugs: SNAKEFISH_DEBUG=log,ring. The core prints nothing; it tells the hook,
 * which the layer above sets. Nothing on a hot path tells anything. */
#ifndef SF_CORE_OS_DEBUG_H
#define SF_CORE_OS_DEBUG_H

enum sf_debug_part { SF_DEBUG_LOG = 1, SF_DEBUG_RING = 2 };

/* From now on hook is called for these parts (a mask); from any thread, and in children. Before there are threads. */
void sf_debug_set(unsigned parts, void (*hook)(enum sf_debug_part part, const char *sentence));

/* One sentence; cheap where the part is not wanted. Leaves errno alone. */
void sf_debug(enum sf_debug_part part, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
