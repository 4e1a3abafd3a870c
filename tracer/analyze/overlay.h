/* What the kernel knows of a process's time, laid over what its events say: when it had no CPU, when it waited in
 * the kernel, what page faults cost it. Also the moments at which its children began, which cut its time in two.
 *
 * Times are asked for in order: for each process, every stretch begins where the last one ended, or later. */
#ifndef SF_TRACER_ANALYZE_OVERLAY_H
#define SF_TRACER_ANALYZE_OVERLAY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

/* Part of a stretch. fault_ns of its time went into page faults, copy_ns of these into copying on write. */
struct overlay_part {
    int64_t from_ns, to_ns, fault_ns, copy_ns;
    enum category category;
    int child; /* began at from_ns; PROCESS_NONE */
};

struct overlay;

/* Reads the kernel's tables; without the kernel's view they are empty. The processes must outlive it. */
int overlay_new(struct overlay **overlay, sqlite3 *db, const struct processes *processes);
void overlay_free(struct overlay *overlay);

/* Has it page faults? Then the stretches are to be gone through twice: with overlay_measure for all of them, which
 * finds out how much time each time slot's faults are to be taken from, then overlay_rewind and overlay_next. */
bool overlay_needs_measure(const struct overlay *overlay);
void overlay_measure(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns, enum category category);
void overlay_rewind(struct overlay *overlay);

/* The first part of [from_ns, to_ns), in which the process did `category`. Goes on by the caller's calling it again
 * from the part's end. An empty stretch has one part. */
struct overlay_part overlay_next(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns,
                                 enum category category);

#endif
