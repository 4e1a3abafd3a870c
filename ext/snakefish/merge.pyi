from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Type, TypeVar, Union

from typing_extensions import Literal

_F = TypeVar("_F", bound=Callable[..., Any])
_Rule = Union[None, str, Callable[..., Any]]
_Share = Union[Iterable[str], Mapping[str, _Rule]]

ABSENT: Any

class Conflict(RuntimeError):  # attributes of one that the program has made itself are None
    variable: Union[str, Any]
    place: Union[str, Any]
    key: Any
    base: Any
    current: Any
    child: Any
    parent_task: Union[str, Any]
    child_task: Union[str, Any]
    reason: str

class Explanation:
    name: str
    rules: Dict[str, str]
    errors: Dict[str, str]
    unshared: Dict[str, List[str]]
    def __init__(
        self, name: str, rules: Dict[str, str], errors: Dict[str, str], unshared: Dict[str, List[str]]
    ) -> None: ...
    def __bool__(self) -> bool: ...

def explain(f: Callable[..., Any], share: _Share = (), *, globals: Optional[Dict[str, Any]] = None) -> Explanation: ...
def register(cls: Type[Any]) -> Callable[[_F], _F]: ...
def three_way(
    share: _Share,
    *,
    on_conflict: Union[Literal["raise", "parent", "child"], Callable[[Conflict], Any]] = "raise",
    globals: Optional[Dict[str, Any]] = None,
) -> Tuple[Callable[[Dict[str, Any]], bytes], Callable[[Dict[str, Any], bytes], None]]: ...
