/* The table of pipes. See pipe_table.h.
 *
 * ends: a hash table from inodes to pipes, with open addressing. An entry whose numbers are not current is stale, and
 * may be taken for another inode; so nothing is ever deleted. `key` is written before `numbers`, and whoever reads an
 * entry looks at the key again after the numbers: then they belong to it.
 *
 * Invariants
 * - A process finds numbers only of pipes whose place was written whole: entries are written last.
 * - A generation only grows; an odd one is left by the owner of the pipe's inode or by a sweep, with a CAS. */
#include "core/log/pipe_table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "core/log/log.h"
#include "core/os/elsewhere.h"
#include "core/os/shm.h"

/* Entries of the hash table, and how many are tried for one key. The table is half full at most, because a pipe has one
 * inode, and two pipes of a socket pair have two. */
enum { ENDS = 1 << 17, PROBES = 64, PLACES = SF_PIPE_TABLE_PLACES, REFUSED = PLACES / 16 };

struct end {
    _Atomic uint64_t key;     /* of the inode; 0: the entry was never used */
    _Atomic uint64_t numbers; /* `out` in the high half, `in` in the low one. Release; acquire in find_numbers */
};

static struct table {
    _Atomic uint32_t next;      /* where the search for a free place begins */
    _Atomic int32_t refusing;   /* so many pipes get no place before it is searched for again */
    _Atomic uint32_t has_rest;  /* 1: some pipe got no place */
    _Atomic uint64_t device[2]; /* see device_of */
    _Atomic uint32_t generation[PLACES + 1];
    struct end ends[ENDS];
    struct sf_pipe pipe[PLACES + 1];
} * table;

int sf_pipe_table_init(void)
{
    void *mapped;
    if (table)
        return 0;
    int error = sf_shm_map(&mapped, sizeof *table);
    if (error)
        return error;
    table = mapped;
    table->generation[0] = 3; /* makes the number SF_PIPE_TABLE_REST */
    table->pipe[0].channel = sf_log_next_channel();
    return 0;
}

const void *sf_pipe_table_address(void)
{
    return table;
}

/* ---- places ---- */

static uint32_t number_of(uint32_t place, uint32_t generation)
{
    return place | generation >> 1 << 16;
}

static uint32_t place_of(uint32_t number)
{
    return number & 0xffff;
}

bool sf_pipe_table_is_current(uint32_t number)
{
    uint32_t generation = atomic_load(&table->generation[place_of(number)]);
    return generation % 2 && number_of(place_of(number), generation) == number;
}

struct sf_pipe *sf_pipe_table_place(uint32_t number)
{
    assert(table && number);
    return &table->pipe[place_of(number)];
}

static void free_place(uint32_t number)
{
    uint32_t place = place_of(number), generation = atomic_load(&table->generation[place]);
    if (place && generation % 2 && number_of(place, generation) == number)
        atomic_compare_exchange_strong(&table->generation[place], &generation, generation + 1);
}

/* Takes a free place. The number of the pipe that has it now; 0: there is none. */
static uint32_t take_free_place(void)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        uint32_t place = atomic_fetch_add(&table->next, 1) % PLACES + 1;
        uint32_t generation = atomic_load(&table->generation[place]);
        if (generation % 2 == 0 &&
            atomic_compare_exchange_strong(&table->generation[place], &generation, generation + 1))
            return number_of(place, generation + 1);
    }
    return 0;
}

void sf_pipe_table_each(void (*visit)(uint32_t number))
{
    uint32_t given = table ? atomic_load(&table->next) : 0;
    for (uint32_t place = 1; place <= (given < PLACES ? given : PLACES); place++) {
        uint32_t generation = atomic_load(&table->generation[place]);
        if (generation % 2)
            visit(number_of(place, generation));
    }
    if (table && atomic_load(&table->has_rest))
        visit(SF_PIPE_TABLE_REST);
}

/* ---- inodes ---- */

static uint64_t make_key(uint64_t device, uint64_t inode, mode_t kind)
{
    uint64_t key = device << 33 ^ inode << 1 ^ (S_ISFIFO(kind) ? 1 : 0); /* their inodes have 32 bits */
    return key ? key : 1;
}

static uint64_t key_of(const struct stat *file)
{
    return make_key(file->st_dev, file->st_ino, file->st_mode);
}

/* The device that all unnamed pipes have, or all sockets; 0: none was seen yet. */
static _Atomic uint64_t *device_of(mode_t kind)
{
    return &table->device[S_ISFIFO(kind) ? 1 : 0];
}

static bool has_key(const struct stat *file)
{
    return S_ISFIFO(file->st_mode) || S_ISSOCK(file->st_mode);
}

static struct sf_pipe_end unpack(uint64_t numbers)
{
    return (struct sf_pipe_end){(uint32_t)(numbers >> 32), (uint32_t)numbers};
}

static bool is_current_end(uint64_t numbers)
{
    struct sf_pipe_end end = unpack(numbers);
    return numbers && sf_pipe_table_is_current(end.out) && sf_pipe_table_is_current(end.in);
}

/* The key's entry; if there is none: a new one, or NULL when there is no room for it. */
static struct end *entry_of(uint64_t key, bool make)
{
    uint64_t hash = key * UINT64_C(0x9e3779b97f4a7c15) >> 32, usable_key = 0;
    struct end *usable = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct end *end = &table->ends[(hash + i) % ENDS];
        uint64_t there = atomic_load(&end->key);
        if (there == key)
            return end;
        if (!usable && !is_current_end(atomic_load(&end->numbers))) {
            usable = end;
            usable_key = there;
        }
        if (!there)
            break;
    }
    if (!make || !usable)
        return NULL;
    /* Another process may be faster: then this pipe is left out. */
    return atomic_compare_exchange_strong(&usable->key, &usable_key, key) ? usable : NULL;
}

/* The key's numbers, where they are current. */
static uint64_t find_numbers(uint64_t key)
{
    struct end *end = entry_of(key, false);
    uint64_t numbers = end ? atomic_load_explicit(&end->numbers, memory_order_acquire) : 0;
    return end && atomic_load(&end->key) == key && is_current_end(numbers) ? numbers : 0;
}

/* Gives these pipes to the inode. What had it before is gone. 0 or -ENOSPC. */
static int set_numbers(uint64_t key, uint32_t out, uint32_t in)
{
    struct end *end = entry_of(key, true);
    if (!end)
        return -ENOSPC;
    struct sf_pipe_end before = unpack(atomic_load(&end->numbers));
    atomic_store_explicit(&end->numbers, (uint64_t)out << 32 | in, memory_order_release);
    atomic_store(&sf_pipe_table_place(out)->listed, out);
    atomic_store(&sf_pipe_table_place(in)->listed, in);
    if (before.out != out && before.out != in)
        free_place(before.out);
    if (before.in != out && before.in != in)
        free_place(before.in);
    return 0;
}

/* ---- sweeping ---- */

struct sweep {
    uint32_t before[PLACES + 1]; /* generations when it began: what is given later is not freed */
    bool is_open[PLACES + 1];
};

static void mark_open(mode_t kind, uint64_t inode, void *context)
{
    struct sweep *sweep = context;
    struct sf_pipe_end end = unpack(find_numbers(make_key(atomic_load(device_of(kind)), inode, kind)));
    sweep->is_open[place_of(end.out)] = sweep->is_open[place_of(end.in)] = true;
}

/* Frees the places of pipes that nobody has open. How many. */
static uint32_t sweep(void)
{
    struct sweep *sweep = malloc(sizeof *sweep);
    uint32_t freed = 0;
    if (!sweep)
        return 0;
    memset(sweep->is_open, 0, sizeof sweep->is_open);
    for (uint32_t place = 1; place <= PLACES; place++)
        sweep->before[place] = atomic_load(&table->generation[place]);
    bool looked = sf_elsewhere_each_open(mark_open, sweep) == 0;
    for (uint32_t place = 1; looked && place <= PLACES; place++) {
        uint32_t generation = sweep->before[place];
        bool listed = atomic_load(&table->pipe[place].listed) == number_of(place, generation);
        if (generation % 2 && listed && !sweep->is_open[place])
            freed += atomic_compare_exchange_strong(&table->generation[place], &generation, generation + 1);
    }
    free(sweep);
    return freed;
}

/* ---- pipes ---- */

static uint64_t capacity_of(int fd, bool socket)
{
    int bytes = 0;
    socklen_t size = sizeof bytes;
    if (socket)
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size);
    else
        bytes = fcntl(fd, F_GETPIPE_SZ);
    return bytes > 0 ? (uint64_t)bytes : 0;
}

/* Gives a pipe a place. Its number; 0: there is none. */
static uint32_t make_pipe(int fd, bool socket, bool counted)
{
    if (atomic_load(&table->refusing) > 0 && atomic_fetch_sub(&table->refusing, 1) > 0)
        return 0;
    uint32_t number = take_free_place();
    if (!number) {
        if (sweep() < REFUSED)
            atomic_store(&table->refusing, REFUSED);
        number = take_free_place();
    }
    if (!number)
        return 0;
    struct sf_pipe *pipe = sf_pipe_table_place(number);
    atomic_store(&pipe->listed, 0);
    atomic_store(&pipe->counted, 0);
    pipe->channel = sf_log_next_channel();
    pipe->capacity = capacity_of(fd, socket);
    atomic_store(&pipe->writer, 0);
    atomic_store(&pipe->written, 0);
    atomic_store(&pipe->begun_bytes, 0);
    atomic_store(&pipe->written_bytes, 0);
    pipe->written_check = 0;
    atomic_store(&pipe->reading, 0);
    atomic_store(&pipe->read, 0);
    atomic_store(&pipe->read_bytes, 0);
    pipe->read_check = 0;
    atomic_store(&pipe->counted, counted ? number : 0);
    return number;
}

int sf_pipe_table_declare(int reader, int writer, bool duplex)
{
    struct stat read_end, write_end;
    if (!table)
        return -EINVAL;
    if (fstat(reader, &read_end) || fstat(writer, &write_end))
        return -errno;
    if (!has_key(&read_end) || !has_key(&write_end))
        return -EINVAL;
    bool socket = S_ISSOCK(write_end.st_mode);
    atomic_store(device_of(write_end.st_mode), write_end.st_dev);
    uint32_t there = make_pipe(writer, socket, true);
    uint32_t back = there && duplex ? make_pipe(reader, socket, true) : there;
    int error = there && back ? set_numbers(key_of(&write_end), there, back) : -ENOSPC;
    if (!error && key_of(&read_end) != key_of(&write_end))
        error = set_numbers(key_of(&read_end), back, there);
    if (error) {
        free_place(there);
        free_place(back);
    }
    return error;
}

struct sf_pipe_end sf_pipe_table_look_up(int fd)
{
    struct stat file;
    return unpack(table && fstat(fd, &file) == 0 && has_key(&file) ? find_numbers(key_of(&file)) : 0);
}

struct sf_pipe_end sf_pipe_table_find(int fd)
{
    struct stat file;
    if (!table || fstat(fd, &file) || !has_key(&file))
        return (struct sf_pipe_end){0, 0};
    uint64_t key = key_of(&file), numbers = find_numbers(key);
    if (numbers)
        return unpack(numbers);
    /* Another process may do the same now: then the later numbers stay. None of these pipes is counted. */
    bool socket = S_ISSOCK(file.st_mode);
    if (socket) /* a pipe may be a named one, which has the device of its directory */
        atomic_store(device_of(file.st_mode), file.st_dev);
    uint32_t out = make_pipe(fd, socket, false), in = out && socket ? make_pipe(fd, true, false) : out;
    if (out && in && set_numbers(key, out, in) == 0)
        return (struct sf_pipe_end){out, in};
    free_place(out);
    free_place(in);
    atomic_store(&table->has_rest, 1);
    return (struct sf_pipe_end){SF_PIPE_TABLE_REST, SF_PIPE_TABLE_REST};
}
