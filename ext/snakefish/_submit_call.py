"""Calls of map, starmap, imap and imap_unordered with executor= or local=: their arguments. Internal; C calls `call` when it
sees one of these keywords.
"""

from snakefish import _snakefish
from snakefish._submit import check_executor, inherits
from snakefish._submit_imap import imap
from snakefish._submit_map import run_map
from snakefish._submit_source import iter_of

# What does not go with executor=, and what to write.
_REFUSED = {
    "concurrency": "the executor has its own workers. Say how many where you make it, or write local=n for n processes "
                   "in each",
    "rounds": "an executor's workers are not forked anew for each round. Leave out one of them",
    "timeout": "an executor cannot end a task that runs. Leave out one of them, or make a snakefish.Executor with "
               "task_timeout=",
    "blas_threads": "the executor's workers run already. Limit their threads where it is made, by its initializer",
    "share_check": "it looks at what a forked task has changed. Leave out one of them",
}
_NAMES = ("f", "args", "concurrency", "chunksize")
_MERGING_NAMES = ("f", "args", "extract", "merge", "concurrency", "chunksize")


def call(function, args, kwargs, globals):
    """What map, starmap, imap or imap_unordered of these arguments returns. globals: the caller's."""
    executor, local, is_map = kwargs.pop("executor", None), kwargs.pop("local", None), function in ("map", "starmap")
    if executor is None:
        if local is not None:
            raise ValueError("local= goes with executor=: it says how many processes each of the executor's workers "
                             "forks. For this machine write concurrency=")
        if is_map:
            if kwargs.get("globals") is None:
                kwargs["globals"] = globals
            return getattr(_snakefish, function)(*args, **kwargs)
        share = _take_share(function, kwargs)
        if share is None:
            return getattr(_snakefish, function)(*args, **kwargs)
        from snakefish._shared_imap import imap as shared_imap

        given = _read(function, args, kwargs)
        return shared_imap(sharing=share.of(given["f"], globals), **given)
    share = None if is_map else _take_share(function, kwargs)
    given = _read(function, args, kwargs, _REFUSED)
    check_executor(executor)
    local = _read_local(local)
    if is_map:
        share = _take_share(function, given)
        if share is None and given.get("globals") is None:
            given["globals"] = globals
    shared = None
    if share is not None:
        from snakefish._submit_share import Shared

        shared = Shared(share.of(given["f"], globals), given["f"], inherits(executor))
    if is_map:
        return run_map(executor, local, function == "starmap", shared=shared, **given)
    return imap(executor, local, function == "imap", shared=shared, **given)


# ---- the arguments ----


def _read(function, args, kwargs, refused=()):
    """The arguments by name. The same call without arguments for f finds what is wrong, in the words of every map."""
    merges = len(args) > 2 and (callable(args[2]) or args[2] is None and len(args) > 3 and (
        args[3] is None or callable(args[3])))
    given = dict(zip(_MERGING_NAMES if merges else _NAMES, args))
    for name, value in {**given, **kwargs}.items():
        if name in refused and value is not None and not _is_default(name, value):
            raise ValueError(f"{name}= does not go with executor=: {_REFUSED[name]}")
    all_given = {**kwargs, **given}
    if callable(all_given.get("f")) and "args" in all_given:
        iter_of(all_given["args"])
        if "args" in given:
            args = (args[0], (), *args[2:])
        else:
            kwargs = {**kwargs, "args": ()}
    close = getattr(getattr(_snakefish, function)(*args, **kwargs), "close", None)
    if close:
        close()
    for name in refused:
        all_given.pop(name, None)
    return all_given


class _Share:
    """share= and what goes with it, as they were given."""

    def __init__(self, share, on_conflict=None, merge=None, globals=None):
        self._given, self._globals = (share, on_conflict, merge), globals

    def of(self, f, globals):
        """The Sharing. globals: the caller's."""
        from snakefish._sharing import Sharing

        own = self._globals is not None
        return Sharing(f, *self._given, False, self._globals if own else globals, own)


def _take_share(function, given):
    """Takes share= and what goes with it out of the arguments; None: nothing is shared. For map and starmap C has seen that
    they go together."""
    names, is_map = ("share", "on_conflict", "merge", "globals"), function in ("map", "starmap")
    if given.get("share") is None:
        for name in ("share", "on_conflict") if is_map else names:
            if given.pop(name, None) is not None and name != "globals":
                raise ValueError(f"{name} goes with share")
        return None
    if function == "imap_unordered":
        raise ValueError("share= does not go with imap_unordered: what tasks have changed would be merged in the order in "
                         "which their results come, another one each time. Use imap")
    if is_map:
        given.pop("extract", None)  # it is None
    return _Share(**{name: given.pop(name) for name in names if name in given})


def _is_default(name, value):
    return value is False if name in ("rounds", "share_check") else name == "concurrency" and type(value) is int and value == 0


def _read_local(local):
    if local is None:
        return None
    if isinstance(local, bool) or not hasattr(type(local), "__index__"):
        raise TypeError(f"local must be an int, not {type(local).__name__}: so many processes in each worker")
    if local < 0:
        raise ValueError("local must be at least 0 (0: one for each CPU there)")
    return int(local)
