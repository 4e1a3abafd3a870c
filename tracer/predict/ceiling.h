/* What a machine loses where several CPUs work, though nobody waits for anybody: caches, memory, frequency. The bench
 * measures it by its ceiling, independent copies of sequential programs. */
#ifndef SF_TRACER_PREDICT_CEILING_H
#define SF_TRACER_PREDICT_CEILING_H

#include "base/output.h"

/* Fills slowdowns[1..most]: how many times as long work takes where so many CPUs work; at least 1. It is the geometric
 * mean over the programs of the last session of the bench that has any, between the numbers of workers that it measured
 * on a straight line, and beyond them as at the last one. Numbers of workers above the machine's CPUs do not count. 0,
 * or -1 with the reason: there is no such session at `path`, or it cannot be read. */
int ceiling_read(double *slowdowns, int most, const char *path, struct sentence *why);

#endif
