"""The unified schema: what a connector may say about a platform.

Records are frozen, typed and validated; times are aware and turned to UTC; texts are already sanitised (`core.text`).
A record never holds a person's id, name (unless the configuration says so), e-mail or address: authors are pseudonyms.
"""

from datetime import UTC
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from .identity import Ref

UTCDateTime = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Names = dict[str, str]
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

    model_config = ConfigDict(frozen=True, extra="forbid")
    table: ClassVar[str]
    kind: Any
    id: str

    @property
    def ref(self) -> Ref:
        """Its identity on the instance."""
        return f"{self.kind}/{self.id}"


class Text(BaseModel):
    """A title and a body in one locale. `title` and `plain` are plain text, `html` is sanitised HTML."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    locale: str = UNKNOWN_LOCALE
    title: str = ""
    html: str = ""
    plain: str = ""
    machine: bool = False
    """Made by the platform's machine translation, not by a person."""


class Counters(BaseModel):
    """The public counters of a proposal or comment at one moment; None where the platform does not show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    supports: int | None = None
    opposes: int | None = None
    endorsements: int | None = None
    comments: int | None = None


class Space(Record):
    """A participatory space: process, assembly, component, budget, heading, community, group, domain; a tree."""

    table = "spaces"
    kind: Kind
    id: str
    parent: Ref | None = None
    names: Names = {}
    native_type: str | None = None
    """The platform's own word, for example `Decidim::Assembly` or `Proposals`."""
    status: str | None = None
    url: str | None = None
    amount: int | None = None
    """A budget's total in whole currency units."""


class Proposal(Record):
    """A text that can gather support. `kind` tells proposals, investments, projects, debates and amendments apart.

    An amendment keeps the identity of a proposal (`proposal/<id>`): on Decidim they share one table
    (docs/platforms/decidim.md 1.7 Q3), and whether a row is one may become known later.
    """

    table = "proposals"
    kind: Kind = "proposal"
    id: str
    space: Ref | None = None
    texts: tuple[Text, ...] = ()
    state: State = State.OPEN
    native_state: str | None = None
    reference: str | None = None
    url: str | None = None
    author: str | None = None
    """Pseudonym, from `Context.author`."""
    official: bool = False
    created_at: UTCDateTime | None = None
    published_at: UTCDateTime | None = None
    updated_at: UTCDateTime | None = None
    withdrawn_at: UTCDateTime | None = None
    categories: tuple[Ref, ...] = ()
    areas: tuple[Ref, ...] = ()
    address: str | None = None
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    amends: Ref | None = None
    from_meeting: Ref | None = None
    amount: int | None = None
    """What it costs in whole currency units (projects, investments)."""
    selected: bool | None = None
    """Won its participatory budget."""
    video_url: str | None = None

    @property
    def ref(self) -> Ref:
        """Its identity on the instance."""
        return f"{'proposal' if self.kind == 'amendment' else self.kind}/{self.id}"


class Vote(Record):
    """An individual public ballot where a platform shows one (CONSUL). Never with a person."""

    table = "votes"
    kind: Kind = "vote"
    id: str
    target: Ref
    positive: bool | None = None
    cast_at: UTCDateTime | None = None
    """Truncated to the hour by the platform (docs/platforms/consul.md 4.5)."""


class Comment(Record):
    """A reply or an argument. `alignment`: 1 in favour, 0 neutral, -1 against."""

    table = "comments"
    kind: Kind = "comment"
    id: str
    target: Ref
    """The proposal it is about, also for replies."""
    parent: Ref | None = None
    """The comment it answers, None at the first level."""
    text: Text = Text()
    alignment: Literal[-1, 0, 1] = 0
    author: str | None = None
    created_at: UTCDateTime | None = None
    updated_at: UTCDateTime | None = None


class Answer(Record):
    """An official status with its text and date: an answer, a milestone, a status change."""

    table = "answers"
    kind: Kind = "answer"
    id: str
    """Unique per kind; for an answer of which a proposal has at most one: the proposal's `kind-id`."""
    target: Ref
    state: State | None = None
    native_state: str | None = None
    texts: tuple[Text, ...] = ()
    answered_at: UTCDateTime | None = None
    cost: str | None = None


class Category(Record):
    """A category, taxonomy or tag; a tree."""

    table = "categories"
    kind: Kind = "category"
    id: str
    parent: Ref | None = None
    space: Ref | None = None
    names: Names = {}


class Area(Record):
    """A geographical area: geozone, scope; a tree."""

    table = "areas"
    kind: Kind
    id: str
    parent: Ref | None = None
    names: Names = {}


class Attachment(Record):
    """A file or picture that belongs to a proposal. `url` only where it is stable (never a signed address)."""

    table = "attachments"
    kind: Literal["attachment", "image", "video", "audio", "document"] = "attachment"
    id: str
    owner: Ref
    title: str | None = None
    media_type: str | None = None
    url: str | None = None


class Author(Record):
    """A pseudonym, and a name only where the configuration allows names for the instance."""

    table = "authors"
    kind: AuthorKind = "person"
    id: str
    """The pseudonym itself: HMAC-SHA256(key of the instance, platform user id), hexadecimal."""
    name: str | None = None
