/* One log's way into the database: what is taken when, also by a second collector, and what becomes of the log. */
#include "tracer/imported.h"

#include <sys/stat.h>

static bool has_spill(void)
{
    char name[320];
    struct stat st;
    snprintf(name, sizeof name, SPILL_PREFIX "%s", log_file + strlen(SF_LOG_PREFIX));
    return fstatat(recorded.session.dir_fd, name, &st, 0) == 0;
}

/* What came from the log is in the table, whole and in order, and every record is accounted for. */
static void check_marks(const struct log_import *import, long long count)
{
    CHECK_EQ(count, now("SELECT count(*) FROM event WHERE a = seq"));
    CHECK_EQ(count, now("SELECT count(DISTINCT seq) FROM event"));
    CHECK_EQ(count, import->counts.taken);
    CHECK_EQ(count, import->counts.collected);
    CHECK_EQ(count, import->counts.begun);
}

TEST(records_become_rows_in_the_order_of_writing)
{
    begin(16384);
    struct log_import *import = import_log();
    write_marks(0, 10000); /* more than one batch */
    log_import_look(import);
    CHECK_EQ(10000, log_import_left(import));
    CHECK_EQ(10000, take_all(import));
    CHECK_EQ(0, log_import_left(import));
    check_marks(import, 10000);
    CHECK_EQ(1, now("SELECT count(*) FROM process WHERE name = 'writer'"));
    end(import);
}

TEST(what_was_written_after_the_look_is_left_to_the_next_one)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 128);
    CHECK(log_import_look(import) == 0.5);
    write_marks(128, 140);
    CHECK_EQ(128, take_all(import));
    CHECK_EQ(12, look_and_take(import));
    check_marks(import, 140);
    end(import);
}

TEST(the_writer_has_its_room_back_after_the_release_and_not_before)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 256);
    CHECK_EQ(256, look_and_take(import));
    CHECK_EQ(0, writer_log->tail);
    commit(import);
    CHECK_EQ(0, writer_log->tail);
    log_import_release(import);
    CHECK_EQ(256, writer_log->tail);
    write_marks(256, 512);
    CHECK_EQ(256, look_and_take(import));
    check_marks(import, 512);
    end(import);
}

TEST(set_aside_records_come_first)
{
    begin(256);
    struct log_import *import = import_log();
    for (int round = 0; round < 4; round++) {
        write_marks(round * 256, round * 256 + 256);
        log_import_look(import);
        CHECK_EQ(0, log_import_set_aside(import));
        CHECK_EQ(round * 256 + 256, writer_log->tail);
    }
    CHECK(has_spill());
    write_marks(1024, 1100);
    log_import_look(import);
    CHECK_EQ(1100, log_import_left(import));
    CHECK_EQ(1100, take_all(import));
    check_marks(import, 1100);
    commit(import);
    log_import_release(import);
    CHECK(!has_spill());
    CHECK_EQ(1100, writer_log->tail);
    end(import);
}

TEST(what_was_taken_and_then_set_aside_is_not_stored_again)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 100);
    CHECK_EQ(100, look_and_take(import));
    write_marks(100, 200);
    log_import_look(import);
    CHECK_EQ(0, log_import_set_aside(import)); /* all 200: none of them was released */
    CHECK_EQ(100, take_all(import));
    check_marks(import, 200);
    end(import);
}

TEST(it_continues_where_an_earlier_collector_stopped)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 100);
    CHECK_EQ(100, look_and_take(import));
    commit(import); /* and dies before the release */
    write_marks(100, 120);
    import = die_and_recover(import);
    CHECK_EQ(20, look_and_take(import));
    check_marks(import, 120);
    CHECK_EQ(1, now("SELECT count(*) FROM process"));
    CHECK_EQ(1, now("SELECT count(*) FROM log"));
    end(import);
}

TEST(what_an_earlier_collector_took_and_did_not_commit_is_taken_again)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 50);
    CHECK_EQ(50, look_and_take(import));
    commit(import);
    log_import_release(import);
    write_marks(50, 100);
    CHECK_EQ(50, look_and_take(import));
    import = die_and_recover(import);
    CHECK_EQ(50, look_and_take(import));
    check_marks(import, 100);
    end(import);
}

TEST(what_an_earlier_collector_set_aside_is_taken_before_the_log)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 30);
    CHECK_EQ(30, look_and_take(import));
    commit(import);
    log_import_release(import);
    write_marks(30, 90);
    log_import_look(import);
    CHECK_EQ(0, log_import_set_aside(import));
    write_marks(90, 100);
    import = die_and_recover(import);
    CHECK_EQ(70, look_and_take(import));
    check_marks(import, 100);
    end(import);
}

TEST(spans_that_were_open_when_the_earlier_collector_stopped_are_ended)
{
    begin(256);
    struct log_import *import = import_log();
    W_BEGIN(RUN, 1, 0, 0);
    W_BEGIN(SEND, 2, 0, 0);
    CHECK_EQ(2, look_and_take(import));
    commit(import);
    import = die_and_recover(import);
    W_END(SEND, 2, 1, 8);
    CHECK_EQ(1, look_and_take(import));
    CHECK_EQ(1, now("SELECT count(*) FROM span WHERE kind = 'send' AND closed"));
    log_import_end(import, &context, false);
    CHECK_EQ(1, now("SELECT count(*) FROM span WHERE kind = 'run' AND NOT closed"));
    CHECK_EQ(0, import->counts.unmatched);
    end(import);
}

TEST(what_went_into_another_database_counts_as_elsewhere)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 100);
    CHECK_EQ(100, look_and_take(import));
    commit(import);
    log_import_release(import);
    log_import_free(import);
    free_context();
    store_discard(recorded.store);
    CHECK_EQ(0, store_create(&recorded.store, recorded_path, &why));
    set_context(true);
    store_begin(recorded.store);
    write_marks(100, 130);
    import = import_log();
    CHECK_EQ(30, look_and_take(import));
    CHECK_EQ(100, import->counts.elsewhere);
    CHECK_EQ(30, import->counts.collected);
    CHECK_EQ(130, import->counts.taken);
    CHECK_EQ(30, now("SELECT count(*) FROM event WHERE a = seq AND seq >= 100"));
    end(import);
}

TEST(counts_balance_when_records_are_damaged)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 100);
    writer_records[10].kind = 0;
    writer_records[11].kind = 999;
    writer_records[12].flags = SF_PHASE_END; /* MARK has no end */
    writer_records[13].tsc = 1;
    writer_records[14].tsc = UINT64_MAX;
    CHECK_EQ(100, look_and_take(import));
    CHECK_EQ(95, import->counts.collected);
    CHECK_EQ(2, import->counts.bad_kind);
    CHECK_EQ(1, import->counts.bad_phase);
    CHECK_EQ(2, import->counts.bad_time);
    CHECK_EQ(100, import->counts.taken);
    CHECK_EQ(95, now("SELECT count(*) FROM event WHERE a = seq"));
    commit(import);
    CHECK_EQ(1, now("SELECT taken = 100 AND collected + bad_kind + bad_phase + bad_time = 100 FROM log"));
    end(import);
}

TEST(counts_are_stored_when_they_changed_and_only_then)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 10);
    look_and_take(import);
    log_import_store_counts(import, &context);
    CHECK(!import->changed);
    write_marks(10, 20);
    log_import_look(import);
    CHECK(!import->changed);
    log_import_store_counts(import, &context);
    CHECK_EQ(10, now("SELECT begun FROM log"));
    take_all(import);
    CHECK(import->changed);
    log_import_store_counts(import, &context);
    CHECK_EQ(20, now("SELECT begun FROM log"));
    end(import);
}

TEST(a_log_with_impossible_counts_is_damaged_and_keeps_what_was_taken)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 10);
    CHECK_EQ(10, look_and_take(import));
    writer_log->head = 1000;
    CHECK(log_import_look(import) == 0);
    CHECK(import->counts.damaged);
    CHECK_EQ(0, log_import_left(import));
    CHECK_EQ(0, take_all(import));
    CHECK_EQ(0, log_import_set_aside(import));
    log_import_release(import);
    CHECK_EQ(0, writer_log->tail);
    check_marks(import, 10);
    end(import);
}

TEST(records_behind_the_end_of_a_short_file_are_unreadable)
{
    begin(256);
    struct log_import *import = import_log();
    write_marks(0, 100);
    log_import_look(import);
    CHECK_EQ(0, ftruncate(writer_fd, SF_LOG_RECORDS_OFFSET + 33));
    CHECK_EQ(0, take_all(import));
    CHECK(import->counts.damaged);
    CHECK_EQ(100, import->counts.unreadable);
    CHECK_EQ(100, import->counts.taken);
    end(import);
}

/* A file with the log's name and this content of its header. */
static void put_log(const struct sf_log_header *header, mode_t mode)
{
    snprintf(log_file, sizeof log_file, SF_LOG_PREFIX "1.%d", (int)mode);
    int fd = openat(recorded.session.dir_fd, log_file, O_CREAT | O_TRUNC | O_RDWR, 0600);
    CHECK_EQ(0, ftruncate(fd, SF_LOG_RECORDS_OFFSET + 256 * 32));
    CHECK_EQ(sizeof *header, pwrite(fd, header, sizeof *header, 0));
    CHECK_EQ(0, fchmod(fd, mode));
    close(fd);
}

TEST(logs_of_another_shape_or_owner_are_refused_and_left_alone)
{
    struct log_import *import;
    begin(256);
    const struct sf_log_header good = *writer_log;
    struct sf_log_header bad[5] = {good, good, good, good, good};
    bad[0].magic++;
    bad[1].version++;
    bad[2].capacity = 512;
    bad[3].pid = 0;
    for (int i = 0; i < 5; i++) {
        put_log(&bad[i], i == 4 ? 0640 : 0600);
        CHECK_EQ(0, log_import_open(&import, &context, log_file));
        CHECK(import->refused);
        log_import_free(import);
        CHECK_EQ(0, faccessat(recorded.session.dir_fd, log_file, F_OK, 0));
    }
    put_log(&good, 0600);
    end(import_log());
}

TEST(a_log_that_is_still_being_made_is_tried_again)
{
    struct log_import *import;
    begin(256);
    struct sf_log_header header = *writer_log;
    header.magic = 0;
    put_log(&header, 0600);
    CHECK_EQ(-EAGAIN, log_import_open(&import, &context, log_file));
    put_log(writer_log, 0600);
    end(import_log());
}

TEST(a_name_that_is_too_long_is_refused)
{
    struct log_import *import;
    char name[80] = SF_LOG_PREFIX;
    begin(256);
    memset(name + strlen(name), '1', sizeof name - 1 - strlen(name));
    CHECK_EQ(0, log_import_open(&import, &context, name));
    CHECK(import->refused);
    end(import);
}

/* A child's log, which is read from here. */
static void write_and_exit(void)
{
    write_marks(0, 10);
}

static struct log_import *import_of_dead_child(void)
{
    in_child(write_and_exit);
    char own[300];
    snprintf(own, sizeof own, "%s", log_file);
    log_file[0] = '\0';
    CHECK_EQ(0, unlinkat(recorded.session.dir_fd, own, 0));
    CHECK_EQ(0, discover_logs(recorded.session.dir_fd, keep_last, NULL));
    struct log_import *import = import_log();
    CHECK(author_is_over(&import->author, import->reader.fd));
    return import;
}

static int spares(void)
{
    struct stat st;
    int count = 0;
    for (int i = 0; i < SF_SPARES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, SF_SPARE_PREFIX "%d", i);
        count += fstatat(recorded.session.dir_fd, name, &st, 0) == 0;
    }
    return count;
}

TEST(the_log_of_a_dead_process_becomes_a_spare)
{
    begin(256);
    struct log_import *import = import_of_dead_child();
    int before = spares();
    CHECK_EQ(10, look_and_take(import));
    log_import_end(import, &context, false);
    commit(import);
    log_import_release(import);
    log_import_remove(import, &context);
    CHECK_EQ(-1, faccessat(recorded.session.dir_fd, log_file, F_OK, 0));
    CHECK_EQ(before + 1, spares());
    end(NULL);
}

TEST(a_damaged_log_is_removed_and_becomes_no_spare)
{
    begin(256);
    struct log_import *import = import_of_dead_child();
    int before = spares();
    import->counts.damaged = true;
    log_import_end(import, &context, false);
    commit(import);
    log_import_remove(import, &context);
    CHECK_EQ(-1, faccessat(recorded.session.dir_fd, log_file, F_OK, 0));
    CHECK_EQ(before, spares());
    end(NULL);
}

TEST(a_second_log_belongs_to_the_process_if_that_is_old_enough)
{
    begin(256);
    struct log_import *first = import_log();
    write_marks(0, 20);
    CHECK_EQ(20, look_and_take(first));
    log_import_store_counts(first, &context);
    usleep(2000);
    CHECK_EQ(0, writer_open(recorded.session.dir, 0, "second"));
    CHECK_EQ(0, discover_logs(recorded.session.dir_fd, keep_last, NULL));
    struct log_import *young, *old;
    CHECK_EQ(0, log_import_open(&young, &context, log_file));
    CHECK(!log_import_continues(young, first, &context)); /* just forked: its pid belonged to another process before */
    log_import_free(young);
    writer_log->age_ns = 1000000000;
    old = import_log();
    CHECK(log_import_continues(old, first, &context));
    CHECK(!log_import_continues(first, old, &context));
    write_marks(20, 40);
    CHECK_EQ(20, look_and_take(old));
    CHECK_EQ(1, now("SELECT count(*) FROM process"));
    CHECK_EQ(40, now("SELECT count(*) FROM event WHERE a = seq"));
    log_import_free(first);
    end(old);
}

TEST_MAIN()
