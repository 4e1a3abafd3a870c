/* What the records of a log say, as log_import stores it: texts, tasks, channels, waits, ends, time. */
#include "tracer/imported.h"

TEST(a_text_split_over_records_is_one)
{
    begin(256);
    struct log_import *import = import_log();
    const char *text = "a text that takes three records, and is cut in two by a look";
    writer_text(1, text);
    uint64_t all = writer_log->head;
    CHECK_EQ(4, all);
    writer_log->head = 2; /* the look comes between the second and the third */
    CHECK_EQ(2, look_and_take(import));
    CHECK_EQ(0, now("SELECT count(*) FROM text"));
    writer_log->head = all;
    W_INSTANT(MARK, 1, 0, 0);
    CHECK_EQ(3, look_and_take(import));
    CHECK_EQ(1,
             now("SELECT count(*) FROM event e JOIN text t ON t.id = e.object JOIN event_kind k ON k.id = e.kind"
                 " WHERE k.name = 'mark' AND t.text = 'a text that takes three records, and is cut in two by a look'"));
    end(import);
}

TEST(two_texts_whose_records_alternate_are_not_mixed)
{
    begin(256);
    struct log_import *import = import_log();
    const char *texts[] = {"0123456789abcdef first", "0123456789abcdef second"};
    uint64_t ab[2];
    for (size_t at = 0; at < 32; at += 16)
        for (uint32_t i = 0; i < 2; i++) {
            memset(ab, 0, sizeof ab);
            memcpy(ab, texts[i] + at, at ? strlen(texts[i]) - at : 16);
            W_INSTANT(TEXT, i + 1, ab[0], ab[1]);
        }
    CHECK_EQ(4, look_and_take(import));
    CHECK_EQ(2, now("SELECT count(*) FROM text WHERE text IN ('0123456789abcdef first', '0123456789abcdef second')"));
    end(import);
}

TEST(a_text_with_a_gap_in_it_is_lost)
{
    begin(256);
    struct log_import *import = import_log();
    writer_text(1, "a text of which the end is missing");
    writer_log->head = 1;
    W_INSTANT(LOST, 0, 2, 0);
    W_INSTANT(MARK, 1, 0, 0);
    CHECK_EQ(3, look_and_take(import));
    CHECK_EQ(1, import->counts.gaps);
    CHECK_EQ(1, now("SELECT count(*) FROM event e JOIN text t ON t.id = e.object WHERE t.text = '(lost text)'"));
    writer_text(1, "another");
    CHECK_EQ(1, look_and_take(import));
    CHECK_EQ(1,
             now("SELECT count(*) FROM text WHERE text = 'another'")); /* and not joined to the half before the gap */
    end(import);
}

TEST(frames_and_stacks_have_one_row_each_and_what_was_lost_of_them_says_so)
{
    begin(256);
    struct log_import *import = import_log();
    writer_text(1, "work");
    writer_text(2, "prog.py");
    W_INSTANT(FRAME, 1, 1, 2 | UINT64_C(7) << 32);
    W_INSTANT(FRAME, 2, 1, 2 | UINT64_C(7) << 32); /* the same, by another number */
    W_INSTANT(FRAME, 3, 0, 2);                     /* its name could not be written */
    W_INSTANT(STACK, 4, 0, 1);
    W_INSTANT(STACK, 5, 0, 2);
    W_INSTANT(STACK, 6, 4, 3);
    W_INSTANT(STACK, 7, 99, 98); /* neither its caller nor its frame is known */
    W_INSTANT(SAMPLE, 5, 1000, 0);
    W_INSTANT(SAMPLE, 7, 1000, 0);
    W_INSTANT(SAMPLE, 0, 1000, 0);
    look_and_take(import);
    CHECK_EQ(1, now("SELECT count(*) FROM frame WHERE function = 'work' AND file = 'prog.py' AND line = 7"));
    CHECK_EQ(2, now("SELECT count(*) FROM frame WHERE function = '(lost text)'")); /* with and without a file */
    CHECK_EQ(1,
             now("SELECT count(*) FROM stack WHERE parent IS NULL AND frame = (SELECT id FROM frame WHERE line = 7)"));
    CHECK_EQ(4, now("SELECT count(*) FROM stack"));
    CHECK_EQ(1, now("SELECT count(*) FROM sample s JOIN stack t ON t.id = s.stack JOIN frame f ON f.id = t.frame "
                    "WHERE f.function = 'work' AND s.cpu_ns = 1000"));
    CHECK_EQ(1, now("SELECT count(*) FROM sample WHERE stack IS NULL"));
    end(import);
}

TEST(tasks_and_channels_have_rows_of_their_own)
{
    begin(256);
    struct log_import *import = import_log();
    writer_text(1, "worker");
    W_INSTANT(TASK, 7, 1, SF_TASK_THREAD);
    W_INSTANT(CHANNEL, 9, 4096, 0);
    writer_text(2, "requests\x1b[31m");
    W_INSTANT(CHANNEL_NAME, 9, 2, 0);
    W_INSTANT(TASK, 8, 0, 99); /* an unknown kind */
    look_and_take(import);
    CHECK_EQ(1, now("SELECT count(*) FROM channel WHERE name LIKE 'requests%' AND capacity_bytes = 4096"));
    CHECK_EQ(1, now("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind JOIN text t ON t.id = e.a"
                    " WHERE k.name = 'channel_name' AND t.text LIKE 'requests%'"));
    CHECK_EQ(1, now("SELECT count(*) FROM task WHERE kind = 'thread' AND name = 'worker' AND creator = 1"));
    CHECK_EQ(1, now("SELECT count(*) FROM task WHERE kind IS NULL"));
    CHECK_EQ(4096, now("SELECT capacity_bytes FROM channel WHERE creator = 1"));
    CHECK_EQ(1, now("SELECT count(*) FROM event e JOIN event_kind k ON k.id = e.kind JOIN task t ON t.id = e.object"
                    " WHERE k.name = 'task' AND t.name = 'worker'"));
    end(import);
}

TEST(a_wait_points_at_the_row_of_what_is_waited_for)
{
    begin(256);
    struct log_import *import = import_log();
    W_INSTANT(TASK, 5, 0, SF_TASK_THREAD);
    W_INSTANT(CHANNEL, 5, 64, 0);
    W_BEGIN(WAIT, 0, SF_WAIT_CHILD, 5);
    W_END(WAIT, 0, SF_WAIT_CHILD, 5);
    W_BEGIN(WAIT, 0, SF_WAIT_ROOM, 5);
    W_END(WAIT, 0, SF_WAIT_ROOM, 5);
    W_BEGIN(WAIT, 0, SF_WAIT_CHILD, 0);
    W_END(WAIT, 0, SF_WAIT_CHILD, 0);
    look_and_take(import);
    CHECK_EQ(1, now("SELECT (SELECT b FROM span WHERE kind = 'wait' AND a = 3 AND b > 0) = (SELECT id FROM task)"));
    CHECK_EQ(1, now("SELECT (SELECT b FROM span WHERE kind = 'wait' AND a = 2) = (SELECT id FROM channel)"));
    CHECK_EQ(1, now("SELECT count(*) FROM span WHERE kind = 'wait' AND b = 0"));
    end(import);
}

TEST(an_exit_and_a_reap_are_kept_with_their_status)
{
    begin(256);
    struct log_import *import = import_log();
    W_INSTANT(REAP, 1, 4711, (uint64_t)-9);
    W_INSTANT(EXIT, 2, 3, 0);
    look_and_take(import);
    CHECK_EQ(-9, now("SELECT status FROM reap WHERE pid = 4711"));
    CHECK_EQ(3, import->counts.exit_status);
    CHECK(import->counts.exit_tsc > 0);
    end(import);
}

TEST(time_that_runs_backwards_is_counted_for_each_lane)
{
    begin(256);
    struct log_import *import = import_log();
    uint64_t tsc = writer_tsc();
    const struct {
        uint64_t tsc;
        unsigned lane;
    } marks[] = {{tsc, 0}, {tsc - 5, 1}, {tsc - 1, 0}, {tsc, 1}, {tsc, SF_LANE_MAX}, {tsc - 1, SF_LANE_MAX}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        writer_put(marks[i].tsc, SF_EVENT_MARK, SF_PHASE_INSTANT, marks[i].lane, 0, 0, 0);
    look_and_take(import);
    CHECK_EQ(1, import->counts.backwards); /* the last lane is shared by threads */
    CHECK_EQ(tsc - 5, import->counts.first_tsc);
    CHECK_EQ(tsc, import->counts.last_tsc);
    end(import);
}

/* From here on the lane is that thread's. */
static void put_thread(unsigned lane, uint64_t since, uint32_t name)
{
    writer_event(SF_EVENT_THREAD, SF_PHASE_INSTANT, lane, name, since, 4711);
}

static void put_span(unsigned phase, unsigned lane, uint64_t number)
{
    writer_event(SF_EVENT_SPAN, phase, lane, 1, number, 0);
}

TEST(the_ends_of_numbered_spans_find_their_begins_in_any_order_and_lane)
{
    begin(256);
    struct log_import *import = import_log();
    writer_text(1, "one name");
    put_span(SF_PHASE_BEGIN, 0, 1);
    put_span(SF_PHASE_BEGIN, 0, 2);
    put_span(SF_PHASE_BEGIN, 0, 3);
    put_span(SF_PHASE_END, 0, 1);
    put_span(SF_PHASE_END, 1, 3);
    look_and_take(import);
    CHECK_EQ(2, now("SELECT count(*) FROM span WHERE kind = 'span' AND lane = 0 AND closed AND a IN (1, 3)"));
    CHECK_EQ(2, now("SELECT count(*) FROM event e JOIN event b ON b.rowid = e.begin WHERE b.a = e.a"));
    CHECK_EQ(0, spans_unmatched(import->spans));
    log_import_end(import, &context, false);
    CHECK_EQ(2, now("SELECT e.a FROM open_span JOIN event e ON e.rowid = event"));
    end(import);
}

TEST(an_end_without_its_begin_is_counted_and_one_that_began_before_the_log_apart)
{
    begin(256);
    struct log_import *import = import_log();
    put_span(SF_PHASE_BEGIN, 0, 7);
    put_span(SF_PHASE_END, 0, 8);
    writer_event(SF_EVENT_SPAN, SF_PHASE_END, 0, 1, 7, 1); /* number 7 of another log */
    look_and_take(import);
    commit(import);
    CHECK_EQ(1, now("SELECT unmatched FROM log"));
    CHECK_EQ(1, now("SELECT begun_before FROM log"));
    CHECK_EQ(0, now("SELECT count(*) FROM event WHERE begin > 0"));
    end(import);
}

TEST(spans_without_a_number_end_within_their_thread)
{
    begin(256);
    struct log_import *import = import_log();
    W_BEGIN(SPAN, 1, 0, 0);
    writer_event(SF_EVENT_SPAN, SF_PHASE_END, 1, 1, 0, 0);
    look_and_take(import);
    CHECK_EQ(1, spans_unmatched(import->spans));
    W_END(SPAN, 1, 0, 0);
    look_and_take(import);
    CHECK_EQ(1, now("SELECT count(*) FROM span WHERE kind = 'span' AND closed"));
    end(import);
}

static void put_receive(unsigned phase, unsigned lane)
{
    writer_event(SF_EVENT_RECEIVE, phase, lane, 1, 0, 0);
}

TEST(a_thread_does_not_end_the_spans_of_the_one_that_had_its_lane_before)
{
    begin(256);
    struct log_import *import = import_log();
    put_thread(1, 100, 0);
    put_receive(SF_PHASE_BEGIN, 1);
    put_thread(1, 200, 0);
    put_receive(SF_PHASE_END, 1);
    look_and_take(import);
    CHECK_EQ(1, spans_unmatched(import->spans));
    put_receive(SF_PHASE_BEGIN, 1);
    put_thread(1, 200, 0); /* another name: still the same thread */
    put_receive(SF_PHASE_END, 1);
    look_and_take(import);
    CHECK_EQ(1, spans_unmatched(import->spans));
    log_import_end(import, &context, false);
    CHECK_EQ(1, now("SELECT count(*) FROM open_span JOIN event e ON e.rowid = event WHERE e.seq = 1"));
    end(import);
}

TEST(another_collector_knows_whose_open_spans_are_whose)
{
    begin(256);
    struct log_import *import = import_log();
    put_thread(1, 100, 0);
    put_receive(SF_PHASE_BEGIN, 1);
    put_thread(1, 200, 0);
    put_receive(SF_PHASE_BEGIN, 1);
    put_span(SF_PHASE_BEGIN, 1, 5);
    put_span(SF_PHASE_BEGIN, 1, 6);
    look_and_take(import);
    commit(import);
    log_import_release(import);
    import = die_and_recover(import);
    put_span(SF_PHASE_END, 1, 5);
    put_receive(SF_PHASE_END, 1);
    put_receive(SF_PHASE_END, 1);
    look_and_take(import);
    CHECK_EQ(1, spans_unmatched(import->spans));
    CHECK_EQ(3, now("SELECT begin.seq FROM event e JOIN event begin ON begin.rowid = e.begin WHERE e.seq = 7"));
    CHECK_EQ(5, now("SELECT begin.a FROM event e JOIN event begin ON begin.rowid = e.begin WHERE e.seq = 6"));
    CHECK_EQ(3, now("SELECT count(*) FROM thread"));
    end(import);
}

TEST(threads_have_their_last_names_and_where_their_records_begin)
{
    begin(256);
    struct log_import *import = import_log();
    writer_text(1, "painter");
    put_thread(1, 100, 1);
    writer_text(2, "writer");
    put_thread(1, 100, 2);
    put_thread(1, 200, 0);
    look_and_take(import);
    CHECK_EQ(1, now("SELECT count(*) FROM thread WHERE lane = 0 AND name = 'MainThread' AND tid ="
                    " (SELECT pid FROM process)"));
    CHECK_EQ(1, now("SELECT count(*) FROM thread WHERE lane = 1 AND name = 'writer' AND first_seq = 1 AND tid = 4711"));
    CHECK_EQ(1, now("SELECT count(*) FROM thread WHERE lane = 1 AND name IS NULL AND first_seq = 4"));
    CHECK_EQ(1, now("SELECT e.object = t.id FROM event e JOIN text t ON t.text = 'painter' WHERE seq = 1"));
    end(import);
}

TEST(the_end_stores_open_spans_and_the_name_that_the_process_has_by_then)
{
    begin(256);
    struct log_import *import = import_log();
    W_BEGIN(RUN, 1, 0, 0);
    look_and_take(import);
    snprintf(writer_log->name, sizeof writer_log->name, "renamed");
    log_import_end(import, &context, true);
    CHECK(import->ended);
    CHECK_EQ(1, now("SELECT count(*) FROM open_span"));
    CHECK_EQ(1, now("SELECT count(*) FROM process WHERE name = 'renamed'"));
    CHECK_EQ(1, now("SELECT running FROM log"));
    end(import);
}

TEST_MAIN()
