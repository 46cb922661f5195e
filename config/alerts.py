"""Who is told what without asking: limits, and the channels that notices go out by. The reference comes from these docstrings."""

import base64
import binascii
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from ..connectors.contract.exchange import is_loopback
from ..connectors.contract.settings import Settings
from ..core.durations import INTERVAL
from ..core.schedules import cron_line

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
LIMIT = rf"^off$|{INTERVAL}"
ADDRESS = r"^[^@\s<>,;:\"\\\x00-\x1f\x7f]+@[^@\s<>,;:\"\\\x00-\x1f\x7f]+$"
_SHORTEST_SECRET = 16
_STANDARD = "whsec_"
Limit = Annotated[str, Field(pattern=LIMIT, examples=["26h", "off"])]
Name = Annotated[str, Field(pattern=NAME)]
Address = Annotated[str, Field(pattern=ADDRESS, examples=["beheer@voorbeeld.nl"])]


def _hook(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        good = False
    if not good or any(sign.isspace() or not sign.isprintable() for sign in value):
        raise ValueError("expected an address such as https://hooks.example/civicsync, without a user")
    return value


def _turn(value: str) -> str:
    if value == "off":
        return value
    try:
        line = cron_line(value)
    except ValueError as error:
        raise ValueError(f"not a cron line: {error}") from None
    if line is None:
        raise ValueError("expected a cron line such as 0 8 * * *, @daily, or `off`")
    return value


def signing_bytes(secret: str) -> bytes:
    """The key of a webhook's signatures: what stands behind `whsec_` in Base64, or the text itself.

    Raises:
        ValueError: it is not Base64, or shorter than 16 bytes.
    """
    try:
        held = base64.b64decode(secret.removeprefix(_STANDARD), validate=True) if secret.startswith(_STANDARD) else b""
    except (binascii.Error, ValueError):
        raise ValueError("what stands behind whsec_ is not Base64") from None
    held = held or secret.encode()
    if len(held) < _SHORTEST_SECRET:
        raise ValueError(f"shorter than {_SHORTEST_SECRET} bytes; `openssl rand -base64 32` makes one")
    return held


def _secret(value: SecretStr) -> SecretStr:
    signing_bytes(value.get_secret_value())
    return value


class Webhook(Settings):
    """An address that every notice is posted to as JSON, signed as https://www.standardwebhooks.com says."""

    url: Annotated[str, AfterValidator(_hook)]
    """Where to. An address that holds a token is written as `${ENV_NAME}` or `file:path`."""
    secret: Annotated[SecretStr, AfterValidator(_secret)]
    """What notices are signed with (HMAC-SHA256): any text of 16 bytes or more, or `whsec_` and Base64."""


class Mail(Settings):
    """E-mail: every notice is one message to each address."""

    host: str = Field(min_length=1, pattern=r"^[^\s/@]+$")
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """Unset: 587 with `starttls`, 465 with `tls`, 25 with `off`."""
    tls: Literal["starttls", "tls", "off"] = "starttls"
    """`starttls` sends nothing where the server does not offer it; `off` is for a server on this machine or in the same rack, and never
    with a password over the network."""
    verify_tls: bool = True
    """Only for a test installation with a self-signed certificate may this be false; an authority of your own goes into SSL_CERT_FILE."""
    user: str = ""
    """The account, where the server wants one."""
    password: SecretStr | None = None
    """Its password."""
    sender: Address = Field(alias="from")
    """The address that they come from."""
    to: list[Address] = Field(min_length=1)
    """Who gets them."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` belong together")
        here = is_loopback(f"http://{self.host if ':' not in self.host else f'[{self.host}]'}")
        if self.tls == "off" and self.password is not None and not here:
            raise ValueError("a password is never sent without TLS; say tls: starttls or tls: tls")
        return self

    @property
    def where(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or {"starttls": 587, "tls": 465, "off": 25}[self.tls]


class Alerts(Settings):
    """What is told to people without being asked, and how ([what each alert means](../howto/alerts.md))."""

    no_good_pull_for: Limit = "26h"
    """An instance of which no pull came to its end for so long is told; `off`: never. Where `every` leaves more time than that, it counts
    from the turn that should have followed."""
    no_good_pull_of: dict[Name, Limit] = Field(default_factory=dict)
    """The same for single instances, by their names."""
    waits_for_person: Limit = "24h"
    """What waits for a person for longer is told; `off`: never."""
    overview: Annotated[str, AfterValidator(_turn), Field(examples=["0 8 * * *", "off"])] = "0 8 * * *"
    """When the daily overview is told, also when all is well: a cron line in `time_zone`, or `off`."""
    webhooks: dict[Name, Webhook] = Field(default_factory=dict)
    """Addresses that notices are posted to, by a name of your choice."""
    mail: Mail | None = None
    """E-mail."""
    apprise: dict[Name, SecretStr] = Field(default_factory=dict)
    """Other services (chats, pagers), by a name of your choice: an address as Apprise has them. Needs `civicsync[apprise]`."""
    feed: str | None = None
    """A file that is kept as an Atom feed of the newest notices, from where this file is. Unset: none; `/feed.atom` of `operations: listen`
    tells the same."""

    @property
    def channels(self) -> list[str]:
        """All channels, as the outbox names them."""
        to = self.mail.to if self.mail else ()
        return [
            *(f"webhook:{name}" for name in self.webhooks),
            *dict.fromkeys(f"mail:{address}" for address in to),
            *(f"apprise:{name}" for name in self.apprise),
        ]
