/* The stacks of Python of a trace, in memory: what turns a sample's stack into frames and functions. */
#ifndef SF_TRACER_STORE_STACKS_H
#define SF_TRACER_STORE_STACKS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* A trace from a stranger may have stacks of any length: of one with more frames than these the outer ones are left
 * out. */
enum { STACK_FRAMES_MAX = 1024, STACK_NONE = -1 };

struct frame {
    int64_t id;
    int function; /* the same for all lines of a function: 0 to stacks.functions - 1 */
    int64_t line;
    char *name, *file; /* its function and file; never NULL */
};

struct stack {
    int64_t id;
    int parent; /* the index of the stack that has called it, which is less than its own; STACK_NONE: the outermost */
    int frame;  /* index */
};

struct stacks {
    struct frame *frames;
    struct stack *rows;
    int frame_count, count, functions;
};

/* Reads the tables frame and stack. 0, -ENOMEM or -EIO; fini in every case. */
int stacks_init(struct stacks *stacks, sqlite3 *db);
void stacks_fini(struct stacks *stacks);

/* The index of a stack, or STACK_NONE. */
int stacks_find(const struct stacks *stacks, int64_t id);

/* Writes the indices of the stack's frames to frames[0..STACK_FRAMES_MAX), the innermost first. Returns how many. */
int stacks_frames(const struct stacks *stacks, int stack, int *frames);

#endif
