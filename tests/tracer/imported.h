/* One log's import, in a test that writes the log itself and decides when the import looks, takes, commits and
 * releases. */
#ifndef SF_TESTS_TRACER_IMPORTED_H
#define SF_TESTS_TRACER_IMPORTED_H

#include "tracer/recorded.h"

#include "collect/discover.h"
#include "collect/log_import.h"

static struct log_import_context context;
static char log_file[300]; /* the log that was written last */

static inline int keep_last(void *arg, const char *name)
{
    (void)arg;
    if (strcmp(name, log_file) > 0)
        snprintf(log_file, sizeof log_file, "%s", name);
    return 0;
}

static inline void set_context(bool recovering)
{
    context = (struct log_import_context){.store = recorded.store,
                                          .ids = ids_new(recorded.store),
                                          .clock = &recorded.clock,
                                          .dir_fd = recorded.session.dir_fd,
                                          .capacity = recorded.session.header->log_records,
                                          .start_tsc = recorded.session.header->start_tsc,
                                          .recovering = recovering};
    CHECK(context.ids != NULL);
}

static inline void free_context(void)
{
    ids_free(context.ids);
}

/* A session, and a log of this process. */
static inline void begin(uint32_t records)
{
    recorded_begin(records);
    CHECK_EQ(0, writer_open(recorded.session.dir, 0, "writer"));
    CHECK_EQ(0, discover_logs(recorded.session.dir_fd, keep_last, NULL));
    set_context(false);
    store_begin(recorded.store);
}

static inline void end(struct log_import *import)
{
    log_import_free(import);
    free_context();
    store_commit(recorded.store);
    store_close(recorded.store);
}

/* The log's import, registered. */
static inline struct log_import *import_log(void)
{
    struct log_import *import;
    CHECK_EQ(0, log_import_open(&import, &context, log_file));
    CHECK(!import->refused);
    CHECK_EQ(0, log_import_register(import, &context));
    return import;
}

static inline size_t take_all(struct log_import *import)
{
    size_t all = 0;
    for (size_t n; (n = log_import_take(import, &context));)
        all += n;
    return all;
}

static inline size_t look_and_take(struct log_import *import)
{
    log_import_look(import);
    return take_all(import);
}

static inline void commit(struct log_import *import)
{
    log_import_store_counts(import, &context);
    CHECK_EQ(0, store_commit(recorded.store));
    store_begin(recorded.store);
}

static inline long long now(const char *sql)
{
    return ask_in(store_connection(recorded.store), sql);
}

/* As after the collector's death: what was not committed is gone, and another collector begins. */
static inline struct log_import *die_and_recover(struct log_import *import)
{
    log_import_free(import);
    free_context();
    store_run(recorded.store, "ROLLBACK");
    store_close(recorded.store);
    if (store_continue(&recorded.store, recorded_path, session_name(&recorded.session), &why))
        FAIL("%s", why.text);
    set_context(true);
    store_begin(recorded.store);
    return import_log();
}

#endif
