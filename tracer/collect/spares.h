/* Logs made ready before a process asks for one. See "Spares" in ext/abi/log_format.h.
 *
 * A fresh page of shared memory costs its first writer a hundred times what an event does. So the collector makes
 * pages ready, before the program starts and while a CPU is to spare, and hands on the logs of dead processes with
 * the pages they have. Nothing here is needed: where there is no spare, a process makes its log itself. Nothing
 * blocks. */
#ifndef SF_TRACER_COLLECT_SPARES_H
#define SF_TRACER_COLLECT_SPARES_H

#include <stdint.h>

/* Makes one whole spare, if there are fewer than SPARES_READY and much memory is free. */
void spares_prepare(int dir_fd, uint32_t log_records);
#define SPARES_READY 2

/* Turns the log of a process that is gone, of which everything is stored, into a spare; or removes it, where memory
 * is short, there are enough, or somebody still has it open. The caller has it closed. */
void spares_hand_on(int dir_fd, const char *log);

#endif
