/* The collector's loop with real and with damaged logs, and what the database holds of them. */
#include "tracer/recorded.h"

#include <dirent.h>
#include <glob.h>
#include <sys/resource.h>

#include "collect/discover.h"
#include "collect/spill.h"

static int run(struct collect_job job)
{
    job.session = &recorded.session;
    job.store = recorded.store;
    job.clock = &recorded.clock;
    job.state = "complete";
    return collect_run(&job, &why);
}

/* Collects what there is and finishes. */
static void collect(void)
{
    if (run((struct collect_job){0}))
        FAIL("%s", why.text);
    store_close(recorded.store);
    CHECK_EQ(SF_SESSION_CLOSED, session_state(&recorded.session));
}

static void check_balance(void)
{
    CHECK_EQ(1, ask("SELECT value = 'closed' AND severity = 'info' FROM stats WHERE name = 'books'"));
    CHECK_EQ(0,
             ask("SELECT count(*) FROM stats e WHERE e.name = 'emitted' AND e.value <> (SELECT sum(value) FROM stats s"
                 " WHERE s.process = e.process AND s.name IN ('collected', 'lost', 'torn'))"));
    CHECK_EQ(0, ask("SELECT count(*) FROM process p WHERE (SELECT sum(ns) FROM ledger WHERE process = p.id)"
                    " <> p.end_ns - p.start_ns"));
}

static char old_name[300];

/* Gives every log the name that the first one had. */
static int rename_log(void *arg, const char *name)
{
    (void)arg;
    if (!old_name[0])
        snprintf(old_name, sizeof old_name, "%s", name);
    return renameat(recorded.session.dir_fd, name, recorded.session.dir_fd, old_name);
}

static void write_one(void)
{
    write_marks(0, 1);
}

static void write_1000(void)
{
    write_marks(0, 1000);
}

TEST(everything_written_is_stored_in_order)
{
    recorded_begin(4096);
    in_child(write_1000);
    in_child(write_1000);
    collect();
    CHECK_EQ(2, ask("SELECT count(*) FROM process"));
    CHECK_EQ(2000, ask("SELECT count(*) FROM event WHERE a = seq"));
    CHECK_EQ(0, ask("SELECT count(*) FROM stats WHERE severity <> 'info'"));
    check_balance();
}

TEST(what_found_no_room_is_a_loss)
{
    recorded_begin(256);
    in_child(write_1000);
    collect();
    CHECK_EQ(256, ask("SELECT value FROM stats WHERE name = 'collected'"));
    CHECK_EQ(744, ask("SELECT value FROM stats WHERE name = 'lost' AND severity = 'loss'"));
    CHECK_EQ(744, ask("SELECT value FROM stats WHERE name = 'lost_no_room'"));
    check_balance();
}

static void tear(void)
{
    write_1000();
    writer_log->begun++; /* killed between the two counts */
}

TEST(a_record_in_the_making_is_torn)
{
    recorded_begin(4096);
    in_child(tear);
    collect();
    CHECK_EQ(1, ask("SELECT value FROM stats WHERE name = 'torn' AND severity = 'loss'"));
    check_balance();
}

static void miscount(void)
{
    write_1000();
    writer_log->begun += 5;
}

TEST(counts_that_do_not_balance_are_an_error)
{
    recorded_begin(4096);
    in_child(miscount);
    collect();
    CHECK_EQ(1, ask("SELECT count(*) FROM stats WHERE name = 'books' AND value = 'violated' AND severity = 'error'"));
}

static void spoil_records(void)
{
    write_1000();
    writer_records[10].kind = 999;
    writer_records[11].flags = SF_PHASE_BEGIN;
    writer_records[12].tsc = 5;
    writer_records[13].tsc = UINT64_MAX;
}

TEST(records_that_no_writer_writes_are_counted_by_cause_and_not_stored)
{
    recorded_begin(4096);
    in_child(spoil_records);
    collect();
    CHECK_EQ(996, ask("SELECT count(*) FROM event"));
    CHECK_EQ(1, ask("SELECT value FROM stats WHERE name = 'damaged_kind' AND severity = 'error'"));
    CHECK_EQ(1, ask("SELECT value FROM stats WHERE name = 'damaged_phase'"));
    CHECK_EQ(2, ask("SELECT value FROM stats WHERE name = 'damaged_time'"));
    CHECK_EQ(4, ask("SELECT value FROM stats WHERE name = 'damaged'"));
    check_balance();
}

static void raise_head(void)
{
    write_1000();
    writer_log->head += 100000;
}

static void cut_short(void)
{
    write_1000();
    CHECK_EQ(0, ftruncate(writer_fd, SF_LOG_RECORDS_OFFSET + 32 * 100));
}

TEST(impossible_counts_and_short_files_do_not_stop_the_others)
{
    recorded_begin(4096);
    in_child(raise_head);
    in_child(cut_short);
    in_child(write_1000);
    collect();
    CHECK_EQ(3, ask("SELECT count(*) FROM process"));
    CHECK_EQ(1000, ask("SELECT count(*) FROM event WHERE process = 3"));
    CHECK_EQ(2, ask("SELECT count(*) FROM stats WHERE name = 'damaged_log' AND severity = 'error'"));
    CHECK_EQ(1000, ask("SELECT value FROM stats WHERE name = 'damaged_unreadable'"));
    check_balance();
}

TEST(files_that_are_no_logs_are_counted_and_left_alone)
{
    recorded_begin(4096);
    CHECK_EQ(0, symlinkat("/etc/passwd", recorded.session.dir_fd, "log.1.1"));
    CHECK_EQ(0, mkfifoat(recorded.session.dir_fd, "log.2.2", 0600));
    int fd = openat(recorded.session.dir_fd, "log.3.3", O_CREAT | O_RDWR, 0600);
    CHECK_EQ(0, ftruncate(fd, 4096)); /* never completed */
    close(fd);
    in_child(write_1000);
    collect();
    CHECK_EQ(1, ask("SELECT count(*) FROM process"));
    CHECK_EQ(2, ask("SELECT value FROM stats WHERE name = 'refused_logs' AND severity = 'error'"));
    CHECK_EQ(1, ask("SELECT value FROM stats WHERE name = 'unmade_logs'"));
    check_balance();
}

TEST(inherited_descriptors_leave_room_for_all_logs_in_turn)
{
    enum { LIMIT = 128, INHERITED = 110, LOGS = 60 };
    recorded_begin(256);
    for (int i = 0; i < LOGS; i++)
        in_child(write_one);
    CHECK_EQ(0, setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, LIMIT}));
    while (dup(STDERR_FILENO) < INHERITED)
        ;
    collect();
    CHECK_EQ(LOGS, ask("SELECT count(*) FROM event"));
    CHECK_EQ(0, ask("SELECT count(*) FROM stats WHERE severity <> 'info'"));
    CHECK_EQ(0, ask("SELECT value FROM stats WHERE name = 'unmade_logs'"));
    check_balance();
}

TEST(a_log_that_comes_again_under_its_old_name_is_another_one)
{
    recorded_begin(4096);
    in_child(write_1000);
    CHECK_EQ(0, discover_logs(recorded.session.dir_fd, rename_log, NULL));
    CHECK_EQ(0, run((struct collect_job){0})); /* takes the log away */
    session_set_state(&recorded.session, SF_SESSION_ACTIVE);
    in_child(write_1000);
    CHECK_EQ(0, discover_logs(recorded.session.dir_fd, rename_log, NULL));
    collect();
    CHECK_EQ(2, ask("SELECT count(*) FROM process"));
    CHECK_EQ(2000, ask("SELECT count(*) FROM event"));
    check_balance();
}

static double second_age; /* of the process when it makes its second log, as a share of the first log's age */

/* Two logs by the same pid, 10 ms or more apart. */
static void write_two_logs(void)
{
    uint64_t first_tsc = writer_log->start_tsc;
    write_1000();
    usleep(10000);
    CHECK_EQ(0, writer_open(recorded.session.dir, 0, "second"));
    writer_log->age_ns = (uint64_t)(second_age * (double)(writer_tsc() - first_tsc) * recorded.clock.open.ns_per_tick);
    write_1000();
}

TEST(a_second_log_that_is_younger_than_its_process_belongs_to_it)
{
    recorded_begin(4096);
    second_age = 2;
    in_child(write_two_logs);
    collect();
    CHECK_EQ(1, ask("SELECT count(*) FROM process WHERE name = 'second'"));
    CHECK_EQ(1, ask("SELECT count(*) FROM process"));
    CHECK_EQ(2000, ask("SELECT count(*) FROM event WHERE a = seq % 1000"));
    CHECK_EQ(2000, ask("SELECT count(DISTINCT seq) FROM event"));
    CHECK_EQ(2000, ask("SELECT value FROM stats WHERE name = 'emitted'"));
    check_balance();
}

/* A third log says that its process is as old as the first one, though the second one is of a younger process. */
static void write_three_logs(void)
{
    write_two_logs();
    uint64_t age_ns = writer_log->age_ns;
    usleep(10000);
    CHECK_EQ(0, writer_open(recorded.session.dir, 0, "third"));
    writer_log->age_ns = 10 * age_ns + 1000000000;
    write_1000();
}

TEST(a_log_goes_on_after_the_last_one_of_its_process_whatever_age_it_claims)
{
    recorded_begin(4096);
    second_age = 0.5;
    in_child(write_three_logs);
    collect();
    CHECK_EQ(3000, ask("SELECT count(*) FROM (SELECT DISTINCT process, seq FROM event)"));
    check_balance();
}

TEST(a_recycled_pid_is_another_process)
{
    recorded_begin(4096);
    second_age = 0.5; /* it began after the first log was made */
    in_child(write_two_logs);
    collect();
    CHECK_EQ(2, ask("SELECT count(*) FROM process"));
    CHECK_EQ(2000, ask("SELECT count(*) FROM event WHERE a = seq"));
    check_balance();
}

/* Ten times what the log holds, no faster than it is emptied. */
static void write_pages(void)
{
    for (int i = 0; i < 10 * 256; i++) {
        while (writer_log->head - __atomic_load_n(&writer_log->tail, __ATOMIC_ACQUIRE) >= 250)
            usleep(100);
        W_INSTANT(MARK, 0, (uint64_t)i, 0);
    }
}

static pid_t writing;

static enum collect_verdict until_written(void *arg)
{
    (void)arg;
    return waitpid(writing, NULL, WNOHANG) ? COLLECT_STOP : COLLECT_ON;
}

static enum collect_verdict go_on(void *arg)
{
    (void)arg;
    return COLLECT_ON;
}

static void start_writing(void)
{
    writing = fork();
    if (writing == 0) {
        CHECK_EQ(0, writer_open(recorded.session.dir, 0, "child"));
        write_pages();
        _exit(0);
    }
}

/* How many records the session's only spill file holds; 0: there is none yet. */
static uint64_t count_set_aside(void)
{
    struct spill_header header = {0};
    uint64_t count = 0;
    DIR *dir = opendir(recorded.session.dir);
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, SPILL_PREFIX, strlen(SPILL_PREFIX)) == 0) {
            int fd = openat(dirfd(dir), entry->d_name, O_RDONLY);
            if (fd >= 0 && pread(fd, &header, sizeof header, 0) == sizeof header)
                count = header.end - header.first;
            close(fd);
        }
    closedir(dir);
    return count;
}

static int files_left(const char *prefix)
{
    char pattern[700];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s*", recorded.session.dir, prefix);
    int error = glob(pattern, 0, NULL, &found), count = error ? 0 : (int)found.gl_pathc;
    CHECK(!error || error == GLOB_NOMATCH);
    globfree(&found);
    return count;
}

TEST(a_collector_that_stores_only_at_the_end_loses_nothing_of_what_it_set_aside)
{
    recorded_begin(256);
    start_writing();
    CHECK_EQ(0, run((struct collect_job){.store_rows = COLLECT_AT_THE_END, .verdict = until_written}));
    store_close(recorded.store);
    CHECK_EQ(2560, ask("SELECT count(*) FROM event WHERE a = seq"));
    CHECK_EQ(0, ask("SELECT count(*) FROM stats WHERE severity <> 'info'"));
    CHECK_EQ(0, files_left("spill"));
    check_balance();
}

/* The collector is killed when it has set records aside; another one recovers. */
static void kill_and_recover(bool into_another)
{
    recorded_begin(256);
    store_commit(recorded.store);
    store_close(recorded.store);
    start_writing();
    pid_t collector = fork();
    if (collector == 0) {
        if (store_continue(&recorded.store, recorded_path, session_name(&recorded.session), &why))
            FAIL("%s", why.text);
        int error = run((struct collect_job){.store_rows = COLLECT_AT_THE_END, .verdict = go_on});
        FAIL("the collector ended: %s", error ? why.text : "no error");
    }
    bool written = false; /* nothing more comes */
    while (count_set_aside() < 4 * 256 && !written && waitpid(collector, NULL, WNOHANG) == 0) {
        usleep(1000);
        written = waitpid(writing, NULL, WNOHANG) != 0;
    }
    kill(collector, SIGKILL);
    waitpid(collector, NULL, 0);
    if (!written) {
        kill(writing, SIGKILL);
        waitpid(writing, NULL, 0);
    }
    if (written && count_set_aside() < 4 * 256)
        SKIP("other programs leave so little shared memory that it stored what it had set aside");
    CHECK(count_set_aside() >= 4 * 256);
    if (into_another) {
        unlink(recorded_path);
        CHECK_EQ(0, store_create(&recorded.store, recorded_path, &why));
        CHECK_EQ(0, start_database(recorded.store, &recorded.session, &recorded.clock, "test", getpid()));
    } else if (store_continue(&recorded.store, recorded_path, session_name(&recorded.session), &why)) {
        FAIL("%s", why.text);
    }
    CHECK_EQ(0, run((struct collect_job){.recovering = true}));
    store_close(recorded.store);
    CHECK(ask("SELECT count(*) FROM event") >= 4 * 256);
    CHECK_EQ(0, ask("SELECT count(*) FROM event WHERE a <> seq"));
    CHECK_EQ(0, ask("SELECT count(*) - count(DISTINCT seq) FROM event"));
    CHECK_EQ(0, ask("SELECT count(*) - 1 - max(seq) FROM event"));
    CHECK_EQ(0, files_left("spill"));
    check_balance();
}

TEST(what_a_killed_collector_had_set_aside_is_recovered)
{
    kill_and_recover(false);
}

TEST(what_a_killed_collector_had_set_aside_is_recovered_into_another_database)
{
    kill_and_recover(true);
}

static void noise(void)
{
    unsigned seed = 7;
    for (int i = 0; i < 4096; i++) {
        unsigned char *bytes = (unsigned char *)&writer_records[i];
        for (int j = 8; j < 32; j++)
            bytes[j] = (unsigned char)rand_r(&seed);
        writer_records[i].kind %= 24; /* mostly kinds there are, with any phase, lane, object, a and b */
        writer_records[i].tsc = writer_tsc();
    }
    writer_log->head = writer_log->begun = 4096;
}

TEST(noise_in_valid_shapes_is_survived)
{
    recorded_begin(4096);
    in_child(noise);
    collect();
    CHECK_EQ(4096, ask("SELECT value FROM stats WHERE name = 'emitted'"));
    CHECK(ask("SELECT count(*) FROM event") > 500);
    check_balance();
    CHECK(ask("SELECT count(*) FROM span") >= 0);
    CHECK(ask("SELECT count(*) FROM message") >= 0);
}

static void gap(void)
{
    W_BEGIN(RUN, 1, 0, 0);
    W_INSTANT(LOST, 0, 10, 0);
    W_END(RUN, 1, 0, 0);
    W_BEGIN(SEND, 1, 0, 0);
    W_END(SEND, 1, 1, 1);
}

TEST(after_a_gap_nothing_is_matched_across_it)
{
    recorded_begin(4096);
    in_child(gap);
    collect();
    CHECK_EQ(1, ask("SELECT count(*) FROM span"));
    CHECK_EQ(1, ask("SELECT count(*) FROM span WHERE kind = 'send'"));
    CHECK_EQ(1, ask("SELECT count(*) FROM stats WHERE name = 'unmatched_spans' AND severity = 'loss' AND value = 1"));
}

/* Three threads have the last lane, of 16,385 that have lived at once. */
static void crowd(void)
{
    for (uint64_t n = 1; n <= 16385; n++)
        writer_event(SF_EVENT_THREAD, SF_PHASE_INSTANT, n < SF_LANE_MAX ? (unsigned)n : SF_LANE_MAX, 0, n, n);
}

TEST(threads_that_find_no_lane_of_their_own_are_counted)
{
    recorded_begin(32768);
    in_child(crowd);
    collect();
    CHECK_EQ(3, ask("SELECT value FROM stats WHERE name = 'threads_without_lane' AND severity = 'loss'"));
    CHECK_EQ(16386, ask("SELECT count(*) FROM thread WHERE start_ns >= 0"));
}

static void two_threads(void)
{
    for (unsigned lane = 0; lane < 2; lane++)
        writer_event(SF_EVENT_SEND, SF_PHASE_BEGIN, lane, 1, 0, 0);
    for (unsigned lane = 0; lane < 2; lane++)
        writer_event(SF_EVENT_SEND, SF_PHASE_END, lane, 1, lane + 1, 8);
    writer_event(SF_EVENT_RUN, SF_PHASE_BEGIN, 1, 1, 0, 0);
}

TEST(lanes_are_matched_apart_and_open_spans_end_with_the_process)
{
    recorded_begin(4096);
    in_child(two_threads);
    collect();
    CHECK_EQ(2, ask("SELECT count(*) FROM span WHERE kind = 'send' AND a = lane + 1"));
    CHECK_EQ(1, ask("SELECT count(*) FROM span JOIN process p ON p.id = span.process"
                    " WHERE span.kind = 'run' AND closed = 0 AND span.end_ns = p.end_ns"));
    CHECK_EQ(2, ask("SELECT count(*) FROM message"));
    check_balance();
}

static void many_texts(void)
{
    for (uint32_t i = 1; i <= 20; i++) {
        char text[64];
        snprintf(text, sizeof text, "text number %u, which is longer than one record", i % 10);
        writer_text(i, text);
        W_INSTANT(MARK, i, 0, 0);
    }
    W_INSTANT(MARK, 77, 0, 0);
}

TEST(texts_are_stored_once_and_a_lost_one_is_marked)
{
    recorded_begin(4096);
    in_child(many_texts);
    in_child(many_texts);
    collect();
    CHECK_EQ(11, ask("SELECT count(*) FROM text"));
    CHECK_EQ(2, ask("SELECT count(*) FROM event e JOIN text t ON t.id = e.object WHERE kind = (SELECT id FROM "
                    "event_kind WHERE name = 'mark') AND text = '(lost "
                    "text)'"));
    CHECK_EQ(4, ask("SELECT count(*) FROM event e JOIN text t ON t.id = e.object WHERE kind = (SELECT id FROM "
                    "event_kind WHERE name = 'mark')"
                    " AND text = 'text number 3, which is longer than one record'"));
}

TEST_MAIN()
