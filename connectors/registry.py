"""Which connectors there are.

A connector is found by its platform's name (entry points `civicsync.connectors`) or as `package.module:CONNECTOR`.
"""

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .contract.reading import Connector

GROUP = "civicsync.connectors"


@cache
def _named() -> tuple[EntryPoint, ...]:
    # Looking through every installed package takes milliseconds; what is installed does not change under a process.
    return tuple(entry_points(group=GROUP))


class UnknownPlatform(Exception):
    """No connector has this name."""


@cache
def platforms() -> tuple[str, ...]:
    """The names that may stand after `platform:`."""
    return tuple(sorted({point.name for point in _named()}))


@cache
def resolve(platform: str) -> Connector:
    """The connector of a platform.

    Raises:
        UnknownPlatform: with the names that would be right.
    """
    for point in _named():
        if point.name == platform:
            return _checked(point.load(), platform)
    module, colon, attribute = platform.partition(":")
    if not colon:
        raise UnknownPlatform(
            f"unknown platform {platform!r}: use {', '.join(platforms())}, or package.module:CONNECTOR"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever importing somebody else's module does
        raise UnknownPlatform(f"cannot load connector {platform!r} ({type(error).__name__})") from error
    return _checked(found, platform)


def _checked(found: Any, platform: str) -> Connector:
    if not isinstance(found, Connector):
        raise UnknownPlatform(f"{platform!r} is a {type(found).__name__}, not a civicsync Connector")
    return found
