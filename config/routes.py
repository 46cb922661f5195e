"""Routes: which proposals are copied where, and how the copies are kept honest. The reference comes from these docstrings.

What both ends can really do is asked by `civicsync check`, never assumed here.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ..connectors.contract.settings import Settings
from ..core.durations import Interval, Schedule
from ..core.records import Kind, State

SPACE = r"^[a-z_]+/[^\s/]+$"
SpaceRef = Annotated[str, Field(pattern=SPACE, examples=["component/39", "group/31"])]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_NAMES = ("title", "plain", "author", "state", "reference", "space", "instance", "url", "created")


def _template(value: str, *names: str) -> str:
    # Only whoever writes a template needs the 4 MB of it.
    from jinja2 import TemplateSyntaxError
    from jinja2.meta import find_undeclared_variables
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment()
    try:
        environment.from_string(value)
        # An unknown name would be an empty text in every copy.
        unknown = sorted(find_undeclared_variables(environment.parse(value)) - {*_NAMES, *names, *environment.globals})
    except TemplateSyntaxError as error:
        raise ValueError(f"not a template: {error.message} (line {error.lineno} of the text)") from None
    if unknown:
        raise ValueError(f"the template knows no {unknown[0]!r}; there are {', '.join((*_NAMES, *names))}")
    return value


def _body_template(value: str) -> str:
    return _template(value, "body")


States = Annotated[list[State], BeforeValidator(_listed)]
Words = Annotated[list[str], BeforeValidator(_listed)]
Kinds = Annotated[list[Kind], BeforeValidator(_listed)]
Template = Annotated[str, AfterValidator(_template)]
BodyTemplate = Annotated[str, AfterValidator(_body_template)]


class Where(Settings):
    """Which proposals of the origin qualify; every condition that is given must hold. They decide about new copies only."""

    state: States = []
    """Official state, one or several: open, evaluating, accepted, rejected, in_progress."""
    kind: Kinds = ["proposal"]
    """What counts, in the platform's words: proposal, investment, project, debate."""
    category: Words = []
    """In one of these categories, by name or by reference (category/3)."""
    area: Words = []
    """In one of these areas, by name or by reference (geozone/2)."""
    language: Words = []
    """With an original text in one of these languages (nl, es, …)."""
    min_supports: Annotated[int, Field(ge=0)] | None = None
    """At least so many supports."""
    older_than: Interval | None = None
    """Published at least so long ago, so that spam and second thoughts are over."""
    younger_than: Interval | None = None
    """Published at most so long ago."""
    text: str | None = None
    """Title or text holds this, in small or capital letters."""


class From(Settings):
    """Where proposals come from."""

    instance: str
    """A name under `instances`."""
    space: SpaceRef | None = None
    """Only this space and what is in it, as `discover` prints it; unset: the whole instance."""
    where: Where = Where()
    """Which of them."""


class To(Settings):
    """Where copies go."""

    model_config = {**Settings.model_config, "populate_by_name": True}
    instance: str
    """A name under `instances`, with an account that may write."""
    space: SpaceRef
    """The space that takes the copies, as `discover` prints it (component/39, section/proposals, group/31)."""
    voice: Literal["official", "participant"] | None = Field(default=None, alias="as")
    """In whose name: the organisation's or the service account's; unset: what the account can do best."""


class Follow(Settings):
    """What happens to a copy when its origin changes."""

    edits: bool = True
    """A new text of the origin replaces the text of the copy."""
    withdrawals: Literal["retract", "flag", "ignore"] = "retract"
    """The origin was withdrawn, hidden or deleted: take the copy back, only tell in `review`, or leave it."""
    answers_to_copies: bool = True
    """An official answer at the origin is given on the copy too (as a comment where no official one is possible)."""
    answers_to_origin: bool = False
    """An official answer on a copy is told at the origin; the origin's account needs the right to."""


class Route(Settings):
    """Copies proposals of one instance to a space of another, once, and keeps the copies true to their origin."""

    model_config = {**Settings.model_config, "populate_by_name": True}
    source: From = Field(alias="from")
    """Where proposals come from."""
    to: To
    """Where copies go."""
    every: Schedule | None = None
    """How often `civicsync run` runs it: an interval or a cron line; unset: as often as its origin is pulled."""
    enabled: bool = True
    """A route that is not enabled plans and sends nothing."""
    approval: Literal["required", "automatic"] = "required"
    """Whether a person must approve each copy and each edit (`civicsync review`)."""
    first_run: Literal["plan", "send"] = "plan"
    """With automatic approval the first run of a new route only shows what it would do; `send` skips that."""
    language: Words = []
    """Which language of a text is published, the first that there is; unset: the one the origin shows first."""
    title: Template = "{{ title }}"
    """Title of the copy; a Jinja template with title, author, state, reference, space, instance, url, created."""
    body: BodyTemplate = "{{ body }}"
    """Body of the copy, HTML; the same names and `body`. Attribution, link and marker always follow it."""
    attribution: Template | None = None
    """The sentence that says where the text comes from, instead of the built-in one in the text's language; the link is added to it."""
    licence: str | None = None
    """Under which licence the text is reused, for example CC BY 4.0; it is named in the copy."""
    author_names: bool = False
    """Name the author in the copy; also needs `names: public` at the origin. The city must have asked people for that."""
    categories: dict[str, str] = {}
    """Category at the origin (name or reference) to category reference at the target."""
    areas: dict[str, str] = {}
    """Area at the origin (name or reference) to area reference at the target."""
    max_per_run: Annotated[int, Field(ge=1)] = 100
    """At most so many new copies in one run; the rest waits."""
    max_per_day: Annotated[int, Field(ge=1)] = 300
    """At most so many new copies in 24 hours; the rest waits."""
    halt_above_per_hour: Annotated[int, Field(ge=1)] = 1000
    """If the route ever wrote more than this in an hour (copies, edits, withdrawals and answers together), something is wrong: it halts
    until `civicsync review resume`."""
    halt_above_percent: Annotated[float, Field(ge=0, le=100)] = 5.0
    """If more of its copies than this are to be edited, taken back or answered within an hour, nobody having approved it, the route halts
    before the first of these writes until `civicsync review resume` (at least 3 may always go; 100: never)."""
    edits_per_hour: Annotated[int, Field(ge=1)] = 4
    """However often an origin changes, its copy is changed at most so often in an hour; the newest text waits."""
    max_age: Interval | None = None
    """Never copy a proposal that was published longer ago than this."""
    follow: Follow = Follow()
    """What happens to a copy when its origin changes."""
    twins: Literal["ask", "keep_first"] = "ask"
    """More than one text of ours carries the marker of one copy: a person is asked (ask), or the one made first stays and the others are
    taken back (keep_first)."""
    conflict: Literal["manual", "origin_wins", "target_wins"] = "manual"
    """A moderator changed the copy: stop and ask (manual), overwrite it, or leave it as it is from then on."""
