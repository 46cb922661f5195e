"""Settings of one instance that every platform has. A connector's own model derives from `InstanceSettings`."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...core.durations import Interval, NeverBetween, Schedule


def _origin(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = parts = None
    if parts is None or parts.scheme not in {"http", "https"} or not host or re.search(r"[\s\x00-\x1f\x7f\\]", value):
        raise ValueError("expected an address such as https://participa.example")
    if parts.query or parts.fragment or parts.username:
        raise ValueError("expected only scheme, host and path, without user, query or #")
    return value.rstrip("/")


Url = Annotated[str, AfterValidator(_origin)]


class Settings(BaseModel):
    """What all settings share: frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, defer_build=True)


class Politeness(Settings):
    """How gently the platform's server is asked. The defaults are meant for production servers of cities."""

    pause: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Pause after each answer, as a multiple of the time that the answer took. Loopback addresses get no pause."""
    requests_per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """At most so many requests in any minute; unset: the platform's own known limit."""
    timeout: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Seconds to wait for an answer, and for each further piece of it."""
    deadline: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds after which an answer that is not whole yet is given up, however steadily it comes."""
    give_up_after: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Seconds that retries of one request may take in all, and those of all requests of a run that came to nothing together: after that
    nothing is tried again in this run (what it has is kept)."""
    max_response_mb: Annotated[int, Field(ge=1, le=4096)] = 32
    """A larger answer is refused, as sent or as unpacked. It is read in memory; what it takes there when decoded is bounded as well."""
    max_file_mb: Annotated[int, Field(ge=1, le=65_536)] = 512
    """A larger file of open data is refused. It is kept on disk while it is read."""


class InstanceSettings(Settings):
    """One deployment of a platform."""

    platform: str
    """Which connector: consul, decidim, your-priorities, or `package.module:CONNECTOR`."""
    url: Url
    """The address of its start page."""
    every: Schedule = "1h"
    """How often `civicsync run` pulls it: an interval (15m), or a cron line (30 2 * * *, @daily) in the configuration's time zone."""
    never_between: NeverBetween = []
    """Hours in which `civicsync run` leaves it alone, in the configuration's time zone: 07:00-19:00, or mon-fri 08:00-18:00."""
    full_every: Interval = "1d"
    """How often everything is read again, for what no light sweep or gate can show."""
    confirm_within: Interval = "24h"
    """How old the last confirmation of any record may get. Each run spends a few requests on what was confirmed longest ago (5, or 5 %
    of those of a full run), and more where this would be passed. What has copies elsewhere is confirmed within 6 hours."""
    named_before: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None
    """After `civicsync instances rename`: the name that its pseudonyms were made with."""
    spaces: list[str] = []
    """Only these spaces, as `discover` prints them (kind/id); empty: all public ones. What is left out later is removed like what is
    gone."""
    locales: list[str] = []
    """Languages to read where the platform needs to be asked per language; the first is the main one."""
    names: Literal["never", "public"] = "never"
    """Whether authors' public display names are stored."""
    votes: bool = False
    """Whether individual public votes are stored where the platform shows them (never with a person)."""
    politeness: Politeness = Politeness()
    verify_tls: bool = True
    """Only for a test installation with a self-signed certificate may this be false."""

    def limits(self) -> list[list[str]]:
        """The choices of spaces that this configuration makes, each as references; what is kept lies in one of every choice."""
        return [list(self.spaces)] if self.spaces else []

    def choices(self) -> list[list[str]]:
        """All that decides what is let in. After another choice than that of the last full run everything is read, as no gate knows it."""
        return self.limits()
