/* Turns events into stretches, in one pass over `event` in the order of arrival. Where there are page faults to share
 * out, a pass before that one measures the time that they are shared out over.
 *
 * The time up to an event belongs to the innermost span that is open in the process's first thread. A PICKLED or
 * COPIED event takes precedence: it says what the time just before it was spent on. Nothing in the database is
 * trusted: times are held within the process's life and in order, and the depth of spans has a limit. */
#include "analyze/activity.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "analyze/overlay.h"
#include "base/array.h"
#include "store/rows.h"
#include "store/timebase.h"

enum { DEPTH_MAX = 4096 };

struct open_span {
    int64_t event; /* row of its begin */
    unsigned kind;
    enum category category;
};

/* The lane of a process's first thread, up to now_ns. */
struct lane {
    struct open_span *stack;
    size_t depth, room;
    int64_t now_ns;
    double tracing_ns; /* what writing events has cost and has not been charged to a stretch yet */
    bool after_loss;   /* records were lost just before: until the next event it is not known which spans are open */
    bool began, ended; /* of a process that was forked for a task: the span of its f has begun, has ended */
};

struct walk {
    const struct processes *processes;
    const struct activity_visitor *visitor; /* NULL: this pass only measures */
    struct overlay *overlay;
    struct lane *lanes;   /* one for each process */
    double event_cost_ns; /* what writing one event takes */
};

static enum category current_category(const struct walk *walk, int process)
{
    const struct lane *lane = &walk->lanes[process];
    if (lane->depth)
        return lane->stack[lane->depth - 1].category;
    if (lane->after_loss)
        return CATEGORY_OTHER;
    if (!walk->processes->rows[process].task)
        return CATEGORY_RUNNING;
    return lane->ended ? CATEGORY_ENDING : lane->began ? CATEGORY_OTHER : CATEGORY_STARTING;
}

static enum category wait_category(int64_t what)
{
    return what == SF_WAIT_ROOM     ? CATEGORY_LATE_RECEIVER
           : what == SF_WAIT_CHILD  ? CATEGORY_LATE_CHILD
           : what == SF_WAIT_THREAD ? CATEGORY_LOCK
           : what == SF_WAIT_WORK   ? CATEGORY_WAITING_FOR_WORK
                                    : CATEGORY_LATE_SENDER;
}

/* The category of the time in a span. CATEGORY_COUNT: it does not count, because it is the user's own, which may
 * overlap others in any way, or of a kind that is newer than this program. */
static enum category span_category(unsigned kind, int64_t a)
{
    switch (kind) {
    case SF_EVENT_RUN:
    case SF_EVENT_CHUNK:
    case SF_EVENT_ITEM:
        return CATEGORY_RUNNING;
    case SF_EVENT_FORK:
        return CATEGORY_FORKING;
    case SF_EVENT_EXTRACT:
        return CATEGORY_EXTRACTING;
    case SF_EVENT_MERGE:
        return CATEGORY_MERGING;
    case SF_EVENT_SEND:
    case SF_EVENT_RECEIVE:
    case SF_EVENT_RESULT:
    case SF_EVENT_WRITE:
        return CATEGORY_COPYING;
    case SF_EVENT_WAIT:
        return wait_category(a);
    case SF_EVENT_JOIN:
    case SF_EVENT_MAP:
    case SF_EVENT_NEXT:
        return CATEGORY_OTHER;
    default:
        return CATEGORY_COUNT;
    }
}

/* Charges the time up to to_ns to `category`. */
static void spend(struct walk *walk, int process, int64_t to_ns, enum category category)
{
    struct lane *lane = &walk->lanes[process];
    if (!walk->visitor) {
        overlay_measure(walk->overlay, process, lane->now_ns, to_ns, category);
        lane->now_ns = to_ns > lane->now_ns ? to_ns : lane->now_ns;
        return;
    }
    while (lane->now_ns < to_ns) {
        struct overlay_part part = overlay_next(walk->overlay, process, lane->now_ns, to_ns, category);
        int64_t tracing_ns = 0, left_ns = part.to_ns - part.from_ns - part.fault_ns;
        assert(part.from_ns == lane->now_ns && part.to_ns <= to_ns); /* no gap, no overlap */
        assert(left_ns >= 0);
        if (part.child != PROCESS_NONE && walk->visitor->forked)
            walk->visitor->forked(walk->visitor->arg, process, part.child, part.from_ns);
        if (part.category != CATEGORY_NO_CPU) {
            tracing_ns = lane->tracing_ns < (double)left_ns ? (int64_t)lane->tracing_ns : left_ns;
            lane->tracing_ns -= (double)tracing_ns;
        }
        assert(tracing_ns >= 0 && tracing_ns <= left_ns);
        struct stretch stretch = {process,       part.category, part.from_ns, part.to_ns,
                                  part.fault_ns, part.copy_ns,  tracing_ns};
        if (part.from_ns < part.to_ns)
            walk->visitor->stretch(walk->visitor->arg, &stretch);
        lane->now_ns = part.to_ns;
    }
}

static void open_span(struct walk *walk, int process, int64_t event, unsigned kind, int64_t a)
{
    struct lane *lane = &walk->lanes[process];
    enum category category = span_category(kind, a);
    struct open_span *grown = NULL;
    if (lane->depth < DEPTH_MAX && category != CATEGORY_COUNT)
        grown = array_grow(lane->stack, lane->depth, &lane->room, sizeof *grown);
    if (!grown)
        return; /* its time counts to the span around it, and its end will close nothing */
    lane->stack = grown;
    grown[lane->depth++] = (struct open_span){event, kind, category};
}

/* Also closes those that began inside it: where a program switches stacks inside a call they may end later, but the
 * time just after this end is not theirs. */
static void close_span(struct lane *lane, int64_t begin)
{
    for (size_t i = lane->depth; i-- > 0;)
        if (lane->stack[i].event == begin) {
            lane->depth = i;
            return;
        }
}

enum column { ROWID, PROCESS, TSC, KIND, OBJECT, A, B, PHASE, LANE, BEGIN };

static void read_event(struct walk *walk, const struct rows *rows, const struct timebase *timebase)
{
    int process = processes_find(walk->processes, rows_integer(rows, PROCESS));
    if (process == PROCESS_NONE)
        return;
    const struct process *life = &walk->processes->rows[process];
    struct lane *lane = &walk->lanes[process];
    int64_t ns = timebase_ns(timebase, (uint64_t)rows_integer(rows, TSC));
    unsigned kind = (unsigned)rows_integer(rows, KIND), phase = (unsigned)rows_integer(rows, PHASE);
    bool first_thread = rows_integer(rows, LANE) == 0;
    ns = ns > life->end_ns ? life->end_ns : ns < lane->now_ns ? lane->now_ns : ns;
    assert(lane->now_ns <= ns && ns <= life->end_ns);
    if (first_thread && (kind == SF_EVENT_PICKLED || kind == SF_EVENT_COPIED || kind == SF_EVENT_SAMPLE)) {
        enum category spent = kind == SF_EVENT_PICKLED  ? CATEGORY_PICKLING
                              : kind == SF_EVENT_COPIED ? CATEGORY_COPYING
                                                        : CATEGORY_TRACING;
        int64_t from_ns = timebase_ns(timebase, (uint64_t)rows_integer(rows, B));
        spend(walk, process, from_ns < ns ? from_ns : ns, current_category(walk, process));
        spend(walk, process, ns, spent);
    } else {
        spend(walk, process, ns, current_category(walk, process));
    }
    if (walk->visitor && walk->visitor->event) {
        struct activity_event event = {.process = process,
                                       .ns = ns,
                                       .object = rows_integer(rows, OBJECT),
                                       .a = rows_integer(rows, A),
                                       .b = rows_integer(rows, B),
                                       .kind = kind,
                                       .phase = phase,
                                       .inside = first_thread && lane->depth ? lane->stack[lane->depth - 1].kind : 0,
                                       .first_thread = first_thread};
        walk->visitor->event(walk->visitor->arg, &event);
    }
    lane->tracing_ns += walk->event_cost_ns;
    if (!first_thread)
        return;
    lane->after_loss = kind == SF_EVENT_LOST;
    if (kind == SF_EVENT_RUN) {
        lane->began = true;
        lane->ended = phase == SF_PHASE_END;
    }
    if (kind == SF_EVENT_LOST)
        lane->depth = 0;
    else if (phase == SF_PHASE_BEGIN)
        open_span(walk, process, rows_integer(rows, ROWID), kind, rows_integer(rows, A));
    else if (phase == SF_PHASE_END)
        close_span(lane, rows_integer(rows, BEGIN));
}

/* A child that began after its parent's end was forked before it. */
static void report_late_children(struct walk *walk, int process, int64_t end_ns)
{
    int child;
    if (!walk->visitor || !walk->visitor->forked)
        return;
    while ((child = overlay_late_child(walk->overlay, process)) != PROCESS_NONE)
        walk->visitor->forked(walk->visitor->arg, process, child, end_ns);
}

static int pass_over_events(struct walk *walk, sqlite3 *db, const struct timebase *timebase)
{
    struct rows rows;
    for (int i = 0; i < walk->processes->count; i++) {
        walk->lanes[i].now_ns = walk->processes->rows[i].start_ns;
        walk->lanes[i].depth = 0;
        walk->lanes[i].tracing_ns = 0;
        walk->lanes[i].after_loss = walk->lanes[i].began = walk->lanes[i].ended = false;
    }
    rows_open(&rows, db,
              "SELECT rowid, process, tsc, kind, object, a, b, phase, lane, begin FROM event ORDER BY rowid");
    while (rows_next(&rows))
        read_event(walk, &rows, timebase);
    for (int i = 0; i < walk->processes->count; i++) {
        int64_t end_ns = walk->processes->rows[i].end_ns;
        spend(walk, i, end_ns, current_category(walk, i));
        assert(walk->lanes[i].now_ns == end_ns);
        report_late_children(walk, i, end_ns);
        if (walk->visitor && walk->visitor->ended)
            walk->visitor->ended(walk->visitor->arg, i, end_ns);
    }
    return rows_close(&rows);
}

/* The trace's own note of what writing one event took; 0: it has none. */
static int read_event_cost(double *cost_ns, sqlite3 *db)
{
    struct rows rows;
    *cost_ns = 0;
    rows_open(&rows, db, "SELECT value / 1000.0 FROM meta WHERE key = 'event_cost_ps'");
    if (rows_next(&rows) && sqlite3_column_double(rows.s, 0) > 0)
        *cost_ns = sqlite3_column_double(rows.s, 0);
    return rows_close(&rows);
}

int activity_walk(sqlite3 *db, const struct processes *processes, const struct activity_visitor *visitor)
{
    struct walk walk = {.processes = processes};
    struct timebase timebase;
    int error = timebase_init(&timebase, db);
    if (!error)
        error = read_event_cost(&walk.event_cost_ns, db);
    if (!error)
        error = overlay_new(&walk.overlay, db, processes);
    if (!error)
        walk.lanes = calloc((size_t)processes->count + 1, sizeof *walk.lanes);
    if (!error && !walk.lanes)
        error = -ENOMEM;
    if (!error && overlay_needs_measure(walk.overlay)) {
        error = pass_over_events(&walk, db, &timebase);
        overlay_rewind(walk.overlay);
    }
    walk.visitor = visitor;
    if (!error)
        error = pass_over_events(&walk, db, &timebase);
    for (int i = 0; walk.lanes && i < processes->count; i++)
        free(walk.lanes[i].stack);
    free(walk.lanes);
    overlay_free(walk.overlay);
    timebase_fini(&timebase);
    return error;
}
