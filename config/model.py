"""The configuration as pydantic models. The reference (docs/reference/config.md) and the JSON Schema come from these docstrings."""

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, SerializeAsAny

from ..connectors.contract.settings import InstanceSettings, Settings
from ..core.durations import Interval, Term
from .alerts import Alerts
from .routes import Route


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone such as Europe/Amsterdam") from None
    return value


Masked = Literal["email", "phone", "bsn", "iban", "address"]
VERSIONS = r"^(kept|\d{1,9}\s*(s|m|h|d))$"
TimeZone = Annotated[str, AfterValidator(_time_zone)]
RouteName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
InstanceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Operator(Settings):
    """Who runs this civicsync; goes into the User-Agent, so that a platform's administrator knows whom to write to."""

    name: str = Field(min_length=1)
    """The organisation."""
    contact: str = Field(min_length=3)
    """An e-mail address or a web address."""


class Retention(Settings):
    """How long what is still on its platform is kept here, by class: `kept`, or days, weeks, months or years (`90d`, `12w`, `24mo`, `7y`).

    Every run and `civicsync purge` remove what is older; keys, times and counters stay, and a text that its platform goes on showing is
    not stored again.
    """

    comments: Term = "kept"
    """Texts and authors of comments, from when they were written."""
    votes: Term = "kept"
    """Individual ballots, from when they were cast. They are read only where an instance says so."""
    quarantine: Term = "kept"
    """What could not be understood, from when it was first seen (what is not shown again goes after `purge_gone_after` anyway)."""
    runs: Term = "kept"
    """The journal of pulls. The newest run of each instance always stays."""
    audit: Term = "kept"
    """The audit log. One entry says which were let go."""


class Organisation(Settings):
    """Who answers for what is done with people's data, for `civicsync register`."""

    controller: str = Field(min_length=1)
    """The organisation that decides (art. 4(7) GDPR), such as the college of mayor and aldermen."""
    contact: str = Field(min_length=3)
    """Where people turn to."""
    dpo: str = ""
    """The data protection officer: name or address."""
    purposes: list[str] = Field(default_factory=list)
    """What it is done for; unset: what civicsync is for."""
    legal_basis: str = "art. 6(1)(e) GDPR: a task carried out in the public interest"
    """The basis of the processing."""
    recipients: list[str] = Field(default_factory=list)
    """Who else is given data, beside the platforms of the routes."""
    transfers: str = "none outside the European Economic Area"
    """Transfers to third countries."""


class Privacy(Settings):
    """What is done with people's data."""

    key: SecretStr
    """The secret that pseudonyms are made with; only as `${ENV_NAME}` or `file:path`. Losing it breaks the link between runs."""
    marker_key: SecretStr | None = None
    """The secret that the markers in copies are signed with, where it is not `key`: after `civicsync key rotate` the key of before, so
    that the copies of then are still known as ours."""
    purge_gone_after: Interval = "30d"
    """How long the texts of something that is gone from its platform, and what waits in quarantine and was not shown again, are kept
    before only key, date and reason remain. Every run does it, however it ends."""
    versions: Annotated[str, Field(pattern=VERSIONS, examples=["kept", "90d"])] = "kept"
    """How long earlier versions of a text are kept after they were replaced: `kept` as long as the proposal itself, or an interval
    (`0d`: none)."""
    retention: Retention = Retention()
    """How long what is still there is kept, by class."""
    mask: list[Masked] = Field(default_factory=list)
    """What is made unreadable in texts before they are stored: `email`, `phone`, `bsn`, `iban`, `address` (postcode with number). What
    was stored before stays until its text changes or `civicsync purge` is run."""
    k: Annotated[int, Field(ge=3, le=100)] = 5
    """Behind every published figure stand at least so many people."""
    exports: list[str] = Field(default_factory=list)
    """Folders and files that exports are written to, from where this file is: `civicsync forget` removes what may hold the person there."""
    organisation: Organisation | None = None
    """Who answers for it; `civicsync register` needs it."""

    @property
    def signing_key(self) -> str:
        """The secret that markers are signed with."""
        return (self.marker_key or self.key).get_secret_value()


class Safety(Settings):
    """When a run stops and asks."""

    max_gone_percent: Annotated[float, Field(ge=0, le=100)] = 5.0
    """A complete sweep that misses more of a scope than this marks nothing and asks (at least 3 may always go)."""
    settle: Interval | None = None
    """For so long after it was sent a write whose answer was lost may still be stored: it is looked up in growing steps, and sent again
    only if it was absent twice, the second time after this. Unset: what the platform's connector knows, some hours. A shorter time
    risks a second copy."""
    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    """So often is one write tried in all before it waits for a person."""


class Peer(Settings):
    """Another civicsync that copies to the same platforms. Its copies are not copied on, and what it has copied is not copied again."""

    accounts: dict[str, list[str]]
    """By the name of an instance: the platform's numbers of the accounts that it writes with there; `official` where it writes in the
    organisation's name. Markers that are not ours are believed in their texts alone."""


def _listen(value: str) -> str:
    if value == "off":
        return value
    host, _, port = value.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65_535 or (":" in host and host[0] + host[-1] != "[]"):
        raise ValueError(
            "expected an address of this machine and a port such as 127.0.0.1:9464 or [::1]:9464, or `off`"
        )
    return value


class Operations(Settings):
    """What an operator sees of `civicsync run`."""

    listen: Annotated[str, AfterValidator(_listen), Field(examples=["127.0.0.1:9464", "off"])] = "127.0.0.1:9464"
    """Where `/health`, `/ready` and `/metrics` answer: an address of this machine and a port, or `off`. They tell names of instances and
    routes, counts and states to whoever can reach them, so let nobody but your monitoring."""


WEB_ADDRESS = r"^https?://[^\s<>\"]+$"


class Publisher(Settings):
    """Who publishes the data."""

    name: str = ""
    """The organisation, as people know it."""
    uri: (
        Annotated[str, Field(pattern=WEB_ADDRESS, examples=["https://identifier.overheid.nl/tooi/id/gemeente/gm0363"])]
        | None
    ) = None
    """Its address in a register: for Dutch governments that of TOOI."""


class ContactPoint(Settings):
    """Whom people ask about the data."""

    name: str = ""
    """A team, rather than a person."""
    mail: Annotated[str, Field(pattern=r"^[^@\s<>]+@[^@\s<>]+$", examples=["data@voorbeeld.nl"])] | None = None
    """An e-mail address; it is published."""


class CatalogueBlock(Settings):
    """What a portal for open data must know; `civicsync export bundle` writes it into the descriptions, and says what is missing."""

    title: str = ""
    """Of the data set, in the language of its users."""
    description: str = ""
    """What is in it, in a sentence or two."""
    publisher: Publisher = Publisher()
    """Who publishes the data."""
    contact: ContactPoint = ContactPoint()
    """Whom people ask about it."""
    licence: (
        Annotated[
            str,
            Field(
                pattern=rf"^(cc0-1\.0|cc-by-4\.0|cc-by-sa-4\.0|odbl-1\.0|{WEB_ADDRESS[1:-1]})$", examples=["cc-by-4.0"]
            ),
        ]
        | None
    ) = None
    """`cc0-1.0`, `cc-by-4.0`, `cc-by-sa-4.0`, `odbl-1.0`, or the address of another."""
    landing_page: Annotated[str, Field(pattern=WEB_ADDRESS)] | None = None
    """Where people read about the data; its identifiers begin with it."""
    files: Annotated[str, Field(pattern=WEB_ADDRESS)] | None = None
    """The address of the folder where the files will be; unset: people find them from `landing_page`."""
    theme: Annotated[str, Field(pattern=r"^[A-Z]{4}$")] = "GOVE"
    """One of the European data themes."""
    access_rights: Literal["PUBLIC", "RESTRICTED", "NON_PUBLIC"] = "PUBLIC"
    """Who may have the data."""
    spatial: Annotated[str, Field(pattern=WEB_ADDRESS)] | None = None
    """The address of the area that it is about, for example in GeoNames."""
    country: str = "Netherlands"
    """In English; for Pabulib files."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """Of the budgets (ISO 4217); for Pabulib files."""


class Frame(Settings):
    """Everything in the file but the instances."""

    civicsync: Literal[1]
    """The version of this format."""
    operator: Operator
    """Who runs this civicsync."""
    database: str = "sqlite:///civicsync.db"
    """`sqlite:///file.db` (relative to this file) or `postgresql://user:${PASSWORD}@host/name`."""
    privacy: Privacy
    """What is done with people's data."""
    safety: Safety = Safety()
    """When a run stops and asks."""
    operations: Operations = Operations()
    """What an operator sees of `civicsync run`."""
    alerts: Alerts = Alerts()
    """What is told to people without being asked, and how."""
    workers: bool = False
    """Whether pulls and routes are done by `civicsync worker`, on any number of machines, and `civicsync run` only says when. Needs
    PostgreSQL and civicsync[workers]."""
    time_zone: TimeZone = "UTC"
    """In which time zone cron lines of `every` are meant, for example Europe/Amsterdam."""
    catalogue: CatalogueBlock = CatalogueBlock()
    """What a portal for open data must know."""
    queries: dict[RouteName, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Questions to the database by a name of your choice, in SQL; `civicsync query NAME` asks one."""
    peers: dict[RouteName, Peer] = Field(default_factory=dict)
    """Other deployments of civicsync on the same platforms, by a name of your choice."""
    routes: dict[RouteName, Route] = Field(default_factory=dict)
    """What is copied where, by a name of your choice (small letters, digits, hyphens)."""


class Config(Frame):
    """The whole file."""

    instances: dict[InstanceName, SerializeAsAny[InstanceSettings]] = Field(min_length=1)
    """Your platforms by a name of your choice (small letters, digits, hyphens); the name becomes part of every key."""


class RawConfig(Frame):
    """The whole file, before its instances are handed to their platforms' own models."""

    instances: dict[InstanceName, dict[str, Any]] = Field(min_length=1)
