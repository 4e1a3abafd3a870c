/* Events to stretches, in one pass over `event` in the order of arrival; one more, where page faults are to be
 * shared out.
 *
 * The time up to an event belongs to the innermost span open in the process's first thread; what a PICKLED or
 * COPIED says of a time that has just passed goes before that. Nothing that is in the database is trusted to be
 * sensible: times are held within the process's life and in order, and stacks have a limit. */
#include "analyze/activity.h"

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

struct lane {
    struct open_span *stack;
    size_t depth, room;
    int64_t now_ns;
    double tracing_ns; /* of events written, but not yet taken from any stretch */
    bool blind;        /* records were lost here: what is open is not known before the next event */
};

struct walk {
    const struct processes *processes;
    const struct activity_visitor *visitor; /* NULL: only measuring */
    struct overlay *overlay;
    struct lane *lanes; /* of each process its first */
    double event_cost_ns;
};

static enum category category_of(const struct walk *walk, int process)
{
    const struct lane *lane = &walk->lanes[process];
    if (lane->depth)
        return lane->stack[lane->depth - 1].category;
    return walk->processes->rows[process].task || lane->blind ? CATEGORY_OTHER : CATEGORY_RUNNING;
}

static enum category category_of_wait(int64_t what)
{
    return what == SF_WAIT_ROOM    ? CATEGORY_LATE_RECEIVER
           : what == SF_WAIT_CHILD ? CATEGORY_LATE_CHILD
                                   : CATEGORY_LATE_SENDER;
}

/* The category of a span that begins inside `around`. */
static enum category category_inside(unsigned kind, int64_t a, enum category around)
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
        return category_of_wait(a);
    case SF_EVENT_JOIN:
    case SF_EVENT_MAP:
    case SF_EVENT_NEXT:
        return CATEGORY_OTHER;
    default: /* the user's own spans change nothing */
        return around;
    }
}

/* The time up to to_ns was spent on `category`. */
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
        if (part.child != PROCESS_NONE && walk->visitor->forked)
            walk->visitor->forked(walk->visitor->arg, process, part.child, part.from_ns);
        if (part.category != CATEGORY_NO_CPU) {
            tracing_ns = (double)left_ns < lane->tracing_ns ? left_ns : (int64_t)lane->tracing_ns;
            lane->tracing_ns -= (double)tracing_ns;
        }
        struct stretch stretch = {process,       part.category, part.from_ns, part.to_ns,
                                  part.fault_ns, part.copy_ns,  tracing_ns};
        if (part.from_ns < part.to_ns)
            walk->visitor->stretch(walk->visitor->arg, &stretch);
        lane->now_ns = part.to_ns;
    }
}

static void push(struct walk *walk, int process, int64_t event, unsigned kind, int64_t a)
{
    struct lane *lane = &walk->lanes[process];
    enum category category = category_inside(kind, a, category_of(walk, process));
    struct open_span *grown = NULL;
    if (lane->depth < DEPTH_MAX)
        grown = array_grow(lane->stack, lane->depth, &lane->room, sizeof *grown);
    if (!grown)
        return; /* its end will find it nowhere; what is inside of it counts to what is around it */
    lane->stack = grown;
    grown[lane->depth++] = (struct open_span){event, kind, category};
}

static void pop(struct lane *lane, int64_t begin)
{
    for (size_t i = lane->depth; i-- > 0;)
        if (lane->stack[i].event == begin) {
            lane->depth = i;
            return;
        }
}

enum column { ROWID, PROCESS, TSC, KIND, OBJECT, A, B, PHASE, LANE, BEGIN };

static void take(struct walk *walk, const struct rows *rows, const struct timebase *timebase)
{
    int process = processes_find(walk->processes, rows_integer(rows, PROCESS));
    if (process == PROCESS_NONE)
        return;
    const struct process *life = &walk->processes->rows[process];
    struct lane *lane = &walk->lanes[process];
    int64_t ns = timebase_ns(timebase, (uint64_t)rows_integer(rows, TSC));
    unsigned kind = (unsigned)rows_integer(rows, KIND), phase = (unsigned)rows_integer(rows, PHASE);
    bool first_lane = rows_integer(rows, LANE) == 0;
    ns = ns > life->end_ns ? life->end_ns : ns < lane->now_ns ? lane->now_ns : ns;
    if (first_lane && (kind == SF_EVENT_PICKLED || kind == SF_EVENT_COPIED)) {
        int64_t from_ns = timebase_ns(timebase, (uint64_t)rows_integer(rows, B));
        spend(walk, process, from_ns < ns ? from_ns : ns, category_of(walk, process));
        spend(walk, process, ns, kind == SF_EVENT_PICKLED ? CATEGORY_PICKLING : CATEGORY_COPYING);
    } else {
        spend(walk, process, ns, category_of(walk, process));
    }
    if (walk->visitor && walk->visitor->event) {
        struct moment moment = {.process = process,
                                .ns = ns,
                                .object = rows_integer(rows, OBJECT),
                                .a = rows_integer(rows, A),
                                .b = rows_integer(rows, B),
                                .kind = kind,
                                .phase = phase,
                                .inside = lane->depth ? lane->stack[lane->depth - 1].kind : 0};
        walk->visitor->event(walk->visitor->arg, &moment);
    }
    lane->tracing_ns += walk->event_cost_ns;
    if (!first_lane)
        return;
    lane->blind = kind == SF_EVENT_LOST;
    if (kind == SF_EVENT_LOST)
        lane->depth = 0;
    else if (phase == SF_PHASE_BEGIN)
        push(walk, process, rows_integer(rows, ROWID), kind, rows_integer(rows, A));
    else if (phase == SF_PHASE_END)
        pop(lane, rows_integer(rows, BEGIN));
}

static int pass(struct walk *walk, sqlite3 *db, const struct timebase *timebase)
{
    struct rows rows;
    for (int i = 0; i < walk->processes->count; i++) {
        walk->lanes[i].now_ns = walk->processes->rows[i].start_ns;
        walk->lanes[i].depth = 0;
        walk->lanes[i].tracing_ns = 0;
        walk->lanes[i].blind = false;
    }
    rows_open(&rows, db,
              "SELECT rowid, process, tsc, kind, object, a, b, phase, lane, begin FROM event ORDER BY rowid");
    while (rows_next(&rows))
        take(walk, &rows, timebase);
    for (int i = 0; i < walk->processes->count; i++) {
        int64_t end_ns = walk->processes->rows[i].end_ns;
        spend(walk, i, end_ns, category_of(walk, i));
        if (walk->visitor && walk->visitor->ended)
            walk->visitor->ended(walk->visitor->arg, i, end_ns);
    }
    return rows_close(&rows);
}

int activity_walk(sqlite3 *db, const struct processes *processes, double event_cost_ns,
                  const struct activity_visitor *visitor)
{
    struct walk walk = {.processes = processes, .event_cost_ns = event_cost_ns};
    struct timebase timebase;
    int error = timebase_init(&timebase, db);
    if (!error)
        error = overlay_new(&walk.overlay, db, processes);
    if (!error)
        walk.lanes = calloc((size_t)processes->count + 1, sizeof *walk.lanes);
    if (!error && !walk.lanes)
        error = -ENOMEM;
    if (!error && overlay_needs_measure(walk.overlay)) {
        error = pass(&walk, db, &timebase);
        overlay_rewind(walk.overlay);
    }
    walk.visitor = visitor;
    if (!error)
        error = pass(&walk, db, &timebase);
    for (int i = 0; walk.lanes && i < processes->count; i++)
        free(walk.lanes[i].stack);
    free(walk.lanes);
    overlay_free(walk.overlay);
    timebase_fini(&timebase);
    return error;
}
