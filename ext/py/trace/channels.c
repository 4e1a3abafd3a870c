/* See channels.h. */
#include "py/trace/channels.h"

#include "core/log/log.h"

void sf_channels_log(const struct sf_ring *ring)
{
    size_t bytes;
    const char *name = sf_ring_name(ring, &bytes);
    if (!sf_log_enabled())
        return;
    sf_log_write(SF_EVENT_CHANNEL, SF_PHASE_INSTANT, sf_ring_number(ring), sf_ring_capacity(ring), 0);
    if (name)
        sf_log_write(SF_EVENT_CHANNEL_NAME, SF_PHASE_INSTANT, sf_ring_number(ring), sf_log_text(name, bytes), 0);
}
