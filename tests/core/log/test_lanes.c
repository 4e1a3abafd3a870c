/* Lanes of threads. */
#include "core/log/lanes.h"

#include <pthread.h>

#include "core/log/log.h"
#include "core/log/log_session.h"
#include "harness.h"

enum { RECORDS = 1 << 16 };

/* More than there are lanes; a sanitizer takes most of a minute for so many. */
#ifdef __SANITIZE_ADDRESS__
enum { THREADS = 4000 };
#else
enum { THREADS = 20000 };
#endif

/* The log's writers take turns, as Python's threads do. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static struct sf_log_header *begin(void)
{
    CHECK_EQ(0, sf_log_init());
    make_session("/dev/shm", RECORDS);
    CHECK_EQ(0, sf_log_attach(directory));
    return open_log(getpid(), RECORDS);
}

static void *mark_once(void *lane)
{
    pthread_mutex_lock(&turn);
    mark(1);
    *(uint32_t *)lane = sf_lanes_own;
    pthread_mutex_unlock(&turn);
    return NULL;
}

static uint32_t lane_of_new_thread(void)
{
    pthread_t thread;
    uint32_t lane;
    CHECK_EQ(0, pthread_create(&thread, NULL, mark_once, &lane));
    CHECK_EQ(0, pthread_join(thread, NULL));
    return lane;
}

TEST(the_first_thread_has_lane_0_and_a_lane_is_used_again_when_its_thread_has_ended)
{
    struct sf_log_header *log = begin();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(1, lane_of_new_thread());
    mark(2);
    remove_session();
    CHECK_EQ(0, sf_lanes_own);
    CHECK_EQ(2, sf_lanes_end());
    CHECK_EQ(2 * THREADS + 1, log->head);
    CHECK_EQ(0, log->lost);
    for (uint64_t i = 0; i < 2 * THREADS; i += 2) {
        const struct sf_record *thread = &records_of(log)[i], *event = thread + 1;
        CHECK(thread->kind == SF_EVENT_THREAD && thread->flags == 1 << SF_LANE_SHIFT && thread->object == 0);
        CHECK(event->kind == SF_EVENT_MARK && event->flags == 1 << SF_LANE_SHIFT && event->tsc >= thread->tsc);
        CHECK(thread->a <= thread->tsc && thread->b > 0 && (i == 0 || thread->a > thread[-2].a));
    }
}

static void *begin_and_mark(void *unused)
{
    begin();
    mark(1);
    CHECK_EQ(1, sf_lanes_own);
    return unused;
}

TEST(lane_0_is_the_processs_first_thread_whichever_thread_began)
{
    pthread_t thread;
    struct sf_lane held;
    CHECK_EQ(0, pthread_create(&thread, NULL, begin_and_mark, NULL));
    CHECK_EQ(0, pthread_join(thread, NULL));
    mark(2);
    remove_session();
    CHECK_EQ(0, sf_lanes_own);
    CHECK(sf_lanes_holder(0, &held) && held.thread == (uint64_t)pthread_self() && held.tid == (uint32_t)getpid());
    CHECK_EQ(1, lane_of_new_thread());
}

static pthread_barrier_t all_have_theirs;

static void *mark_and_stay(void *lane)
{
    mark_once(lane);
    pthread_barrier_wait(&all_have_theirs);
    pthread_barrier_wait(&all_have_theirs);
    return NULL;
}

TEST(threads_that_live_at_once_have_lanes_of_their_own)
{
    enum { COUNT = 200 };
    pthread_t threads[COUNT];
    uint32_t lanes[COUNT];
    begin();
    remove_session();
    pthread_barrier_init(&all_have_theirs, NULL, COUNT + 1);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ(0, pthread_create(&threads[i], NULL, mark_and_stay, &lanes[i]));
    pthread_barrier_wait(&all_have_theirs);
    for (int i = 0; i < COUNT; i++) {
        struct sf_lane held;
        CHECK(lanes[i] >= 1 && lanes[i] <= COUNT && sf_lanes_holder(lanes[i], &held));
        CHECK_EQ((uint64_t)threads[i], held.thread);
        CHECK_EQ(lanes[i], sf_lanes_of((uint64_t)threads[i]));
    }
    pthread_barrier_wait(&all_have_theirs);
    for (int i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(SF_LANES_NONE, sf_lanes_of((uint64_t)threads[0]));
    CHECK_EQ(1, lane_of_new_thread());
}

/* So many threads cannot be made everywhere, so one takes all lanes. */
static void *take_all(void *unused)
{
    for (uint32_t lane = 1; lane < SF_LANE_MAX; lane++) {
        sf_lanes_own = SF_LANES_NONE;
        sf_lanes_take(lane);
        CHECK_EQ(lane, sf_lanes_own);
    }
    sf_lanes_own = SF_LANES_NONE; /* so it gives none back */
    return unused;
}

static void run_thread(void *(*run)(void *))
{
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, run, NULL));
    CHECK_EQ(0, pthread_join(thread, NULL));
}

TEST(when_all_are_taken_the_last_lane_is_shared)
{
    struct sf_log_header *log = begin();
    run_thread(take_all);
    uint64_t before = log->head;
    CHECK_EQ(SF_LANE_MAX, lane_of_new_thread());
    CHECK_EQ(SF_LANE_MAX, lane_of_new_thread());
    remove_session();
    CHECK_EQ(before + 4, log->head);
    for (uint64_t i = before; i < before + 4; i++) {
        CHECK_EQ(SF_LANE_MAX << SF_LANE_SHIFT, records_of(log)[i].flags);
        CHECK_EQ((i - before) % 2 ? SF_EVENT_MARK : SF_EVENT_THREAD, records_of(log)[i].kind);
    }
}

static void *fork_and_check(void *unused)
{
    mark(1);
    CHECK_EQ(1, sf_lanes_own);
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQ(1, lane_of_new_thread()); /* also before the first thread's next event */
        mark(3);
        CHECK_EQ(0, sf_lanes_own);
        struct sf_record *records = records_of(open_log(getpid(), RECORDS));
        CHECK_EQ(SF_EVENT_START, records[0].kind);
        CHECK_EQ(0, records[0].flags);
        CHECK_EQ(SF_EVENT_MARK, records[3].kind);
        CHECK_EQ(0, records[3].flags);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
    return unused;
}

TEST(in_a_forked_child_the_forking_thread_has_lane_0_and_all_others_are_free)
{
    begin();
    run_thread(fork_and_check);
    remove_session();
}

static uint32_t name_of(uint32_t lane, uint64_t thread)
{
    char name[40];
    (void)thread;
    return lane ? sf_log_text(name, (uint64_t)snprintf(name, sizeof name, "a thread with a long name, lane %u", lane))
                : 0;
}

TEST(a_thread_is_introduced_by_its_name_before_its_first_event)
{
    struct sf_log_header *log = begin();
    sf_log_name_threads_by(name_of);
    lane_of_new_thread();
    remove_session();
    struct sf_record *records = records_of(log);
    CHECK_EQ(5, log->head);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(i < 3 ? SF_EVENT_TEXT : i == 3 ? SF_EVENT_THREAD : SF_EVENT_MARK, records[i].kind);
        CHECK_EQ(1 << SF_LANE_SHIFT, records[i].flags);
        CHECK(i == 0 || records[i].tsc >= records[i - 1].tsc);
    }
    CHECK_EQ(1, records[3].object);
}

TEST(another_session_knows_the_threads_that_live_and_a_new_name_is_told_in_the_threads_lane)
{
    pthread_t thread;
    uint32_t lane;
    begin();
    remove_session();
    sf_log_name_threads_by(name_of);
    pthread_barrier_init(&all_have_theirs, NULL, 2);
    CHECK_EQ(0, pthread_create(&thread, NULL, mark_and_stay, &lane));
    pthread_barrier_wait(&all_have_theirs);
    sf_log_detach();
    struct sf_record *records = records_of(begin());
    sf_log_rename_thread((uint64_t)thread, 9);
    sf_log_rename_thread(12345, 10);
    mark(1);
    remove_session();
    CHECK_EQ(SF_EVENT_THREAD, records[3].kind);
    CHECK_EQ(1 << SF_LANE_SHIFT, records[3].flags);
    CHECK_EQ(SF_EVENT_THREAD, records[4].kind);
    CHECK_EQ(1 << SF_LANE_SHIFT, records[4].flags);
    CHECK_EQ(9, records[4].object);
    CHECK_EQ(records[3].a, records[4].a);
    CHECK_EQ(records[3].b, records[4].b);
    CHECK_EQ(SF_EVENT_MARK, records[5].kind);
    CHECK_EQ(0, records[5].flags);
    pthread_barrier_wait(&all_have_theirs);
    pthread_join(thread, NULL);
}

TEST(numbers_of_spans_are_unique_in_a_process_and_its_parents)
{
    CHECK_EQ(0, sf_log_init());
    CHECK_EQ(1, sf_log_next_span());
    CHECK_EQ(2, sf_log_next_span());
    pid_t child = fork();
    if (child == 0) {
        CHECK_EQ(3, sf_log_next_span());
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK_EQ(0, status);
}

TEST_MAIN()
