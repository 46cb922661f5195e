"""What happens, told to whoever wants to know: one small event per run, page, request, decision, write, lease and warning.

An event holds names that the admin gave, codes and numbers: never a text, an address or a secret. Nobody listens by default, and then
telling costs nothing. `listen` is the one hook: logs, metrics and tests all come in by it.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """What all events share: `name` is how logs and metrics call it."""

    name: ClassVar[str]


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A pull of an instance, or a publishing run against one, begins. `work`: pull or publish."""

    name: ClassVar[str] = "run_started"
    work: str
    instance: str
    full: bool = False


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """It ended. `outcome` is the word that `runs` and `publish` show."""

    name: ClassVar[str] = "run_ended"
    work: str
    instance: str
    outcome: str
    seconds: float
    requests: int = 0
    platform_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PageWritten(Event):
    """A page and its checkpoint were committed."""

    name: ClassVar[str] = "page_written"
    instance: str
    records: int
    created: int
    changed: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class RequestMade(Event):
    """A request was answered or failed. `status` is 0 where no answer came; `seconds` as the platform says, else as measured."""

    name: ClassVar[str] = "request_made"
    host: str
    method: str
    status: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class DecisionMade(Event):
    """A plan decided about one proposal."""

    name: ClassVar[str] = "decision_made"
    route: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class WriteEnded(Event):
    """An operation came to rest, at least for now: `state` and `reason` are those of `core.ledger.states`."""

    name: ClassVar[str] = "write_ended"
    route: str
    instance: str
    kind: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class LeaseMoved(Event):
    """A lease was taken, refused, lost or given back (`what`)."""

    name: ClassVar[str] = "lease_moved"
    lease: str
    what: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something an operator should look at; `code` says what."""

    name: ClassVar[str] = "warned"
    instance: str
    code: str


@dataclass(frozen=True, slots=True)
class AlertTold(Event):
    """A notice was put into the outbox. `what` and `kind` as `core.alerts.kinds` has them; an overview has no kind."""

    name: ClassVar[str] = "alert_told"
    what: str
    kind: str


@dataclass(frozen=True, slots=True)
class DeliveryTried(Event):
    """A delivery of a notice was tried; `state` is where it stands now. `channel` without the address of a person."""

    name: ClassVar[str] = "delivery_tried"
    channel: str
    state: str
    attempts: int


Listener = Callable[[Event], None]
_listeners: list[Listener] = []


def emit(event: Event) -> None:
    """Tell everybody who listens. A listener must not raise, and must not take long: it is called where things happen."""
    for listener in _listeners:
        listener(event)


@contextmanager
def listen(listener: Listener) -> Generator[None]:
    """Call `listener` with every event for as long as the block lasts, from whatever thread it happens in."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
