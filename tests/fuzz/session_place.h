/* Where a fuzzer's sessions and databases are, and the collecting of a session there. The database of the collector
 * that is said to have died is the same in each run: a copy of an image, made once. */
#ifndef SF_TESTS_FUZZ_SESSION_PLACE_H
#define SF_TESTS_FUZZ_SESSION_PLACE_H

#include <dirent.h>

#include "base/clock.h"
#include "session_files.h"
#include "store/store.h"

static struct {
    char root[32], db[64], json[64], session[96];
    int root_fd;
    char *image; /* of the dead collector's database */
    size_t image_size;
} place = {.root = "/dev/shm/fuzz-XXXXXX"};

double __wrap_event_cost_measure(double ns_per_tick);

/* What an event costs is measured when a trace is finished, and the ledger takes it off. Here it is always the same, so
 * that two ledgers can be compared. */
double __wrap_event_cost_measure(double ns_per_tick)
{
    (void)ns_per_tick;
    return 10;
}

/* Removes all files in the directory. */
static void place_empty(int dir_fd)
{
    DIR *dir = fdopendir(dup(dir_fd));
    rewinddir(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        unlinkat(dir_fd, entry->d_name, 0);
    closedir(dir);
}

static void place_leave(void)
{
    place_empty(place.root_fd);
    rmdir(place.root);
}

/* The file's bytes. */
static char *place_read(const char *path, size_t *size)
{
    FILE *f = fopen(path, "re");
    REQUIRE(f, "there is no %s", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    char *bytes = malloc(*size);
    rewind(f);
    REQUIRE(bytes && fread(bytes, 1, *size, f) == *size, "%s", path);
    fclose(f);
    return bytes;
}

/* Makes the database of a collector that died as soon as it had two readings of the clock. So the times of all records
 * lie between two readings, and are the same in each run. */
static void place_make_image(void)
{
    struct sentence why;
    struct store *store;
    struct clock_snapshot now = clock_take(0.5), first = now;
    const uint64_t ticks = UINT64_C(1) << 31;
    REQUIRE(now.tsc > 2 * ticks, "the machine has just started");
    session_start_tsc = first.tsc = now.tsc - ticks;
    first.monotonic_ns = now.monotonic_ns - (int64_t)(ticks / 2);
    REQUIRE(store_create(&store, place.db, &why) == 0, "%s", why.text);
    store_begin(store);
    store_meta_text(store, "session", strrchr(place.session, '/') + 1);
    store_snapshot(store, &first);
    store_snapshot(store, &now);
    store_segment(store, &(struct clock_segment){0, first.tsc, 0, 0.5});
    store_segment(store, &(struct clock_segment){now.tsc, now.tsc, (int64_t)(ticks / 2), 0.5});
    REQUIRE(store_commit(store) == 0, "%s", store_why(store)->text);
    store_close(store);
    place.image = place_read(place.db, &place.image_size);
}

static void place_make(void)
{
    give_sqlite_memory();
    REQUIRE(mkdtemp(place.root), "%s", place.root);
    place.root_fd = open(place.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    atexit(place_leave);
    snprintf(place.db, sizeof place.db, "%s/run.db", place.root);
    snprintf(place.json, sizeof place.json, "%s/run.json", place.root);
    snprintf(place.session, sizeof place.session, "%s/snakefish-1-0", place.root);
    place_make_image();
}

/* Writes the session that the input means, and collects it into place.db. fresh: that is the dead collector's database,
 * so nothing may fail unless the session's page is damaged. Else it is what is there now. Whether it was collected. */
static bool place_collect(bool fresh, const uint8_t *data, size_t size, struct session_plan *plan)
{
    REQUIRE(mkdir(place.session, 0700) == 0, "%s", place.session);
    int dir_fd = open(place.session, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *plan = session_write(dir_fd, data, size);
    if (fresh)
        write_file(place.root_fd, "run.db", place.image, place.image_size);
    struct said said = command_run(cmd_collect, (const char *[]){"collect", place.session, "-o", place.db, NULL});
    bool collected = said.status == COMMAND_OK;
    REQUIRE(collected || !fresh || plan->page_damaged, "collect: %s", said.err);
    command_forget(&said);
    place_empty(dir_fd);
    close(dir_fd);
    rmdir(place.session);
    return collected;
}

#endif
