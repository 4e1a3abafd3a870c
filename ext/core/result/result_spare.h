/* Result memory that is used again: to make one takes six system calls, and gives every result a fresh page.
 *
 *     take, before the fork         the child writes, the parent reads        give, when the child is reaped
 *     none, or the spare ---------> a result memory ------------------------> the spare, or unmapped
 *
 * At most one is kept: where one task follows the other, that is enough. Calls need the interpreter lock, or a process
 * of one thread. Nothing blocks. */
#ifndef SF_CORE_RESULT_RESULT_SPARE_H
#define SF_CORE_RESULT_RESULT_SPARE_H

#include "core/result/result_memory.h"

/* An empty one: the spare, or as sf_result_memory_map makes it. The caller's. 0 or -errno. */
int sf_result_spare_take(struct sf_result_memory *memory);

/* Takes over one into which nobody writes any more, because the child that would have is dead. */
void sf_result_spare_give(struct sf_result_memory *memory);

#endif
