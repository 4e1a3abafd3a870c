/* How much memory a session may use: for its logs, its spares and the records that it has set aside.
 *
 * All of that is shared memory. Where a memory control group has a limit, or the machine runs out, the kernel does not
 * refuse such memory: it kills a process for it, the traced program perhaps. So the least of these counts: what is free
 * in the session's file system; what the machine has available; and, for each control group that a process of the
 * session is in and for all groups above it, its limit less what it uses. A part of each is kept for the program and
 * the collector themselves.
 *
 * A page belongs to the group of the process that touches it first. Version 1 and 2 of control groups. What cannot be
 * read sets no limit. A collector has one session, so all of it is static; one thread at a time. Nothing blocks. */
#ifndef SF_TRACER_COLLECT_ROOM_H
#define SF_TRACER_COLLECT_ROOM_H

#include <stdint.h>
#include <sys/types.h>

/* The limits of this process's control groups count from now on; 0: the caller's. The caller's own always count. Reads
 * one small file, and nothing where /proc is that of another pid namespace. Of more than some groups, the later ones
 * are not counted. */
void room_add_process(pid_t pid);

/* The bytes that may still be used, in the file system of that directory; up to 20 ms old. */
uint64_t room_bytes(int dir_fd);

/* How many records a log may have, a power of two: at most `wanted`, and so that 32 logs have room. */
uint32_t room_log_records(int dir_fd, uint32_t wanted);

#endif
