"""Calls of map, starmap, imap and imap_unordered with executor= or local=: their arguments. Internal; C calls `call` when it
sees one of these keywords.
"""

from snakefish import _snakefish
from snakefish._submit import check_executor
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
    "share": "an executor's workers share no memory with this process. Leave out one of them",
}
_NAMES = ("f", "args", "concurrency", "chunksize")
_MERGING_NAMES = ("f", "args", "extract", "merge", "concurrency", "chunksize")


def call(function, args, kwargs, globals):
    """What map, starmap, imap or imap_unordered of these arguments returns. globals: the caller's."""
    executor, local = kwargs.pop("executor", None), kwargs.pop("local", None)
    if executor is None:
        if local is not None:
            raise ValueError("local= goes with executor=: it says how many processes each of the executor's workers "
                             "forks. For this machine write concurrency=")
        if function in ("map", "starmap") and kwargs.get("globals") is None:
            kwargs["globals"] = globals
        return getattr(_snakefish, function)(*args, **kwargs)
    given = _read(function, args, kwargs, globals)
    check_executor(executor)
    local = _read_local(local)
    if function in ("map", "starmap"):
        return run_map(executor, local, function == "starmap", **given)
    return imap(executor, local, function == "imap", **given)


# ---- the arguments ----


def _read(function, args, kwargs, globals):
    """The arguments by name. The same call without arguments for f finds what is wrong, in the words of every map."""
    merges = len(args) > 2 and (callable(args[2]) or args[2] is None and len(args) > 3 and (
        args[3] is None or callable(args[3])))
    given = dict(zip(_MERGING_NAMES if merges else _NAMES, args))
    for name, value in {**given, **kwargs}.items():
        if name in _REFUSED and value is not None and not _is_default(name, value):
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
    given = all_given
    for name in _REFUSED:
        given.pop(name, None)
    if function in ("map", "starmap") and given.get("globals") is None:
        given["globals"] = globals
    return given


def _is_default(name, value):
    return value is False if name == "rounds" else name == "concurrency" and type(value) is int and value == 0


def _read_local(local):
    if local is None:
        return None
    if isinstance(local, bool) or not hasattr(type(local), "__index__"):
        raise TypeError(f"local must be an int, not {type(local).__name__}: so many processes in each worker")
    if local < 0:
        raise ValueError("local must be at least 0 (0: one for each CPU there)")
    return int(local)
