/* See functions.h. One pass over the samples and spans of each process, in the order of writing: a sample belongs to
 * its process, and to the spans that were open in its thread when its stack was taken. Then the samples of a process
 * are put in order, so that each stack is walked once for each scope; memory is for the samples of one process.
 *
 * Not by time: a span is looked for where the stack was taken, and not where the timer had gone off, so that both are
 * of the same piece of the program. */
#include "analyze/functions.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "base/array.h"
#include "store/inserts.h"
#include "store/rows.h"
#include "store/stacks.h"

#define SAMPLE_NS_MAX INT64_C(1000000000000) /* a log may say anything */

/* What samples are counted for: a process (kind 0), or all its spans of one kind and object. */
struct scope {
    int64_t kind, object;
};

struct open_scope {
    struct scope scope;
    int64_t lane;
    int spans; /* that are open there, at least 1 */
};

struct use {
    struct scope scope;
    int64_t ns;
    int stack;
};

/* A frame's sums in the scope that is being written. */
struct sums {
    int64_t self_ns, total_ns, samples, stacks;
};

struct functions {
    struct stacks stacks;
    struct inserts inserts;
    int64_t process;
    struct open_scope *open; /* of this process */
    struct use *uses;        /* of this process */
    size_t open_count, open_room, use_count, use_room;
    struct sums *sums; /* of each frame */
    int *counted;      /* for each function: the number of the last stack that has been counted for it */
    int *touched;      /* frames that have sums */
    int touched_count, walks;
};

enum column { PROCESS, KIND, PHASE, OBJECT, CPU_NS, LANE };

/* ---- what a process's samples sum up to ---- */

static int by_scope(const struct scope *x, const struct scope *y)
{
    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : (x->object > y->object) - (x->object < y->object);
}

static int by_scope_and_stack(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    int order = by_scope(&x->scope, &y->scope);
    return order ? order : (x->stack > y->stack) - (x->stack < y->stack);
}

/* A function that calls itself has the time once: for the line of it that is the innermost. */
static void count_stack(struct functions *f, int stack, int64_t ns, int64_t samples)
{
    int frames[STACK_FRAMES_MAX], n = stacks_frames(&f->stacks, stack, frames);
    f->walks++;
    for (int i = 0; i < n; i++) {
        int *counted = &f->counted[f->stacks.frames[frames[i]].function];
        if (*counted == f->walks)
            continue;
        *counted = f->walks;
        struct sums *sums = &f->sums[frames[i]];
        if (!sums->stacks++)
            f->touched[f->touched_count++] = frames[i];
        sums->total_ns += ns;
        if (i == 0) {
            sums->self_ns += ns;
            sums->samples += samples;
        }
    }
}

static const char *scope_name(const struct scope *scope)
{
    return scope->kind == SF_EVENT_SPAN    ? "span"
           : scope->kind == SF_EVENT_RUN   ? "run"
           : scope->kind == SF_EVENT_CHUNK ? "chunk"
                                           : NULL;
}

static void write_scope(struct functions *f, const struct scope *scope)
{
    for (int i = 0; i < f->touched_count; i++) {
        int frame = f->touched[i];
        struct sums *sums = &f->sums[frame];
        inserts_row(&f->inserts, "isoiiii", f->process, scope_name(scope), scope->object, f->stacks.frames[frame].id,
                    sums->self_ns, sums->total_ns, sums->samples);
        *sums = (struct sums){0};
    }
    f->touched_count = 0;
}

/* What the process's samples sum up to. The next one begins with none. */
static void end_process(struct functions *f)
{
    if (f->use_count)
        qsort(f->uses, f->use_count, sizeof *f->uses, by_scope_and_stack);
    for (size_t i = 0; i < f->use_count;) {
        const struct use *first = &f->uses[i];
        int64_t ns = 0, samples = 0;
        for (; i < f->use_count && !by_scope_and_stack(first, &f->uses[i]); i++, samples++)
            ns += f->uses[i].ns;
        count_stack(f, first->stack, ns, samples);
        if (i == f->use_count || by_scope(&f->uses[i].scope, &first->scope))
            write_scope(f, &first->scope);
    }
    f->use_count = f->open_count = 0;
}

/* ---- which spans a sample lies in ---- */

/* Spans of one kind and object may lie in each other: then a sample counts once. false: no memory. */
static bool change_open(struct functions *f, struct scope scope, int64_t lane, bool is_end)
{
    size_t i = 0;
    while (i < f->open_count && (by_scope(&f->open[i].scope, &scope) || f->open[i].lane != lane))
        i++;
    if (i < f->open_count) {
        f->open[i].spans += is_end ? -1 : 1;
        if (!f->open[i].spans)
            f->open[i] = f->open[--f->open_count];
        return true;
    }
    if (is_end)
        return true; /* its begin was lost */
    struct open_scope *grown = array_grow(f->open, f->open_count, &f->open_room, sizeof *grown);
    if (!grown)
        return false;
    f->open = grown;
    f->open[f->open_count++] = (struct open_scope){scope, lane, 1};
    return true;
}

static bool add_use(struct functions *f, struct scope scope, int stack, int64_t ns)
{
    struct use *grown = array_grow(f->uses, f->use_count, &f->use_room, sizeof *grown);
    if (!grown)
        return false;
    f->uses = grown;
    f->uses[f->use_count++] = (struct use){scope, ns, stack};
    return true;
}

static bool add_sample(struct functions *f, int64_t stack_id, int64_t ns, int64_t lane)
{
    int stack = stacks_find(&f->stacks, stack_id);
    if (stack == STACK_NONE)
        return true;
    ns = ns < 0 ? 0 : ns > SAMPLE_NS_MAX ? SAMPLE_NS_MAX : ns;
    bool has_memory = add_use(f, (struct scope){0, 0}, stack, ns);
    for (size_t i = 0; i < f->open_count && has_memory; i++)
        if (f->open[i].lane == lane)
            has_memory = add_use(f, f->open[i].scope, stack, ns);
    return has_memory;
}

static bool take(struct functions *f, const struct rows *rows)
{
    if (rows_integer(rows, PROCESS) != f->process)
        end_process(f);
    f->process = rows_integer(rows, PROCESS);
    if (rows_integer(rows, KIND) == SF_EVENT_SAMPLE)
        return add_sample(f, rows_integer(rows, OBJECT), rows_integer(rows, CPU_NS), rows_integer(rows, LANE));
    return change_open(f, (struct scope){rows_integer(rows, KIND), rows_integer(rows, OBJECT)},
                       rows_integer(rows, LANE), rows_integer(rows, PHASE) == 2);
}

/* An end with what its begin says, in whatever thread it was. */
static int read_samples(struct functions *f, sqlite3 *db)
{
    struct rows rows;
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT e.process, coalesce(b.kind, e.kind), e.phase, iif(e.phase = 2, b.object, e.object), e.a, "
             "coalesce(b.lane, e.lane) FROM event e LEFT JOIN event b ON b.rowid = e.begin AND e.phase = 2 "
             "WHERE e.kind IN (%d, %d, %d, %d) ORDER BY e.process, e.seq",
             SF_EVENT_SPAN, SF_EVENT_RUN, SF_EVENT_CHUNK, SF_EVENT_SAMPLE);
    rows_open(&rows, db, sql);
    while (rows_next(&rows))
        if (!take(f, &rows))
            rows_fail(&rows);
    return rows_close(&rows);
}

static int sum_samples(struct functions *f, sqlite3 *db)
{
    f->sums = calloc((size_t)f->stacks.frame_count, sizeof *f->sums);
    f->touched = calloc((size_t)f->stacks.frame_count, sizeof *f->touched);
    f->counted = calloc((size_t)f->stacks.functions, sizeof *f->counted);
    if (!f->sums || !f->touched || !f->counted)
        return -ENOMEM;
    inserts_open(&f->inserts, db, "INSERT INTO frame_time VALUES(?, ?, ?, ?, ?, ?, ?)");
    int error = read_samples(f, db);
    if (!error)
        end_process(f);
    int inserts_error = inserts_close(&f->inserts);
    return error ? error : inserts_error;
}

int functions_fill(sqlite3 *db)
{
    struct functions f = {0};
    int error = sqlite3_exec(db, "DELETE FROM frame_time", NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
    if (!error)
        error = stacks_init(&f.stacks, db);
    if (!error && f.stacks.count)
        error = sum_samples(&f, db);
    stacks_fini(&f.stacks);
    free(f.open);
    free(f.uses);
    free(f.sums);
    free(f.touched);
    free(f.counted);
    return error;
}
