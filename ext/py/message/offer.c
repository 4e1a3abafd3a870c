/* Offering large arrays. See offer.h. */
#include "py/message/offer.h"

#include <errno.h>
#include <unistd.h>

#include "core/os/futex.h"
#include "core/result/buffer_file.h"
#include "py/base/wait.h"
#include "py/message/departure.h"
#include "py/message/message.h"
#include "py/trace/stretch.h"

#ifdef PYPY_VERSION
#define OFFERS false /* its arrays cannot own a mapping */
#else
#define OFFERS true
#endif

struct answer {
    const struct sf_offering *offering;
    pid_t sender;
    uint32_t says;
};

static int try_answer(void *what)
{
    struct answer *answer = what;
    if (answer->sender != getpid())
        return -ECHILD;
    /* acquire: the partner is the exchange in sf_taken_add */
    answer->says = atomic_load_explicit(answer->offering->word, memory_order_acquire);
    if (answer->says != SF_OFFER_MADE)
        return 0;
    return getppid() == answer->offering->receiver ? -EAGAIN : -EPIPE;
}

static int sleep_until_answer(void *what, int64_t timeout_ns)
{
    struct answer *answer = what;
    return sf_futex_wait(answer->offering->word, SF_OFFER_MADE, timeout_ns);
}

/* Makes an offer and waits for the answer. 0 or as of sf_departure_send. */
static int ask(const struct sf_offering *offering, const struct sf_buffer_offer *offer, uint64_t number, uint32_t *says)
{
    struct iovec part = {(void *)offer, sizeof *offer};
    struct sf_message message = {.bytes = sizeof *offer, .parts = &part, .count = 1};
    struct answer answer = {offering, getpid(), SF_OFFER_NONE};
    struct sf_waiting waiting = {try_answer, sleep_until_answer, &answer, SF_WAIT_ROOM, 0};
    atomic_store_explicit(offering->word, SF_OFFER_MADE, memory_order_relaxed); /* sending the offer orders it */
    int error = sf_departure_send(offering->ring, &message, offering->source, SF_OFFER_TAG, number, NULL);
    if (!error)
        error = sf_wait(&waiting, true, SF_FOREVER);
    *says = answer.says;
    return error;
}

/* Offers one array. *taken: whether the receiver has it. */
static int offer_array(const struct sf_offering *offering, const struct iovec *part, uint64_t number, bool *taken)
{
    struct sf_own_fd file;
    uint32_t says;
    uint64_t from = sf_stretch_begin(part->iov_len);
    int error;
    *taken = false;
    Py_BEGIN_ALLOW_THREADS;
    error = sf_buffer_file_write(&file, part->iov_base, part->iov_len);
    Py_END_ALLOW_THREADS;
    if (error) /* no memory or no descriptor for it: the ring needs neither */
        return 0;
    sf_log_stretch(SF_EVENT_COPIED, from, part->iov_len);
    struct sf_buffer_offer offer = sf_buffer_file_offer(&file, part->iov_len);
    error = ask(offering, &offer, number, &says);
    sf_own_fd_close(&file);
    *taken = !error && says == SF_OFFER_TAKEN;
    return error;
}

int sf_offer_arrays(const struct sf_offering *offering, struct sf_message *message)
{
    uint64_t number = 0;
    if (!OFFERS || message->bytes < SF_OFFER_LEAST_BYTES)
        return 0;
    for (Py_ssize_t i = 0; i < message->viewed; i++) {
        bool taken = false;
        int error = 0;
        const struct iovec *part = sf_message_array(message, i);
        if (!part || part->iov_len < SF_OFFER_LEAST_BYTES)
            continue;
        if (atomic_load_explicit(offering->word, memory_order_relaxed) == SF_OFFER_REFUSED) /* its own load orders it */
            return 0;
        error = offer_array(offering, part, number, &taken);
        if (error)
            return error;
        if (taken) {
            sf_message_leave_out(message, i);
            number++;
        }
    }
    return 0;
}
