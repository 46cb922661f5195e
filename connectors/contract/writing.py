"""The writers' half of the contract: how a copy is made on a platform, once, and kept honest.

A writer is asked one thing at a time by the engine (`sync.publish`), which has written down its intent before. It never touches the
database, never decides whether something may be published, never repeats a write by itself, and never says "done" without the
platform's word. Every write has a plan twin: `plan` returns the very requests that the write would send, made by the same code,
with what only a session can know as a placeholder.

What a write may end in:

* it returns: the platform confirmed it;
* `CannotDo`: not tried, this platform, account or space cannot do that here, and why;
* `ContentRefused`: the platform refused this content; nothing is stored, and sending the same again is useless;
* `NotDone`: nothing is stored for certain (never connected, asked to slow down); it may be tried again later;
* `MaybeDone`: the request went out and no trustworthy answer came: look it up (`CanFind`) before anything is sent again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, runtime_checkable

from ...core.identity import Ref
from ...core.records import State
from .errors import CannotDo, ContentRefused, MaybeDone, NotDone, WrongCredentials
from .exchange import Request, Transport
from .reading import Capability, Context

__all__ = [
    "AnswerDraft",
    "Authored",
    "CanAnswer",
    "CanComment",
    "CanEdit",
    "CanFind",
    "CanWithdraw",
    "CannotDo",
    "ContentRefused",
    "Copy",
    "Draft",
    "Fitted",
    "KeepsText",
    "Limits",
    "LocalText",
    "MaybeDone",
    "NotDone",
    "Reading",
    "Refusals",
    "Request",
    "Standing",
    "StoresLate",
    "TellsRights",
    "WriteContext",
    "Writer",
    "stores_within",
]

Voice = Literal["official", "participant"]
"""In whose name: the organisation's, or the service account's as an ordinary participant."""


@dataclass(frozen=True, slots=True)
class LocalText:
    """A text in one language, ready to be sent: attribution, link and marker are part of the body.

    `html` is sanitised HTML, `plain` the same as plain text (paragraphs as blank lines); the writer sends what its platform stores.
    """

    title: str
    html: str
    plain: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a copy shall say. `texts` by locale, the main one (`locale`) always among them."""

    locale: str
    texts: Mapping[str, LocalText]
    marker: str
    """The signed marker as it stands in every body; unique to this origin and target space."""
    voice: Voice | None = None
    """As the route says; None: what suits the account best."""
    category: Ref | None = None
    area: Ref | None = None
    latitude: float | None = None
    longitude: float | None = None
    address: str | None = None

    @property
    def main(self) -> LocalText:
        return self.texts[self.locale]


@dataclass(frozen=True, slots=True)
class AnswerDraft:
    """An official answer to carry over; `texts` by locale as in `Draft` (titles empty)."""

    state: State
    locale: str
    texts: Mapping[str, LocalText]
    marker: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a space takes. A writer with one language is sent one; longer texts are cut by the engine at a sentence, with a link."""

    title: tuple[int, int] = (1, 255)
    body: tuple[int, int] = (0, 1_000_000)
    """Characters of what is sent: of `html` or of `plain`, as `sends` says."""
    summary: int | None = None
    """Characters; None: the platform has no summary."""
    sends: Literal["html", "plain"] = "html"
    many_locales: bool = False
    locales: Sequence[str] = ()
    """Only these are accepted; empty: any, or not known."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A draft as the platform will take it, with a word for every change that was made to the text."""

    draft: Draft
    changes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy on its platform. `how` is the writer's own note of the way it was made (JSON-able), handed back with every later call.

    `complete` is False for something half made (a draft that still must be published): `create(…, found=copy)` finishes it.
    `withdrawn`: it was taken back. `twins`: other texts of our account that carry the same marker, the public ones first.
    """

    ref: Ref
    url: str = ""
    how: Mapping[str, Any] = field(default_factory=dict[str, Any])
    complete: bool = True
    withdrawn: bool = False
    twins: Sequence[Ref] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How a copy stands now, as the platform shows it. `title` and `plain` are compared with what stood there after our last write."""

    title: str
    plain: str
    answered: State | None = None
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Authored:
    """Something the service account (or, for official copies, the organisation) wrote: for rebuilding a lost ledger."""

    copy: Copy
    title: str
    text: str
    """Everything in which a marker may stand."""
    created_at: datetime | None = None
    ours: bool = True
    """False: it carries a marker, and nothing tells whether our account wrote it; a person is asked."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Who we are there and what we may do. `account` is the platform user id (None: nobody), before it becomes a pseudonym."""

    account: str | None
    capabilities: Sequence[Capability] = ()
    warnings: Sequence[str] = ()


class Refusals:
    """What is known of an instance's further accounts (an administrator's, a token) whose credentials were not taken.

    A writer asks here before it signs in with one, and tells here what came of it, so that a wrong password is tried once: each further
    try counts towards a lock. The account that everything needs is the engine's matter. This one forgets when the run ends.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    async def why(self, account: str) -> str:
        """What the platform said when it did not take the credentials of this account; empty: they may be tried."""
        return self._known.get(account, "")

    async def remember(self, account: str, error: WrongCredentials) -> None:
        """They were not taken."""
        self._known[account] = error.message


@dataclass(frozen=True, slots=True)
class WriteContext:
    """What a writer is given. `reading.transport` never signs in; `session` keeps cookies and is the only one that does."""

    reading: Context
    session: Transport
    refusals: Refusals = field(default_factory=Refusals)


class Writer(Protocol):
    """Writes to one instance, one request at a time."""

    async def check(self) -> Standing:
        """Sign in and look around; writes nothing. Raises: CannotDo (wrong or missing credentials), NotDone."""
        ...

    async def limits(self, space: Ref, voice: Voice | None = None) -> Limits:
        """What `space` takes in this voice. Raises: CannotDo where no proposal can be made there, and why."""
        ...

    def fit(self, space: Ref, draft: Draft) -> Fitted:
        """The draft with what the platform would refuse or garble put right (never silently). Raises: CannotDo. Asks nothing."""
        ...

    def plan_create(self, space: Ref, draft: Draft) -> Sequence[Request]:
        """The requests that `create` would send. Asks nothing; the same for the other `plan_…`."""
        ...

    async def create(self, space: Ref, draft: Draft, found: Copy | None = None) -> Copy:
        """Make the copy public, or finish the half-made `found`."""
        ...

    async def read(self, copy: Copy) -> Reading | None:
        """How the copy stands; None: it is not there any more. Raises NotDone where that cannot be told now."""
        ...


@runtime_checkable
class CanFind(Protocol):
    """Optional: can look up what an earlier, unanswered create left."""

    async def find(self, space: Ref, draft: Draft, since: datetime) -> Copy | None:
        """The copy with this draft's marker that our account made since `since` (a draft of it too); None only when proven absent."""
        ...

    def authored(self, space: Ref) -> AsyncIterator[Authored]:
        """Everything we made in `space`, newest first."""
        ...


@runtime_checkable
class CanEdit(Protocol):
    """Optional: can replace the text of a copy. Repeating it is harmless."""

    async def edit(self, space: Ref, copy: Copy, draft: Draft) -> Copy: ...
    def plan_edit(self, space: Ref, copy: Copy, draft: Draft) -> Sequence[Request]: ...


@runtime_checkable
class CanWithdraw(Protocol):
    """Optional: can take a copy back (delete, withdraw, retire). Repeating it is harmless."""

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None: ...
    def plan_withdraw(self, space: Ref, copy: Copy, reason: str) -> Sequence[Request]: ...


@runtime_checkable
class KeepsText(Protocol):
    """Optional: where `keeps_text_when_withdrawn`, everybody can go on reading what was taken back, so its text is replaced before."""

    keeps_text_when_withdrawn: bool


@runtime_checkable
class TellsRights(Protocol):
    """Optional: knows where its account may give official answers."""

    async def may_answer(self, space: Ref | None) -> str:
        """Why answers cannot be told in `space` (None: anywhere); empty: they can. Raises: CannotDo, NotDone."""
        ...


@runtime_checkable
class TellsFitting(Protocol):
    """Optional: says what `fit` goes by, so that a copy that waits is not rendered anew at every run."""

    def fits_by(self, space: Ref) -> object:
        """All that `fit` goes by in `space` besides the draft and the instance's configuration (JSON-able): what the site told.

        While it stays equal, `fit` must answer the same for the same draft. Asks nothing. Raises: CannotDo where `fit` does.
        """
        ...


STORES_WITHIN = 3 * 3600.0
"""Seconds after which a request that nobody answered is believed to be lost, where a writer says nothing else."""


@runtime_checkable
class StoresLate(Protocol):
    """Optional: `stores_within` is for how many seconds after it was sent a write may still be under way (a queue, a gateway that gave up)
    and then be stored. It has its reason in the platform's page under docs/platforms."""

    stores_within: float


def stores_within(writer: Writer) -> float:
    """Seconds after which a write whose answer was lost is not stored any more."""
    return writer.stores_within if isinstance(writer, StoresLate) else STORES_WITHIN


@runtime_checkable
class CanAnswer(Protocol):
    """Optional: can give an official answer. `has_answer` is asked first, because repeating it may send e-mails again.

    It is there only if what stands there now says the same (`said` in `core.ledger.marker`): an answer that changed bears its old marker.
    """

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool: ...
    async def answer(self, ref: Ref, answer: AnswerDraft) -> None: ...
    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]: ...


@runtime_checkable
class CanComment(Protocol):
    """Optional: can comment as the service account; the way to tell of an answer where no official one can be given.

    `has_comment` with a `text`: whether the newest comment with the marker says just this; what an answer said before is not there.
    """

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool: ...
    async def comment(self, ref: Ref, text: LocalText) -> None: ...
    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]: ...
