"""Which connectors there are, and how a transport for an instance is opened.

A connector is found by its platform's name (entry points `civicsync.connectors`) or as `package.module:CONNECTOR`.
"""

import importlib
from functools import cache
from importlib.metadata import entry_points, version
from typing import Any

from ..core.clock import Clock
from .contract.reading import Connector
from .contract.settings import InstanceSettings
from .http.transport import Transport

GROUP = "civicsync.connectors"


class UnknownPlatform(Exception):
    """No connector has this name."""


@cache
def platforms() -> tuple[str, ...]:
    """The names that may stand after `platform:`."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


@cache
def resolve(platform: str) -> Connector:
    """The connector of a platform.

    Raises:
        UnknownPlatform: with the names that would be right.
    """
    for point in entry_points(group=GROUP):
        if point.name == platform:
            return _checked(point.load(), platform)
    module, colon, attribute = platform.partition(":")
    if not colon:
        raise UnknownPlatform(
            f"unknown platform {platform!r}: use {', '.join(platforms())}, or package.module:CONNECTOR"
        )
    try:
        return _checked(getattr(importlib.import_module(module), attribute), platform)
    except (ImportError, AttributeError) as error:
        raise UnknownPlatform(f"cannot load connector {platform!r}: {error}") from error


def _checked(found: Any, platform: str) -> Connector:
    if not isinstance(found, Connector):
        raise UnknownPlatform(f"{platform!r} is a {type(found).__name__}, not a civicsync Connector")
    return found


def user_agent(operator: str, contact: str) -> str:
    """An honest User-Agent: who asks, and whom to write to."""
    who = " ".join(part for part in (operator, contact) if part)
    ascii_only = who.encode("ascii", "replace").decode("ascii")
    return f"civicsync/{version('civicsync')} (+{ascii_only or 'no contact configured'})"


def open_transport(
    connector: Connector,
    settings: InstanceSettings,
    *,
    agent: str,
    clock: Clock,
    backend: Any = None,
    keep_cookies: bool | None = None,
    beside: Transport | None = None,
) -> Transport:
    """A transport for one instance, as polite as its platform asks. `keep_cookies`: a session, whatever the platform's reading needs."""
    return Transport(
        settings.url,
        clock=clock,
        user_agent=agent,
        politeness=settings.politeness,
        requests_per_minute=connector.requests_per_minute,
        verify_tls=settings.verify_tls,
        keep_cookies=connector.keep_cookies if keep_cookies is None else keep_cookies,
        backend=backend,
        beside=beside,
    )
