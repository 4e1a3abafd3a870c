/* See speedscope.h. The format has one list of frames, and profiles that refer to it: ours are the lines of functions,
 * and behind them the names of spans. A sampled profile has a stack and a weight for each sample, an evented one has
 * begins and ends that nest strictly, as those of chrome.sql do. */
#include "export/speedscope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/json.h"
#include "export/chrome.h"
#include "store/rows.h"
#include "store/stacks.h"

static const char views[] =
#include "export/speedscope.inc"
    ;

struct speedscope {
    sqlite3 *db;
    FILE *to;
    struct stacks stacks;
    int64_t *weights; /* of the profile that is being written */
    size_t count, room;
    bool comma; /* a profile stands before the next one */
};

/* Behind an element of a list that has some, or as its first. */
static const char *next(bool *comma)
{
    const char *before = *comma ? ",\n" : "\n";
    *comma = true;
    return before;
}

static int write_frames(struct speedscope *s)
{
    struct rows rows;
    bool comma = false;
    for (int i = 0; i < s->stacks.frame_count; i++) {
        fprintf(s->to, "%s{\"name\":", next(&comma));
        json_string(s->to, s->stacks.frames[i].name);
        fputs(",\"file\":", s->to);
        json_string(s->to, s->stacks.frames[i].file);
        fprintf(s->to, ",\"line\":%" PRId64 "}", s->stacks.frames[i].line);
    }
    rows_open(&rows, s->db, "SELECT name FROM slice_name ORDER BY number");
    while (rows_next(&rows)) {
        fprintf(s->to, "%s{\"name\":", next(&comma));
        json_string(s->to, (const char *)sqlite3_column_text(rows.s, 0));
        fputc('}', s->to);
    }
    return rows_close(&rows);
}

static void begin_profile(struct speedscope *s, const char *type, const char *name, const char *what)
{
    char text[256];
    snprintf(text, sizeof text, "%s (%s)", name ? name : "-", what);
    fprintf(s->to, "%s{\"type\":\"%s\",\"unit\":\"nanoseconds\",\"name\":", next(&s->comma), type);
    json_string(s->to, text);
}

/* Columns of both views. */
enum column { PROCESS, TID, NAME, FIRST, SECOND, THIRD };

struct thread {
    int64_t process, tid;
    bool is_open; /* its profile has been begun */
};

/* Is the row of another thread than the one before it? Then that thread's profile is complete. */
static bool is_next_thread(struct thread *thread, const struct rows *rows)
{
    struct thread this = {rows_integer(rows, PROCESS), rows_integer(rows, TID), true};
    bool is_next = !thread->is_open || thread->process != this.process || thread->tid != this.tid;
    *thread = this;
    return is_next;
}

/* ---- samples ---- */

static void put_stack(struct speedscope *s, int64_t stack, bool comma)
{
    int frames[STACK_FRAMES_MAX], n = stacks_frames(&s->stacks, stacks_find(&s->stacks, stack), frames);
    fputs(comma ? ",[" : "[", s->to);
    for (int i = n - 1; i >= 0; i--)
        fprintf(s->to, "%d%s", frames[i], i ? "," : "");
    fputc(']', s->to);
}

static void end_samples(struct speedscope *s)
{
    int64_t sum_ns = 0;
    fputs("],\"weights\":[", s->to);
    for (size_t i = 0; s->weights && i < s->count; i++) {
        fprintf(s->to, "%s%" PRId64, i ? "," : "", s->weights[i]);
        if (__builtin_add_overflow(sum_ns, s->weights[i], &sum_ns))
            sum_ns = INT64_MAX;
    }
    fprintf(s->to, "],\"startValue\":0,\"endValue\":%" PRId64 "}", sum_ns);
    s->count = 0;
}

static int write_samples(struct speedscope *s)
{
    struct thread thread = {0};
    struct rows rows;
    rows_open(&rows, s->db, "SELECT * FROM speedscope_sample");
    while (rows_next(&rows) && !ferror(s->to)) {
        bool was_open = thread.is_open;
        if (is_next_thread(&thread, &rows)) {
            if (was_open)
                end_samples(s);
            begin_profile(s, "sampled", (const char *)sqlite3_column_text(rows.s, NAME), "samples");
            fputs(",\"samples\":[", s->to);
        }
        int64_t *grown = array_grow(s->weights, s->count, &s->room, sizeof *grown);
        if (!grown) {
            rows_fail(&rows);
            break;
        }
        s->weights = grown;
        put_stack(s, rows_integer(&rows, FIRST), s->count > 0);
        s->weights[s->count++] = rows_integer(&rows, SECOND);
    }
    if (thread.is_open)
        end_samples(s);
    return rows_close(&rows);
}

/* ---- spans ---- */

static int write_spans(struct speedscope *s)
{
    struct thread thread = {0};
    struct rows rows;
    int64_t last_ns = 0;
    bool comma = false;
    rows_open(&rows, s->db, "SELECT * FROM speedscope_edge");
    while (rows_next(&rows) && !ferror(s->to)) {
        bool was_open = thread.is_open;
        int64_t ns = rows_integer(&rows, SECOND);
        if (is_next_thread(&thread, &rows)) {
            if (was_open)
                fprintf(s->to, "],\"endValue\":%" PRId64 "}", last_ns);
            begin_profile(s, "evented", (const char *)sqlite3_column_text(rows.s, NAME), "spans");
            fprintf(s->to, ",\"startValue\":%" PRId64 ",\"events\":[", ns);
            comma = false;
        }
        fprintf(s->to, "%s{\"type\":\"%s\",\"frame\":%" PRId64 ",\"at\":%" PRId64 "}", next(&comma),
                rows_integer(&rows, FIRST) ? "C" : "O", rows_integer(&rows, THIRD) + s->stacks.frame_count, ns);
        last_ns = ns;
    }
    if (thread.is_open)
        fprintf(s->to, "],\"endValue\":%" PRId64 "}", last_ns);
    return rows_close(&rows);
}

int speedscope_write(sqlite3 *db, FILE *to)
{
    struct speedscope s = {.db = db, .to = to};
    int error = chrome_prepare(db);
    if (!error && sqlite3_exec(db, views, NULL, NULL, NULL) != SQLITE_OK)
        error = -EIO;
    if (!error)
        error = stacks_init(&s.stacks, db);
    fputs("{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":\"snakefish-trace\","
          "\"shared\":{\"frames\":[",
          to);
    if (!error)
        error = write_frames(&s);
    fputs("\n]},\"profiles\":[", to);
    if (!error)
        error = write_samples(&s);
    if (!error)
        error = write_spans(&s);
    fputs("\n]}\n", to);
    free(s.weights);
    stacks_fini(&s.stacks);
    return error ? error : ferror(to) ? -EIO : 0;
}
