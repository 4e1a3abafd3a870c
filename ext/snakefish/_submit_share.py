"""share= of maps on an executor: the caller's side. Internal; `_submit_call.py` makes it, `_submitted_share.py` is what
runs in the workers.

All chunks start from one state, that of the call, which travels with the job. So what comes back is merged in the order of
the arguments, whichever worker did what, and in whichever order: the same as from processes that were forked for the map.

A function that goes by value has a copy of its module's globals there. All that travel in one pickle have one copy, and that
one gets the shared values. A function that would have another one, and uses a shared name, is refused: what it changes
would be lost.
"""

import copy
import pickle
import types

from snakefish._merge_snapshot import dumps
from snakefish._submitted import find_cloudpickle, is_interruption, pack
from snakefish._submitted_share import Parcel, is_copied, is_found, loads, own_globals

_PROTOCOL = 5


class _Refused(TypeError):
    """Of what is shared, not of f."""


class Shared:
    """What one call of f shares, as it is now. sharing: a Sharing. are_forks: the workers are forks of this process, in which
    a name means the same."""

    def __init__(self, sharing, f, are_forks=False):
        ancestor = sharing.fork()
        ancestor.snapshot = copy.copy(ancestor.snapshot)  # the same, but for its twins, which are those of this call
        self._are_forks, self.merge_all, self._snapshot = are_forks, ancestor.merge_all, ancestor.snapshot
        self.parcel = Parcel(self._snapshot, f, None if are_forks else sharing.namespace)
        self.globals = sharing.namespace if self.parcel.takes_globals else None
        self._twins = set()  # their ids
        self._names = {}  # id of a namespace: the shared names in it
        for namespace, name in self._snapshot.variables.values():
            self._names.setdefault(id(namespace), set()).add(name)

    def pack_parcel(self):
        """For workers that are forks of this process."""
        return self._packed(self.parcel, _pickled)

    def pack_job(self, job):
        """For others; the job has the parcel."""
        packed = self._packed(job, self._pack_by_value)
        self._snapshot.know(self.parcel.twins)
        return packed

    def pack_items(self, items):
        """Arguments, in which what is shared is the variables' own."""
        return pack(items, not self._are_forks, self._snapshot.number_of if self._are_forks else self._number_of)

    def loads(self, packed):
        """A result."""
        return loads(packed, self._snapshot)

    def _packed(self, value, dump):
        try:
            return dump(value)
        except Exception as reason:
            if not (is_interruption(reason) or self.has_refused(reason)):
                self._refuse_unpicklable(dump)
            raise

    @staticmethod
    def has_refused(reason):
        return isinstance(reason, _Refused)

    def _refuse_unpicklable(self, dump):
        """TypeError if there is a variable that cannot be pickled."""
        for label, value in self.parcel.values.items():
            try:
                dump(value)
            except Exception as reason:
                if is_interruption(reason):
                    raise
                raise _Refused(f"share: {label!r} cannot be pickled, so it cannot travel to the executor's workers: "
                               f"{reason}") from reason

    # ---- by value ----

    def _pack_by_value(self, value):
        """As pack(value, leaves_program=True). Keeps what goes by value as twins."""
        cloudpickle = find_cloudpickle()
        packed = None
        try:
            packed = _pickled(value)
        except Exception as reason:
            if is_interruption(reason) or cloudpickle is None:
                raise
        if packed is not None and (cloudpickle is None or b"__main__" not in packed):
            return packed
        return dumps(value, self._keep_twin, cloudpickle.CloudPickler)

    def _keep_twin(self, obj):
        """A number_of that gives no numbers."""
        if _goes_by_value(obj) and id(obj) not in self._twins:
            if is_copied(obj, own_globals(obj)):
                self._refuse_copy(obj)
            self._twins.add(id(obj))
            self.parcel.twins.append(obj)

    def _number_of(self, obj):
        number = self._snapshot.number_of(obj)
        if number is None and _goes_by_value(obj) and find_cloudpickle() is not None:
            self._refuse_copy(obj)
        return number

    def _refuse_copy(self, function):
        names = self._names.get(id(own_globals(function)), set()) & set(_names_in(getattr(function, "__code__", None)))
        if names:
            raise _Refused(f"share: {function.__module__}.{function.__qualname__} uses {', '.join(sorted(names))}, but goes to "
                           "the executor's workers by value, and gets a copy there of the globals that it uses: what it "
                           "changes would be lost. Define it at the top level of a module, or let f call it by its name")


def _goes_by_value(obj):
    return isinstance(obj, (types.FunctionType, type)) and (obj.__module__ == "__main__" or not is_found(obj))


def _names_in(code):
    if code is not None:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                yield from _names_in(constant)


def _pickled(value):
    return pickle.dumps(value, _PROTOCOL)
