"""The unified schema: what a connector may say about a platform.

Records are frozen, typed and validated; times are aware and turned to UTC; texts are already sanitised (`core.text`).
A record never holds a person's id, name (unless the configuration says so), e-mail or address: authors are pseudonyms.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from .identity import Ref

EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Between these lies whatever a platform can tell of; what is outside cannot be turned into every zone, nor stored in both databases."""
LARGEST = 2**63 - 1
"""The largest number that both databases take."""


def utc(moment: datetime) -> datetime:
    """An aware moment in UTC.

    Raises:
        ValueError: no platform can tell of such a time.
    """
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time") from None
    if not EARLIEST <= moment < LATEST:
        raise ValueError("not a time")
    return moment


UTCDateTime = Annotated[AwareDatetime, AfterValidator(utc)]
Whole = Annotated[int, Field(ge=-LARGEST - 1, le=LARGEST, strict=True)]
"""A whole number of a size that both databases take."""


def taken_by_both(text: str) -> str:
    """A text as it is.

    Raises:
        ValueError: it holds NUL, or half a surrogate pair, which not both databases take.
    """
    if "\0" in text:
        raise ValueError("holds NUL")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("holds half a surrogate pair") from None
    return text


# Not a pattern: that reads every character on its own, which took as long as making the text safe.
Said = Annotated[str, AfterValidator(taken_by_both)]
"""A text that both databases take."""
Word = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=300)]
"""What may become part of a key, which PostgreSQL's indexes bound."""
Names = dict[Word, Said]
"""Plain text per locale (BCP 47; `und` where the platform does not tell)."""

UNKNOWN_LOCALE = "und"

Kind = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,30}$")]
"""A platform's own word for a sort of record; which table it belongs to is the connector's to say (`Connector.kinds`)."""
AuthorKind = Literal["person", "organization", "group", "meeting"]


class State(StrEnum):
    """What a proposal's official status means, whatever word the platform uses (docs/reference/states.md)."""

    OPEN = "open"
    EVALUATING = "evaluating"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_PROGRESS = "in_progress"
    WITHDRAWN = "withdrawn"
    OTHER = "other"


class Record(BaseModel):
    """What all records share: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    table: ClassVar[str]
    kind: Any
    id: Word

    @property
    def ref(self) -> Ref:
        """Its identity on the instance."""
        return f"{self.kind}/{self.id}"


class Text(BaseModel):
    """A title and a body in one locale. `title` and `plain` are plain text, `html` is sanitised HTML."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    locale: Word = UNKNOWN_LOCALE
    title: Said = ""
    html: Said = ""
    plain: Said = ""
    machine: bool = False
    """Made by the platform's machine translation, not by a person."""


class Counters(BaseModel):
    """The public counters of a proposal or comment at one moment; None where the platform does not show it."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    supports: Whole | None = None
    opposes: Whole | None = None
    endorsements: Whole | None = None
    comments: Whole | None = None


class Space(Record):
    """A participatory space: process, assembly, component, budget, heading, community, group, domain; a tree."""

    table = "spaces"
    kind: Kind
    id: Word
    parent: Word | None = None
    names: Names = {}
    native_type: Said | None = None
    """The platform's own word, for example `Decidim::Assembly` or `Proposals`."""
    status: Said | None = None
    url: Said | None = None
    amount: Whole | None = None
    """A budget's total in whole currency units."""


class Proposal(Record):
    """A text that can gather support. `kind` tells proposals, investments, projects, debates and amendments apart.

    An amendment keeps the identity of a proposal (`proposal/<id>`): on Decidim they share one table
    (docs/platforms/decidim.md 1.7 Q3), and whether a row is one may become known later.
    """

    table = "proposals"
    kind: Kind = "proposal"
    id: Word
    space: Word | None = None
    texts: tuple[Text, ...] = ()
    state: State = State.OPEN
    native_state: Said | None = None
    reference: Said | None = None
    url: Said | None = None
    author: Word | None = None
    """Pseudonym, from `Context.author`."""
    official: bool = False
    created_at: UTCDateTime | None = None
    published_at: UTCDateTime | None = None
    updated_at: UTCDateTime | None = None
    withdrawn_at: UTCDateTime | None = None
    categories: tuple[Word, ...] = ()
    areas: tuple[Word, ...] = ()
    address: Said | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    amends: Word | None = None
    from_meeting: Word | None = None
    amount: Whole | None = None
    """What it costs in whole currency units (projects, investments)."""
    selected: bool | None = None
    """Won its participatory budget."""
    video_url: Said | None = None

    @property
    def ref(self) -> Ref:
        """Its identity on the instance."""
        return f"{'proposal' if self.kind == 'amendment' else self.kind}/{self.id}"


class Vote(Record):
    """An individual public ballot where a platform shows one (CONSUL). Never with a person."""

    table = "votes"
    kind: Kind = "vote"
    id: Word
    target: Word
    positive: bool | None = None
    cast_at: UTCDateTime | None = None
    """Truncated to the hour by the platform (docs/platforms/consul.md 4.5)."""


class Comment(Record):
    """A reply or an argument. `alignment`: 1 in favour, 0 neutral, -1 against."""

    table = "comments"
    kind: Kind = "comment"
    id: Word
    target: Word
    """The proposal it is about, also for replies."""
    parent: Word | None = None
    """The comment it answers, None at the first level."""
    text: Text = Text()
    alignment: Literal[-1, 0, 1] = 0
    author: Word | None = None
    created_at: UTCDateTime | None = None
    updated_at: UTCDateTime | None = None


class Answer(Record):
    """An official status with its text and date: an answer, a milestone, a status change."""

    table = "answers"
    kind: Kind = "answer"
    id: Word
    """Unique per kind; for an answer of which a proposal has at most one: the proposal's `kind-id`."""
    target: Word
    state: State | None = None
    native_state: Said | None = None
    texts: tuple[Text, ...] = ()
    answered_at: UTCDateTime | None = None
    cost: Said | None = None


class Category(Record):
    """A category, taxonomy or tag; a tree."""

    table = "categories"
    kind: Kind = "category"
    id: Word
    parent: Word | None = None
    space: Word | None = None
    names: Names = {}


class Area(Record):
    """A geographical area: geozone, scope; a tree."""

    table = "areas"
    kind: Kind
    id: Word
    parent: Word | None = None
    names: Names = {}


class Attachment(Record):
    """A file or picture that belongs to a proposal. `url` only where it is stable (never a signed address)."""

    table = "attachments"
    kind: Literal["attachment", "image", "video", "audio", "document"] = "attachment"
    id: Word
    owner: Word
    title: Said | None = None
    media_type: Said | None = None
    url: Said | None = None


class Author(Record):
    """A pseudonym, and a name only where the configuration allows names for the instance."""

    table = "authors"
    kind: AuthorKind = "person"
    id: Word
    """The pseudonym itself: HMAC-SHA256(key of the instance, platform user id), hexadecimal."""
    name: Said | None = None
