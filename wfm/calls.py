"""One request of the API as a value, and how a function that makes one becomes a method of both clients."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID, uuid4

from pydantic import BaseModel

if TYPE_CHECKING:
    from wfm.client import AsyncWorkflowClient, WorkflowClient

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Id = UUID | str
Body = BaseModel | Mapping[str, Any]

SAFE_METHODS = frozenset({"GET", "HEAD"})
KEY_HEADER = "Idempotency-Key"


@dataclass(frozen=True)
class Call(Generic[T_co]):
    """One request, the same for every attempt; ``reads`` is the model of its answer, or None where there is none.

    ``changes_nothing`` says so of a POST: it may be sent again like a GET. ``anonymous`` ones carry no credentials.
    """

    reads: type[T_co] | None
    path: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    changes_nothing: bool = False
    anonymous: bool = False
    answers: frozenset[int] = frozenset()
    """Statuses of refusal that are answers here all the same."""
    quiet_seconds: float | None = None
    """Of a stream: how long nothing may come before the connection counts as cut."""
    method: str = ""
    template: str = ""

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.method in SAFE_METHODS or self.changes_nothing or KEY_HEADER in self.headers


@dataclass(frozen=True)
class Pause:
    """Wait before going on."""

    seconds: float


Flow = Generator[Call[Any] | Pause, Any, T]
"""Several requests after one another, as a generator: it yields a call and is sent what the call gave."""


def ask(call: Call[T]) -> Flow[T]:
    """One call inside of a flow: ``run = yield from ask(get_run(run_id))``."""
    given: T = yield call
    return given


def new_key(given: str | None) -> dict[str, str]:
    """The header of a request that is done once however often it is sent."""
    return {KEY_HEADER: given or str(uuid4())}


class SyncPart:
    """A subject of the client, say ``client.runs``."""

    def __init__(self, client: "WorkflowClient") -> None:
        self.client = client


class AsyncPart:
    """The same of the asynchronous client."""

    def __init__(self, client: "AsyncWorkflowClient") -> None:
        self.client = client


class Operation(Generic[P, T]):
    """A function that makes a call. As an attribute of a part it is the method that sends it.

    Called by itself it gives the call, for ``client.send(call)``.
    """

    def __init__(self, method: str, template: str, make: Callable[P, Call[T]]) -> None:
        self.method = method
        self.template = template
        self.make = make
        self.__doc__ = make.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        return replace(self.make(*args, **kwargs), method=self.method, template=self.template)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """What the function takes."""
        return inspect.signature(self.make).parameters

    @overload
    def __get__(self, part: SyncPart, owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, part: AsyncPart, owner: type | None = None) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, part: None, owner: type | None = None) -> "Operation[P, T]": ...
    def __get__(self, part: Any, owner: type | None = None) -> Any:
        if part is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return part.client.send(self(*args, **kwargs))

        method.__doc__ = self.__doc__
        return method


OPERATIONS: list[Operation[..., Any]] = []
"""Every operation that the client can do; a test compares it with the API's document."""


def operation(route: str) -> Callable[[Callable[P, Call[T]]], Operation[P, T]]:
    """Makes an operation of a function: ``@operation("GET /api/v1/agents")``, as the API's document names it."""
    method, _, template = route.partition(" ")

    def decorate(make: Callable[P, Call[T]]) -> Operation[P, T]:
        made = Operation(method, template, make)
        OPERATIONS.append(made)
        return made

    return decorate


class Procedure(Generic[P, T]):
    """A function that makes a flow, as a method of both clients."""

    def __init__(self, make: Callable[P, Flow[T]]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Flow[T]:
        return self.make(*args, **kwargs)

    @overload
    def __get__(self, part: SyncPart, owner: type | None = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, part: AsyncPart, owner: type | None = None) -> Callable[P, Awaitable[T]]: ...
    @overload
    def __get__(self, part: None, owner: type | None = None) -> "Procedure[P, T]": ...
    def __get__(self, part: Any, owner: type | None = None) -> Any:
        if part is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return part.client.follow(self.make(*args, **kwargs))

        method.__doc__ = self.__doc__
        return method


class Paged(Protocol[T_co]):
    """A page of a list."""

    @property
    def items(self) -> Sequence[T_co]:
        """What is on the page."""


def page_after(call: Call[T], page: Any) -> Call[T] | None:
    """The call for the next page, or None after the last one. Runs have a cursor, other lists have numbers."""
    if hasattr(page, "next"):
        return replace(call, query={**call.query, "cursor": page.next}) if page.next else None
    if not page.items or page.page * page.size >= page.total:
        return None
    return replace(call, query={**call.query, "page": page.page + 1, "size": page.size})


class Everything(Generic[P, T]):
    """All items of a list, page by page as they are wanted, as a method of both clients."""

    def __init__(self, pages: Operation[P, Any], _item: type[T]) -> None:
        self.pages = pages
        self.__doc__ = f"{pages.__doc__} All of them, page by page as they are wanted."

    @overload
    def __get__(self, part: SyncPart, owner: type | None = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, part: AsyncPart, owner: type | None = None) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, part: None, owner: type | None = None) -> "Everything[P, T]": ...
    def __get__(self, part: Any, owner: type | None = None) -> Any:
        if part is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return part.client.items(self.pages(*args, **kwargs))

        method.__doc__ = self.__doc__
        return method
