"""What each shared variable costs, for the trace. Internal; for _merge_snapshot.py and _merge_join.py.

An extract or a join that begins while tracing is on has Costs, and writes them as events at its end. Otherwise it has None,
and pays for nothing but looking at that.
"""

from time import perf_counter_ns

from snakefish._snakefish import _EVENT_EXTRACTED as EXTRACTED
from snakefish._snakefish import _EVENT_MERGED as MERGED
from snakefish._snakefish import _trace_variable, enabled

__all__ = ["EXTRACTED", "MERGED", "costs_begin"]


def costs_begin():
    """Costs, whose time begins now; None: tracing is off."""
    return Costs() if enabled() else None


class Costs:
    """The time of each variable, and its bytes or conflicts. None stands for what is no single variable's part.

    variables    for Snapshot.variable
    """

    def __init__(self):
        self.variables = {}
        self._ns, self._counts = {None: 0}, {}
        self._label, self._since = None, perf_counter_ns()

    def turn_to(self, label):
        """The time from here on is that variable's."""
        if label != self._label:
            now = perf_counter_ns()
            self._ns[self._label] = self._ns.get(self._label, 0) + now - self._since
            self._label, self._since = label, now

    def count(self, label, more):
        self._counts[label] = self._counts.get(label, 0) + more

    def write(self, event):
        """The last of it: an event for each variable that time was spent on."""
        now = perf_counter_ns()
        self._ns[self._label] = self._ns.get(self._label, 0) + now - self._since
        for label, ns in self._ns.items():
            _trace_variable(event, label, self._counts.get(label, 0), ns)
