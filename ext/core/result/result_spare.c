/* Result memory that is used again. See result_spare.h. A forked process inherits the mapping of its parent's spare,
 * and unmaps it when it would need one. */
#include "core/result/result_spare.h"

#include <stddef.h>

#include "core/os/pid.h"

static struct sf_result_memory spare; /* empty, of the process that is its owner; page NULL: none */

int sf_result_spare_take(struct sf_result_memory *memory)
{
    if (spare.page && (spare.owner != sf_pid_own() || spare.room != sf_result_memory_room()))
        sf_result_memory_unmap(&spare);
    if (!spare.page)
        return sf_result_memory_map(memory);
    *memory = spare;
    spare = (struct sf_result_memory){0};
    return 0;
}

void sf_result_spare_give(struct sf_result_memory *memory)
{
    if (memory->page && !spare.page && sf_result_memory_renew(memory)) {
        spare = *memory;
        *memory = (struct sf_result_memory){0};
    }
    sf_result_memory_unmap(memory);
}
