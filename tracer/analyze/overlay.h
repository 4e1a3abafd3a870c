/* What the kernel knows of a process's time, laid over what the process's events say: when it had no CPU, when it
 * waited in the kernel, what page faults cost it. The moments at which its children began are laid over it too.
 *
 * The caller asks for each process's time in order: each stretch begins where the last one ended, or later. */
#ifndef SF_TRACER_ANALYZE_OVERLAY_H
#define SF_TRACER_ANALYZE_OVERLAY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

/* Part of a stretch: the process spent it on the category, but for fault_ns, which went into page faults (copy_ns of
 * them into copying on write). */
struct overlay_part {
    int64_t from_ns, to_ns, fault_ns, copy_ns;
    enum category category;
    int child; /* the child that began at from_ns: then the part is empty and only reports it; PROCESS_NONE: none */
};

struct overlay;

/* Reads the kernel's tables, which are empty without the kernel's view. The processes must outlive it. 0, -ENOMEM or
 * -EIO (the connection knows the reason); overlay_free in every case. */
int overlay_new(struct overlay **out, sqlite3 *db, const struct processes *processes);
void overlay_free(struct overlay *overlay);

/* Are there page faults? Then the caller goes through all stretches twice. First it calls overlay_measure for each,
 * which finds how much time the faults of each slot of time are shared out over; then overlay_rewind, and from then on
 * overlay_next. */
bool overlay_needs_measure(const struct overlay *overlay);
void overlay_measure(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns, enum category category);
void overlay_rewind(struct overlay *overlay);

/* The first part of [from_ns, to_ns), in which by its events the process did `category`. To go on, the caller asks
 * again from the part's end. An empty stretch has one part. */
struct overlay_part overlay_next(struct overlay *overlay, int process, int64_t from_ns, int64_t to_ns,
                                 enum category category);

/* At the process's end: the next child that began then or later, or PROCESS_NONE. Each is returned once. */
int overlay_late_child(struct overlay *overlay, int process);

#endif
