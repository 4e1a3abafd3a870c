/* The debug messages that the hook gets. */
#include <errno.h>

#include "core/os/debug.h"
#include "core/ring/ring.h"
#include "core/ring/ring_messages.h"
#include "harness.h"

static char heard[4096];

static void hear(enum sf_debug_part part, const char *sentence)
{
    size_t used = strlen(heard);
    snprintf(heard + used, sizeof heard - used, "%d %s\n", (int)part, sentence);
    errno = EXDEV; /* the hook may change errno */
}

TEST(only_wanted_parts_reach_the_hook_and_errno_stays)
{
    errno = 5;
    sf_debug(SF_DEBUG_LOG, "to nobody");
    sf_debug_set(SF_DEBUG_RING, hear);
    sf_debug(SF_DEBUG_LOG, "not wanted");
    sf_debug(SF_DEBUG_RING, "number %d", 7);
    CHECK_EQ(5, errno);
    CHECK_EQ(0, strcmp(heard, "2 number 7\n"));
}

TEST(a_ring_reports_that_it_is_made_recovered_and_freed)
{
    sf_debug_set(SF_DEBUG_RING, hear);
    struct sf_ring *ring = new_ring(1024);
    CHECK(strstr(heard, " made, 1024 bytes\n"));
    pid_t pid = fork();
    if (pid == 0) {
        struct sf_ring_slot slot;
        CHECK_EQ(0, sf_ring_reserve(ring, 900, &slot));
        kill(getpid(), SIGKILL);
    }
    await_zombie(pid);
    CHECK(!strstr(heard, "recovered"));
    CHECK_EQ(0, send_message(ring, 0, 1, 900));
    CHECK(strstr(heard, "recovered a message that a dead process was writing\n"));
    sf_ring_free(ring);
    CHECK(strstr(heard, "freed here\n"));
}

TEST_MAIN()
