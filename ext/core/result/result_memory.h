/* The result memory: what a child leaves for its parent. The parent maps it before the fork, the child fills it once,
 * the parent reads it after the child's death. It takes any size without a reader, so a join never has to read before
 * it waits.
 *
 *                map, before the fork             write, in the child             take, in the parent
 *     memfd      [  a size of many TiB, no memory but the first page; its descriptor is closed at once          ]
 *     page       [ mapped                       ][ header, first bytes, seal     ][ header                      ]
 *     window                                     [ moves forward, 1 MiB a step:  ][ moves forward in the same    ]
 *                                                [ pages reserved, then filled   ][ way: copied out, then freed  ]
 *
 * The mapping outlives the descriptor, so nothing that the program does to its descriptors can lose a result or write
 * one into another file. The memory has no name, so nothing is left behind when processes die.
 *
 * The first page has its memory from the beginning: a small result never fails, nor does a sentence that says why a
 * large one did. All other pages are reserved before they are written: a full memory is an error, not SIGBUS.
 *
 *     offset 0    header: seal, bytes, then for each part tag, bytes, head
 *     64          the parts' bytes, one part behind the other
 *
 * The seal is written last, and is computed from the rest of the header. Without it, or with a header that something
 * else wrote into, the memory counts as empty. The bytes of the parts are trusted.
 *
 * Processes that are forked while the memory exists have the mapping too. None of them touches it; they may keep its
 * first pages from being freed until they end. */
#ifndef SF_CORE_RESULT_RESULT_MEMORY_H
#define SF_CORE_RESULT_RESULT_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define SF_RESULT_MEMORY_PARTS 2

struct sf_result_part {
    uint32_t tag;   /* what the part is, for the caller to say; 0: there is no such part */
    uint64_t bytes; /* the sum of the pieces */
    /* when read */
    uint64_t offset; /* of its first byte in the memory */
    uint64_t head;   /* its first eight bytes, if it has so many */
    /* when written */
    const struct iovec *pieces;
    int count;
};

struct sf_result_memory {
    struct sf_result_header *page; /* owned; NULL: none, and all else is 0 */
    uint64_t room;                 /* bytes that it may hold, header included; a multiple of the page size */
    pid_t owner;                   /* the process that mapped it */
    /* private */
    char *window; /* owned; NULL: none yet */
    uint64_t window_at;
};

/* Makes an empty one. 0 or -errno (-EMFILE, -ENFILE, -ENOMEM), and then *memory is none. Under a limit of file sizes
 * (RLIMIT_FSIZE) room is no more than that, but at least a page. */
int sf_result_memory_map(struct sf_result_memory *memory);

/* How many bytes one that is made now has room for: the limit of file sizes may change. */
uint64_t sf_result_memory_room(void);

/* In its owner, when nobody writes into it any more: empties it, to be used once more. False: it cannot be, because
 * more was written than its first page holds. */
bool sf_result_memory_renew(struct sf_result_memory *memory);

/* Unmaps it in this process. In its owner it also frees the memory, which other processes may still have mapped. */
void sf_result_memory_unmap(struct sf_result_memory *memory);

/* In the child: writes all parts, in place of what was there. A writer killed half-way leaves an empty memory. 0,
 * -EFBIG: more than room, or -errno (-ENOMEM: no memory or address space); then it is empty and can be written again.
 */
int sf_result_memory_write(struct sf_result_memory *memory, const struct sf_result_part parts[SF_RESULT_MEMORY_PARTS]);

/* In the parent, after the child's death: which parts there are. 0, or -ENODATA: it is empty. */
int sf_result_memory_parts(const struct sf_result_memory *memory, struct sf_result_part parts[SF_RESULT_MEMORY_PARTS]);

/* In the parent: copies bytes of a part from `offset` on, up to a MiB of them and at most `bytes`. Returns how many
 * those are, 1 or more, or -errno (-ENOMEM: no address space) and then nothing has changed. Offsets must not go back:
 * the memory before them is freed on the way. */
int64_t sf_result_memory_take(struct sf_result_memory *memory, uint64_t offset, uint64_t bytes, void *to);

#endif
