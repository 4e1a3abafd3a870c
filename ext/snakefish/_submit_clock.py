"""The clocks of a traced map's remote workers. Internal; `_submit_trace.py` uses it.

For each chunk the caller notes its own clock when it sends it (t0) and when its result is here (t3), the worker when it gets
it (w1) and when it sends its result (w2). With w1 and w2 on the worker's clock, the offset to add to that lies between t0 - w1
and t3 - w2, since nothing is received before it is sent. Each exchange with a machine gives such an interval, and the offset
is in all of them. So it is taken from the middle of their intersection, and half of its width is the error: it is what the
fastest ways there and back leave open. Clocks drift: an interval is wider by 100 ppm of the time from when it is used. Where
an exchange contradicts those before it, somebody has set a clock, and it begins anew.

A machine of the same boot id, whose counter agrees with t0 and t3, has the same counter: no offset, no error.

A clock here is a pair: the timestamp counter, and CLOCK_MONOTONIC in ns. Between two readings of one machine the counter is
taken as even; the offset is one of CLOCK_MONOTONIC.
"""

from snakefish import _submitted_trace
from snakefish._snakefish import _remote_clock as clock

_DRIFT = 1e-4  # by which two clocks may run apart: far more than those of quartz do


class Offset:
    """What is to be added to a machine's clock, by all exchanges with it. Times in ns."""

    def __init__(self):
        self._low = self._high = self._at = None

    def learn(self, low, high, now):
        """It is in [low, high], by an exchange that ended now."""
        if self._at is not None:
            slack = self._slack(now)
            kept = max(low, self._low - slack), min(high, self._high + slack)
            low, high = kept if kept[0] <= kept[1] else (low, high)
        self._low, self._high, self._at = low, high, now

    def estimate(self, then):
        """(what it was at that time, how wrong that may be)."""
        return (self._low + self._high) // 2, (self._high - self._low + 1) // 2 + self._slack(then)

    def _slack(self, then):
        return int(abs(then - self._at) * _DRIFT)


class Exchange:
    """One chunk's way there and back. offset: that of its machine; None: its counter is this machine's. before: an earlier
    reading of the worker's clock; base: one of the caller's."""

    def __init__(self, offset, sent, entered, ended, came, before, base):
        self._offset, self._base, self._before = offset, base, before
        self._sent, self._entered, self._ended, self._came = sent, entered, ended, came
        if offset is not None:
            offset.learn(sent[1] - entered[1], came[1] - ended[1], came[1])

    def line(self):
        """(how the worker's counter becomes this machine's, as ext/core/log/relay.h has it; how wrong that may be in ns), by
        all exchanges until now."""
        held = self._entered[0], self._sent[0], self._came[0]
        if self._offset is None:
            return (self._ended[0], self._ended[0], 1.0, *held), 0
        add_ns, error_ns = self._offset.estimate(self._came[1])
        ticks_each_ns = (self._came[0] - self._base[0]) / max(1, self._came[1] - self._base[1])
        ns_each_tick = (self._ended[1] - self._before[1]) / max(1, self._ended[0] - self._before[0])
        end = self._came[0] + int((self._ended[1] + add_ns - self._came[1]) * ticks_each_ns)
        return (self._ended[0], max(0, end), ns_each_tick * ticks_each_ns, *held), error_ns


class Clocks:
    """Those of all machines that this process has exchanged chunks with."""

    def __init__(self):
        self._boot, self._base, self._offsets = _submitted_trace.where()[1], clock(), {}

    def exchange(self, boot, time_space, clocks, sent, came):
        """clocks: of the worker, as its report has them."""
        before, entered, ended = clocks
        offset = None
        if not boot or boot != self._boot or entered[0] < sent[0] or came[0] < ended[0]:
            offset = self._offsets.setdefault((boot, time_space), Offset())
        return Exchange(offset, sent, entered, ended, came, before, self._base)
