/* Spares: logs that the collector makes before a process needs one. See "Spares" in ext/abi/log_format.h.
 *
 * A fresh page of shared memory costs its first writer a hundred times what an event costs. So the collector prepares
 * spares, before the program starts and while a CPU is idle, and turns logs of dead processes into spares, with the
 * pages that they have. Spares are an optimization only: without one, a process makes its log itself. Nothing blocks.
 */
#ifndef SF_TRACER_COLLECT_SPARES_H
#define SF_TRACER_COLLECT_SPARES_H

#include <stdint.h>

/* Makes one spare with all its pages, if there are fewer than SPARES_READY and much memory is free. */
void spares_prepare(int dir_fd, uint32_t log_records);
#define SPARES_READY 2

/* Removes all spares where memory has become short. */
void spares_trim(int dir_fd, uint32_t log_records);

/* Turns a log into a spare, or removes it if memory is short, if there are enough spares, or if some process has it
 * open. The log's process must be dead, its records stored and committed, and the caller's descriptors of it closed. */
void spares_recycle(int dir_fd, const char *log);

#endif
