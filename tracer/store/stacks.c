/* See stacks.h. The collector writes a stack after the one that has called it, so a parent's id is smaller. What a
 * stranger's file says otherwise is left out, so that no walk can go round. */
#include "store/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/rows.h"

static char *text_of(const struct rows *rows, int column)
{
    const char *text = (const char *)sqlite3_column_text(rows->s, column);
    return strdup(text ? text : "");
}

static int read_frames(struct stacks *stacks, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    rows_open(
        &rows, db,
        "SELECT id, dense_rank() OVER (ORDER BY function, file) - 1, line, function, file FROM frame ORDER BY id");
    while (rows_next(&rows)) {
        struct frame *grown = array_grow(stacks->frames, (size_t)stacks->frame_count, &room, sizeof *grown);
        if (!grown) {
            rows_fail(&rows);
            break;
        }
        stacks->frames = grown;
        struct frame *frame = &grown[stacks->frame_count++];
        *frame = (struct frame){.id = rows_integer(&rows, 0),
                                .function = (int)rows_integer(&rows, 1),
                                .line = rows_integer(&rows, 2),
                                .name = text_of(&rows, 3),
                                .file = text_of(&rows, 4)};
        if (!frame->name || !frame->file)
            rows_fail(&rows);
        if (frame->function >= stacks->functions)
            stacks->functions = frame->function + 1;
    }
    return rows_close(&rows);
}

/* The index of the frame with that id; -1: there is none. */
static int find_frame(const struct stacks *stacks, int64_t id)
{
    int low = 0, high = stacks->frame_count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (stacks->frames[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stacks->frame_count && stacks->frames[low].id == id ? low : -1;
}

int stacks_find(const struct stacks *stacks, int64_t id)
{
    int low = 0, high = stacks->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (stacks->rows[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < stacks->count && stacks->rows[low].id == id ? low : STACK_NONE;
}

static int read_stacks(struct stacks *stacks, sqlite3 *db)
{
    struct rows rows;
    size_t room = 0;
    rows_open(&rows, db, "SELECT id, parent, frame FROM stack ORDER BY id");
    while (rows_next(&rows)) {
        int frame = find_frame(stacks, rows_integer(&rows, 2));
        if (frame < 0)
            continue;
        struct stack *grown = array_grow(stacks->rows, (size_t)stacks->count, &room, sizeof *grown);
        if (!grown) {
            rows_fail(&rows);
            break;
        }
        stacks->rows = grown;
        int parent = stacks_find(stacks, rows_integer(&rows, 1)); /* among those before it */
        stacks->rows[stacks->count++] = (struct stack){rows_integer(&rows, 0), parent, frame};
    }
    return rows_close(&rows);
}

int stacks_init(struct stacks *stacks, sqlite3 *db)
{
    *stacks = (struct stacks){0};
    int error = read_frames(stacks, db);
    return error ? error : read_stacks(stacks, db);
}

void stacks_fini(struct stacks *stacks)
{
    for (int i = 0; i < stacks->frame_count; i++) {
        free(stacks->frames[i].name);
        free(stacks->frames[i].file);
    }
    free(stacks->frames);
    free(stacks->rows);
    *stacks = (struct stacks){0};
}

int stacks_frames(const struct stacks *stacks, int stack, int *frames)
{
    int n = 0;
    for (; stack != STACK_NONE && n < STACK_FRAMES_MAX; stack = stacks->rows[stack].parent)
        frames[n++] = stacks->rows[stack].frame;
    return n;
}
