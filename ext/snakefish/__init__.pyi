"""Type stubs. help(snakefish) says what each name does, its units, what it raises and whether it blocks."""

from builtins import RuntimeError as RuntimeError
from concurrent.futures import BrokenExecutor as _BrokenExecutor, Executor as _Executor, Future as _Future
from types import TracebackType
from typing import Any, Callable, Dict, Generic, Iterable, Iterator, List, Literal, Mapping, Optional, Protocol, Sequence, Type, TypeVar, Union, overload

from typing_extensions import Buffer as _Buffer, Self  # type: ignore[attr-defined]  # 4.6 has Buffer

from snakefish import merge as merge, trace as trace

_R = TypeVar("_R")
_T = TypeVar("_T")
_X = TypeVar("_X")

_Task_ = TypeVar("_Task_", bound="_Task")

_Extract = Callable[[Dict[str, Any]], _X]
_Merge = Callable[[Dict[str, Any], _X], object]
_MergeAll = Callable[[Dict[str, Any], Dict[str, Any], Dict[str, Any]], Mapping[str, Any]]
_Share = Union[None, Iterable[str], Mapping[str, Any]]
_OnConflict = Union[None, Literal["raise", "parent", "child"], Callable[[merge.Conflict], Any]]
_Progress = Union[None, bool, Callable[[int, int], object]]

class ChildDied(RuntimeError):  # attributes of one that the program has made itself are None
    pid: Union[int, Any]
    exit_status: Optional[int]
    name: Union[str, Any]

class WorkerDied(ChildDied, _BrokenExecutor):
    signal: Optional[int]
    task: Optional[str]

class Channel:
    def __init__(self, size: int = ..., *, name: Optional[str] = None) -> None: ...
    def send_pyobj(self, obj: object, block: bool = False, timeout: Optional[float] = None) -> None: ...
    def receive_pyobj(self, block: bool = True, timeout: Optional[float] = None) -> Any: ...
    def send_bytes(self, buffer: _Buffer, block: bool = False, timeout: Optional[float] = None) -> None: ...
    def receive_bytes(self, block: bool = True, timeout: Optional[float] = None) -> bytes: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def dispose(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, type: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> bool: ...

class _Task:
    @property
    def pid(self) -> Optional[int]: ...
    @property
    def name(self) -> str: ...
    def start(self) -> None: ...
    def join(self, timeout: Optional[float] = None) -> None: ...
    def try_join(self) -> bool: ...
    def is_alive(self) -> bool: ...
    def get_exit_status(self) -> Optional[int]: ...
    def fileno(self) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def dispose(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, type: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> bool: ...

class Thread(_Task, Generic[_R]):
    @overload
    def __init__(
        self,
        f: Callable[..., _R],
        extract: None = None,
        merge: Optional[_MergeAll] = None,
        *,
        args: Sequence[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        globals: Optional[Dict[str, Any]] = None,
        share: _Share = None,
        on_conflict: _OnConflict = None,
        share_check: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        f: Callable[..., _R],
        extract: _Extract[_X],
        merge: _Merge[_X],
        *,
        args: Sequence[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        globals: Optional[Dict[str, Any]] = None,
    ) -> None: ...
    def get_result(self) -> _R: ...

class Generator(_Task, Generic[_R]):
    @overload
    def __init__(
        self,
        f: Callable[..., Iterator[_R]],
        extract: None = None,
        merge: Optional[_MergeAll] = None,
        *,
        args: Sequence[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        prefetch: int = 0,
        globals: Optional[Dict[str, Any]] = None,
        share: _Share = None,
        on_conflict: _OnConflict = None,
        share_check: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        f: Callable[..., Iterator[_R]],
        extract: _Extract[_X],
        merge: _Merge[_X],
        *,
        args: Sequence[Any] = (),
        kwargs: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
        prefetch: int = 0,
        globals: Optional[Dict[str, Any]] = None,
    ) -> None: ...
    def next(self, block: bool = True, timeout: Optional[float] = None) -> _R: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _R: ...

# inspect knows one signature, so stubtest can compare no overloads whose positional arguments differ. It takes a
# variable of these types.

class _Map(Protocol):
    @overload
    def __call__(
        self, f: Callable[[_T], _R], args: Iterable[_T], concurrency: Optional[int] = 0, chunksize: Optional[int] = 0, *,
        extract: None = None, merge: Optional[_MergeAll] = None, progress: _Progress = None, rounds: bool = False,
        globals: Optional[Dict[str, Any]] = None, executor: Optional[_Executor] = None, local: Optional[int] = None,
        timeout: Optional[float] = None, blas_threads: Optional[int] = None,
        share: _Share = None, on_conflict: _OnConflict = None, share_check: bool = False,
    ) -> List[_R]: ...
    @overload
    def __call__(
        self, f: Callable[[_T], _R], args: Iterable[_T], concurrency: Optional[int] = 0, chunksize: Optional[int] = 0, *,
        extract: _Extract[_X], merge: _Merge[_X], progress: _Progress = None, rounds: bool = False,
        globals: Optional[Dict[str, Any]] = None, executor: Optional[_Executor] = None, local: Optional[int] = None,
        timeout: Optional[float] = None, blas_threads: Optional[int] = None,
    ) -> List[_R]: ...
    @overload
    def __call__(
        self, f: Callable[[_T], _R], args: Iterable[_T], extract: Optional[_Extract[_X]], merge: Optional[_Merge[_X]],
        concurrency: Optional[int] = 0, chunksize: Optional[int] = 0, *, progress: _Progress = None, rounds: bool = False,
        globals: Optional[Dict[str, Any]] = None, executor: Optional[_Executor] = None, local: Optional[int] = None,
        timeout: Optional[float] = None, blas_threads: Optional[int] = None,
    ) -> List[_R]: ...

class _Starmap(Protocol):
    @overload
    def __call__(
        self, f: Callable[..., _R], args: Iterable[Iterable[Any]], concurrency: Optional[int] = 0,
        chunksize: Optional[int] = 0, *, extract: None = None, merge: Optional[_MergeAll] = None, progress: _Progress = None,
        rounds: bool = False, globals: Optional[Dict[str, Any]] = None,
        executor: Optional[_Executor] = None, local: Optional[int] = None,
        timeout: Optional[float] = None, blas_threads: Optional[int] = None,
        share: _Share = None, on_conflict: _OnConflict = None, share_check: bool = False,
    ) -> List[_R]: ...
    @overload
    def __call__(
        self, f: Callable[..., _R], args: Iterable[Iterable[Any]], concurrency: Optional[int] = 0,
        chunksize: Optional[int] = 0, *, extract: _Extract[_X], merge: _Merge[_X], progress: _Progress = None,
        rounds: bool = False, globals: Optional[Dict[str, Any]] = None, timeout: Optional[float] = None, blas_threads: Optional[int] = None,
    ) -> List[_R]: ...
    @overload
    def __call__(
        self, f: Callable[..., _R], args: Iterable[Iterable[Any]], extract: Optional[_Extract[_X]],
        merge: Optional[_Merge[_X]], concurrency: Optional[int] = 0, chunksize: Optional[int] = 0, *,
        progress: _Progress = None, rounds: bool = False, globals: Optional[Dict[str, Any]] = None,
        executor: Optional[_Executor] = None, local: Optional[int] = None,
        timeout: Optional[float] = None, blas_threads: Optional[int] = None,
    ) -> List[_R]: ...

map: Union[_Map, Any]
starmap: Union[_Starmap, Any]

class _Results(Iterator[_R]):
    def __iter__(self) -> Self: ...
    def __next__(self) -> _R: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, type: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None: ...

def imap(
    f: Callable[[_T], _R], args: Iterable[_T], concurrency: Optional[int] = 0, chunksize: Optional[int] = 1, *,
    executor: Optional[_Executor] = None, local: Optional[int] = None,
    timeout: Optional[float] = None, blas_threads: Optional[int] = None,
    share: _Share = None, on_conflict: _OnConflict = None, merge: Optional[_MergeAll] = None,
    globals: Optional[Dict[str, Any]] = None,
) -> _Results[_R]: ...
def imap_unordered(
    f: Callable[[_T], _R], args: Iterable[_T], concurrency: Optional[int] = 0, chunksize: Optional[int] = 1, *,
    executor: Optional[_Executor] = None, local: Optional[int] = None,
    timeout: Optional[float] = None, blas_threads: Optional[int] = None,
) -> _Results[_R]: ...

class Executor(_Executor):
    def __init__(
        self,
        max_workers: Optional[int] = 0,
        *,
        initializer: Optional[Callable[..., object]] = None,
        initargs: Iterable[Any] = (),
        max_tasks_per_child: Optional[int] = None,
        task_timeout: Optional[float] = None,
        name: Optional[str] = None,
    ) -> None: ...
    # share=, on_conflict= and merge= are among the kwargs, as fn may have parameters of these names itself
    def submit(self, fn: Callable[..., _R], /, *args: Any, **kwargs: Any) -> _Future[_R]: ...
    def map(
        self,
        fn: Callable[..., _R],
        *iterables: Iterable[Any],
        timeout: Optional[float] = None,
        chunksize: int = 0,
        buffersize: Optional[int] = None,
    ) -> Iterator[_R]: ...
    def refresh(self) -> None: ...
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...
    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> Literal[False]: ...

def wait(threads: Iterable[_Task_], timeout: Optional[float] = None) -> List[_Task_]: ...

def get_timestamp() -> int: ...
def get_timestamp_serialized() -> int: ...
def timestamp_frequency() -> int: ...
def cpu_count() -> int: ...
