"""The contract between a platform's connector and the rest of civicsync.

A connector reads one platform through a `Transport` and speaks in `Page`s of `Item`s. It never touches the database, never
sleeps, never logs a body. `connectors/testing` (`reader_suite`) checks an implementation in one line.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ...core.clock import Clock
from ...core.identity import Ref
from ...core.items import Cursor, Due, Item, Kinds, Page
from ...core.records import Record, Space
from .exchange import Transport
from .settings import InstanceSettings

__all__ = [
    "CanConfirm",
    "CanRevisit",
    "Capability",
    "Connector",
    "Context",
    "Cursor",
    "Due",
    "Item",
    "Page",
    "Probe",
    "PullRequest",
    "Reader",
    "Stored",
]


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing this instance can or cannot do, with the reason in words an admin understands."""

    name: str
    available: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """What answers at an address. `facts` is what the connector needs again (JSON-able); `strategy` says how it will pull."""

    platform: str
    version: str | None
    dialect: str
    title: str = ""
    locales: Sequence[str] = ()
    capabilities: Sequence[Capability] = ()
    strategy: Sequence[str] = ()
    warnings: Sequence[str] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Stored(Protocol):
    """What earlier runs left, read-only."""

    def cursor(self, scope: str) -> Cursor | None: ...
    def memory(self, name: str) -> Any: ...
    def pending(self, scope: str) -> Sequence[Ref]:
        """References that the last complete sweep missed: while there are any, a gate must not skip the sweep."""
        ...

    async def tokens(self, scope: str) -> Mapping[Ref, str]:
        """Reference to token of everything alive in the scope."""
        ...


async def _nothing(_: str) -> Collection[Ref]:
    return ()


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull. `full` ignores gates and light sweeps; `spaces` limits it to these references (empty: all).

    `done`: what the interrupted run that this one continues had read to its end (complete scopes, and what `Page.done` named); a
    reader leaves it out. `seen` tells what the pages of an unfinished sweep that is resumed have shown so far.
    """

    probe: Probe
    stored: Stored
    full: bool = False
    spaces: Sequence[Ref] = ()
    done: Collection[str] = ()
    seen: Callable[[str], Awaitable[Collection[Ref]]] = _nothing


@dataclass(frozen=True, slots=True)
class Context:
    """What a connector is given. `pseudonym` turns a platform user id into what may leave the connector."""

    instance: str
    settings: InstanceSettings
    transport: Transport
    pseudonym: Callable[[str], str]
    clock: Clock
    keep_names: bool = False


class Reader(Protocol):
    """Reads one instance. One request at a time: the transport keeps the pace."""

    async def probe(self) -> Probe: ...
    async def discover(self, probe: Probe) -> Sequence[Space]: ...
    def pull(self, request: PullRequest) -> AsyncIterator[Page]: ...


@runtime_checkable
class CanConfirm(Protocol):
    """Optional: can ask for single records, so that an absence is confirmed before it is believed."""

    async def still_there(self, refs: Sequence[Ref]) -> Mapping[Ref, bool | None]:
        """True: there; False: gone for the public; None: cannot tell (then nothing is tombstoned).

        What is closed (a group, a component, a budget that is unpublished) while its parent answers is gone for the public; only when
        the parent refuses too is it lost permission, and cannot be told.

        Raises:
            PartlyAnswered: the platform failed on some of them; what it said of the others counts.
        """
        ...


@runtime_checkable
class CanRevisit(Protocol):
    """Optional: can read single records again, whole, so that no fact stays unconfirmed for long without a full pull."""

    def revisit(self, request: PullRequest, due: Sequence[Due]) -> AsyncIterator[Page]:
        """Read again what was confirmed longest ago, in the order of `due`, the cheapest way; what hangs on it counts as well.

        A page after every few requests: the run stops asking when its budget is spent. What is shown comes as items, threads that
        were read whole as `Page.whole_of`; what is due and does not show is asked for with `still_there` afterwards. Never `complete`.
        """
        ...


KINDS: Kinds = {
    "proposals": ("proposal",),
    "comments": ("comment",),
    "answers": ("answer",),
    "categories": ("category",),
}
"""What a platform has that says nothing else."""


@dataclass(frozen=True, slots=True)
class Connector:
    """What a platform's package exports as `CONNECTOR` (entry point group `civicsync.connectors`)."""

    platform: str
    settings: type[InstanceSettings]
    reader: Callable[[Context], Reader]
    kinds: Kinds = field(default_factory=lambda: KINDS)
    """Which kinds of records it has, by table; a kind that is not named here is a space."""
    versions: Sequence[str] = ()
    """What `civicsync sandbox PLATFORM --version` accepts, newest last."""
    requests_per_minute: int | None = None
    """The platform's own known limit, with a little room."""
    keep_cookies: bool = False
    """Whether the transport keeps a cookie jar; without one, a sticky locale cannot follow us."""
    writer: Callable[..., Any] | None = None
    """(contract.writing.WriteContext) -> contract.writing.Writer; None: this platform is only read."""
    remap: Callable[[Context, Ref, Mapping[str, Any]], Sequence[Record]] | None = None
    """Maps a raw node from quarantine again."""
    tells_languages: bool = True
    """Whether the platform itself says in which language a text is; False where it only answers in the one that was asked for."""
    sandbox: Callable[..., Any] | None = None
    """(version, size, seed, **options) -> connectors.testing.sandbox.sandbox.Sandbox"""
