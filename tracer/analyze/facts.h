/* What advice is about, besides the ledger: chunks, messages, forks, and what was done before the first of them. */
#ifndef SF_TRACER_ANALYZE_FACTS_H
#define SF_TRACER_ANALYZE_FACTS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyze/processes.h"
#include "store/category.h"

/* Waits for room in a channel, by those that send to it, and for messages in it, by those that receive from it. */
struct channel_waits {
    int64_t channel, room_ns, message_ns;
};

struct facts {
    int64_t chunks, arguments;   /* that workers have gone through */
    int64_t chunk_running_ns;    /* running in them, */
    int64_t chunk_work_ns;       /* and of that what was before a first result was pickled: the rest is snakefish's */
    int64_t longest_chunk_ns;    /* and of these the longest one: */
    int64_t longest_chunk;       /* its number, */
    int64_t longest_arguments;   /* how many arguments it has, */
    int longest_worker;          /* and who went through it */
    int64_t maps_with_chunksize; /* calls of map and starmap: those that say a chunksize, */
    int64_t maps;                /* and all of them */
    int64_t forks;               /* that succeeded */
    int forker;                  /* the process that forked first; PROCESS_NONE: none did */
    int64_t before_forks_ns;     /* what it worked before that */
    int64_t result_bytes;        /* pickled for, or unpickled from, results and items */
    int64_t message_bytes;       /* sent through channels and pipes */
    int64_t messages;            /* sent */
    struct channel_waits *waits; /* sorted by channel; those that somebody has waited for */
    size_t wait_count, wait_room;
    bool failed; /* no memory */
};

/* Goes through all events once. 0, -ENOMEM or -EIO; facts_fini in every case. */
int facts_init(struct facts *facts, sqlite3 *db, const struct processes *processes);
void facts_fini(struct facts *facts);

#endif
