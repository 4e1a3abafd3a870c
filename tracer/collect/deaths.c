/* See deaths.h.
 *
 * The thread sleeps in epoll_wait. A watch's number is its place in an array. Places are used again, so the event of an
 * earlier watch may still be on its way: it carries the count of watches that the place has had, and is ignored if that
 * is not the present one. The mutex guards the array. */
#include "collect/deaths.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"

struct watch {
    uint64_t tsc;
    int pidfd;
    uint32_t count; /* of watches at this place so far */
    uint32_t next;  /* place, in the list of free ones */
};

struct deaths {
    pthread_t thread;
    pthread_mutex_t mutex;
    struct watch *watches;
    size_t used, room;
    uint32_t free; /* the first free place; DEATHS_NONE */
    int epoll, end;
};

#define END_EVENT UINT64_MAX

static uint64_t event_of(const struct deaths *deaths, uint32_t number)
{
    return (uint64_t)deaths->watches[number].count << 32 | number;
}

static void note(struct deaths *deaths, uint64_t event, uint64_t tsc)
{
    uint32_t number = (uint32_t)event;
    pthread_mutex_lock(&deaths->mutex);
    bool known = number < deaths->used && event_of(deaths, number) == event && !deaths->watches[number].tsc;
    if (known) {
        deaths->watches[number].tsc = tsc;
        epoll_ctl(deaths->epoll, EPOLL_CTL_DEL, deaths->watches[number].pidfd, NULL); /* it stays readable */
    }
    pthread_mutex_unlock(&deaths->mutex);
}

static void *run(void *arg)
{
    struct deaths *deaths = arg;
    struct epoll_event events[64];
    for (;;) {
        int count = epoll_wait(deaths->epoll, events, sizeof events / sizeof *events, -1);
        uint64_t now = clock_tsc();
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == END_EVENT)
                return NULL;
            note(deaths, events[i].data.u64, now);
        }
    }
}

/* The signals are for the collector's own thread. */
static int start_thread(struct deaths *deaths)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(&deaths->thread, NULL, run, deaths);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void free_all(struct deaths *deaths)
{
    if (deaths->epoll >= 0)
        close(deaths->epoll);
    if (deaths->end >= 0)
        close(deaths->end);
    pthread_mutex_destroy(&deaths->mutex);
    free(deaths->watches);
    free(deaths);
}

struct deaths *deaths_start(void)
{
    struct deaths *deaths = calloc(1, sizeof *deaths);
    struct epoll_event end = {.events = EPOLLIN, .data.u64 = END_EVENT};
    if (!deaths)
        return NULL;
    deaths->free = DEATHS_NONE;
    pthread_mutex_init(&deaths->mutex, NULL);
    deaths->epoll = epoll_create1(EPOLL_CLOEXEC);
    deaths->end = eventfd(0, EFD_CLOEXEC);
    if (deaths->epoll < 0 || deaths->end < 0 || epoll_ctl(deaths->epoll, EPOLL_CTL_ADD, deaths->end, &end) ||
        start_thread(deaths)) {
        free_all(deaths);
        return NULL;
    }
    return deaths;
}

void deaths_stop(struct deaths *deaths)
{
    uint64_t one = 1;
    if (!deaths)
        return;
    if (write(deaths->end, &one, sizeof one) == sizeof one)
        pthread_join(deaths->thread, NULL);
    free_all(deaths);
}

/* A free place, or DEATHS_NONE. */
static uint32_t take_place(struct deaths *deaths)
{
    uint32_t number = deaths->free;
    if (number != DEATHS_NONE) {
        deaths->free = deaths->watches[number].next;
        return number;
    }
    struct watch *grown = array_grow(deaths->watches, deaths->used, &deaths->room, sizeof *grown);
    if (!grown)
        return DEATHS_NONE;
    deaths->watches = grown;
    deaths->watches[deaths->used] = (struct watch){0};
    return (uint32_t)deaths->used++;
}

static void give_back_place(struct deaths *deaths, uint32_t number)
{
    deaths->watches[number].count++;
    deaths->watches[number].next = deaths->free;
    deaths->free = number;
}

uint32_t deaths_watch(struct deaths *deaths, int pidfd)
{
    if (!deaths || pidfd < 0)
        return DEATHS_NONE;
    pthread_mutex_lock(&deaths->mutex);
    uint32_t number = take_place(deaths);
    if (number != DEATHS_NONE) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = event_of(deaths, number)};
        deaths->watches[number].tsc = 0;
        deaths->watches[number].pidfd = pidfd;
        if (epoll_ctl(deaths->epoll, EPOLL_CTL_ADD, pidfd, &event)) {
            give_back_place(deaths, number);
            number = DEATHS_NONE;
        }
    }
    pthread_mutex_unlock(&deaths->mutex);
    return number;
}

void deaths_unwatch(struct deaths *deaths, uint32_t number)
{
    if (!deaths || number == DEATHS_NONE)
        return;
    pthread_mutex_lock(&deaths->mutex);
    if (!deaths->watches[number].tsc)
        epoll_ctl(deaths->epoll, EPOLL_CTL_DEL, deaths->watches[number].pidfd, NULL);
    give_back_place(deaths, number);
    pthread_mutex_unlock(&deaths->mutex);
}

uint64_t deaths_tsc(struct deaths *deaths, uint32_t number)
{
    if (!deaths || number == DEATHS_NONE)
        return 0;
    pthread_mutex_lock(&deaths->mutex);
    uint64_t tsc = deaths->watches[number].tsc;
    pthread_mutex_unlock(&deaths->mutex);
    return tsc;
}
