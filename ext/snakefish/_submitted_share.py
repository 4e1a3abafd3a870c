"""share= where the worker was not forked for the call: the shared globals travel there with the job, and what a chunk has
changed comes back. Internal; `_submit_share.py` is the caller's side.

    caller   Parcel(snapshot, f, globals)    pickled with the job: the values, and the containers that they lead to
    worker   opened = parcel.open(...)       the values as new objects, and a snapshot of them
             opened.put()                    before f: the variables get these values
             opened.changes()                after f: what it has changed, as bytes
             opened.put_back()               where the worker goes on with its own values

The containers have the caller's numbers there, whatever the order of a set is in that process. So the caller can merge what
comes back as if a child of its own had sent it (_merge_snapshot.py). An argument that is a shared container goes as its
number too: it is the variable's object there.
"""

import pickle
import sys
import time

from snakefish import _snakefish as snakefish  # its package needs the Executor, which needs this
from snakefish._merge_conflict import ABSENT
from snakefish._merge_share import unwrapped
from snakefish._merge_snapshot import ROOT, Snapshot, unpickled
from snakefish._submitted import is_interruption, pack, pack_failure, where

_OF_F, _OF_CALL = "f", "globals"  # whose global a variable is; else it is a module's, which is named "module:"


class Parcel:
    """variables: {label: (whose, name)}. twins: functions and classes that go by value with it; see Snapshot.know."""

    def __init__(self, snapshot, f, globals=None):
        """f: what the workers call. globals: those of the call, which the job takes along if `takes_globals` says so; None:
        the workers are forks of this process, which have its modules."""
        self.values, self.kinds, self.lives = snapshot.shadows[ROOT], snapshot.kinds, snapshot.lives
        self.variables, self.twins = {}, []
        function = unwrapped(f)
        own = None if is_copied(function, own_globals(function)) else own_globals(function)
        for label, (namespace, name) in snapshot.variables.items():
            module = namespace.get("__name__")
            if namespace is own:
                whose = _OF_F
            elif getattr(sys.modules.get(module), "__dict__", None) is not namespace:
                raise ValueError(f"share: {label!r} is a global of no module, so an executor's workers do not find it")
            else:
                whose = _OF_CALL if namespace is globals else f"{module}:"
            self.variables[label] = whose, name
        self.takes_globals = any(whose == _OF_CALL for whose, _ in self.variables.values())

    def __getstate__(self):
        return self.variables, self.values, self.kinds, self.lives, self.twins  # they are complete when it is their turn

    def __setstate__(self, state):
        self.variables, self.values, self.kinds, self.lives, self.twins = state

    def open(self, f, globals):
        """In the worker."""
        variables = {}
        for label, (whose, name) in self.variables.items():
            if whose == _OF_F:
                namespace = own_globals(unwrapped(f))
            elif whose == _OF_CALL:
                namespace = globals
            else:
                namespace = vars(__import__(whose[:-1], fromlist=["*"]))
            variables[label] = namespace, name
        snapshot = Snapshot.arrived(variables, self.values, self.kinds, self.lives, _pack_changes)
        snapshot.know(self.twins)
        return Opened(variables, self.values, snapshot)


class Opened:
    """A parcel in the worker. variables: {label: (namespace, name)}."""

    def __init__(self, variables, values, snapshot):
        self._variables, self._values, self._snapshot = variables, values, snapshot
        self._before = {}

    def loads(self, packed):
        """What was pickled with the parcel's numbers."""
        return loads(packed, self._snapshot)

    def pack_result(self, result):
        """A class that went there by value comes back as the caller's own. (As a copy, it would give the caller's class copies
        of its methods, which have other globals: see _class_setstate of cloudpickle before 3.1.)"""
        twins = self._snapshot.twin_index
        return pack(result, number_of=(lambda obj: twins.get(id(obj))) if twins else None)

    def put(self):
        for label, (namespace, name) in self._variables.items():
            self._before[label] = namespace.get(name, ABSENT)
            namespace[name] = self._values[label]

    def put_back(self):
        for label, (namespace, name) in self._variables.items():
            if self._before[label] is ABSENT:
                namespace.pop(name, None)
            else:
                namespace[name] = self._before[label]

    def changes(self):
        return self._snapshot.difference()

    def run(self, job, first, items):
        """Runs a chunk in forks of this worker, one or job.local, so that its changes stay out of the worker. (packed list of
        packed results, packed list of what each fork has changed, failure or None, seconds); of a failure: what was before."""
        began, forks = time.perf_counter(), 1 if job.local is None else job.local
        results, changes, failure = run_in_forks(job.f, job.star, self, first, items, forks)
        return pack(results), pack(changes), failure, time.perf_counter() - began


def _pack_changes(value, number_of):
    return pack(value, number_of=number_of)


def loads(packed, snapshot):
    """What was pickled with the numbers of a snapshot."""
    return unpickled(packed, snapshot.lives.__getitem__, snapshot.twins)


def own_globals(function):
    """Those of a Python function; None for a class or a callable object, which may have several."""
    return getattr(function, "__globals__", None)


def is_copied(function, namespace):
    """Whether it goes by value although its module, which has this namespace, goes by name: so its globals are a copy there,
    apart from those of the module's other functions."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return (module is not None and module.__name__ != "__main__" and getattr(module, "__dict__", None) is namespace
            and not is_found(function))


def is_found(obj):
    """Whether pickle finds a function or class by its name."""
    found = sys.modules.get(getattr(obj, "__module__", None) or "")
    try:
        for part in obj.__qualname__.split("."):
            found = getattr(found, part)
    except AttributeError:
        return False
    return found is obj


def name_of(f):
    """For the names of processes."""
    return getattr(f, "__name__", None) or type(f).__name__


# ---- a chunk ----


def run_in_forks(f, star, shared, first, items, processes, timeout=None):
    """(pickles of the results, what each fork has changed, failure or None). processes: forks, 0: one for each CPU."""
    processes = processes or snakefish.cpu_count()
    size = -(-len(items) // processes)
    changes = []
    try:
        came = snakefish.map(_InFork(f, star, shared), list(enumerate(items, first)), lambda _: shared.changes(),
                             lambda _, more: changes.append(more), processes, size, globals={}, timeout=timeout)
    except BaseException as error:
        if first and isinstance(error, (snakefish.ChildDied, TimeoutError)):
            error.args = (f"{error} (numbers are counted from argument {first})",)
        return [], [], pack_failure(error)
    for at, (_, failure) in enumerate(came):
        if failure is not None:  # nothing that is later counts
            return [packed for packed, _ in came[:at]], changes[:at // size + 1], failure
    return [packed for packed, _ in came], changes, None


class _InFork:
    """What the forks call for each argument: gives (the pickle of the result, None), or (None, failure). After a failure
    nothing more is called; what was changed before it counts."""

    def __init__(self, f, star, shared):
        self._f, self._star, self._shared = f, star, shared
        self._has_begun = self._has_failed = False
        self.__name__ = name_of(f)

    def __call__(self, numbered):
        number, item = numbered
        if not self._has_begun:
            self._has_begun = True
            self._shared.put()
        if self._has_failed:
            return None, None
        try:
            result = self._f(*item) if self._star else self._f(item)
        except Exception as error:
            self._has_failed = True
            return None, pack_failure(error.with_traceback(error.__traceback__.tb_next))
        try:
            return self._shared.pack_result(result), None
        except Exception as reason:
            if is_interruption(reason):
                raise
            self._has_failed = True
            kind = type(result).__name__
            return None, pack_failure(reason, f"its result for argument {number} ({kind}) cannot be pickled")


# ---- a call ----


class SharedCall:
    """A call in a worker that stays and runs one call at a time: its variables have the caller's values meanwhile. The parcel
    is that of a fork of the caller, so a name means the same there."""

    def __init__(self, f, packed_parcel, packed_arguments):
        self._f, self._shared = f, pickle.loads(packed_parcel).open(f, None)
        self._args, self._kwargs = self._shared.loads(packed_arguments)

    def run(self):
        """(packed changes, failure or None, result, where)."""
        self._shared.put()
        try:
            result, failure = None, None
            try:
                result = self._f(*self._args, **self._kwargs)
            except SystemExit:
                raise
            except BaseException as error:
                failure = pack_failure(error.with_traceback(error.__traceback__.tb_next))
            return self._shared.changes(), failure, result, where()
        finally:
            self._shared.put_back()
