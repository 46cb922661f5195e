"""`civicsync discover`: which platform and version answers at an address, what it holds, and the YAML block to paste."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.text import Text

from ...connectors.contract.errors import ConnectorError, NotThisPlatform
from ...connectors.contract.exchange import is_loopback
from ...connectors.contract.reading import Connector, Probe
from ...connectors.contract.settings import InstanceSettings
from ...connectors.http.pace import Paces
from ...connectors.open import open_reader, user_agent
from ...connectors.registry import platforms, resolve
from ...core.clock import Clock
from ...core.records import Space
from ...core.store.rows import RowMaker
from .common import EXIT_USAGE, configuration, err, fail, out, print_json, print_table
from .state import state

COLUMNS = {"space": "space", "name": "name", "type": "type", "parent": "inside", "status": "status"}


@dataclass(slots=True)
class Found:
    """What answered."""

    connector: Connector
    settings: InstanceSettings
    probe: Probe
    spaces: Sequence[Space]


PATIENCE = 20.0
"""Seconds that one request may take while it is not known who answers."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a platform is not what answers. `reached`: something did answer."""

    platform: str
    why: str
    reached: bool


def run(
    address: Annotated[
        str, typer.Argument(help="An address such as https://participa.example, or the name of an instance.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out which platform answers at an address, what it holds, and what to write in the configuration."""
    if _is_address(address):
        places = _places(address)
        agent = user_agent("civicsync discover", "")
        name = re.sub(r"[^a-z0-9]+", "-", (urlsplit(places[0][0]).hostname or "").lower()).strip("-") or "my-instance"
        rounds = [
            [(resolve(each), {"platform": each, "url": url}) for url in near for each in platforms()] for near in places
        ]
    else:
        config = configuration()
        if address not in config.instances:
            fail(
                f"no instance {address!r} in {state.config_file}; there are: {', '.join(config.instances)}. An address has a dot in it",
                EXIT_USAGE,
            )
        settings = config.instances[address]
        rounds = [[(resolve(settings.platform), settings.model_dump())]]
        name, agent, places = address, user_agent(config.operator.name, config.operator.contact), [[settings.url]]
    failed: list[Failed] = []
    found = None
    for near, candidates in zip(places, rounds, strict=True):
        if not json:
            err.print(Text(f"asking {' and '.join(near)} …", style="dim"), soft_wrap=True)
        found, why = asyncio.run(_discover(candidates, agent))
        failed += why
        if found is not None:
            break
    if found is None:
        start = places[0][0]
        fail("\n".join([f"no known platform answers at {start}", *_reasons(failed), *_advice(start, failed)]))
    rows = _rows(found)
    if json:
        print_json(_as_json(found, name, rows))
        return
    _print(found, name, rows)


def _is_address(text: str) -> bool:
    """Whether it can be no name of an instance: those have neither dot nor colon nor slash."""
    return any(sign in text for sign in ".:/") or text == "localhost"


def _places(address: str) -> list[list[str]]:
    """The addresses to ask, in rounds: encrypted first where no scheme was given; in each, what was pasted and its site's start page.

    An address that names a user ends the program: nothing of it belongs into a configuration.
    """
    schemes = [""] if "://" in address else ["https://", "http://"]
    if schemes != [""] and is_loopback(f"http://{address}"):
        schemes.reverse()
    places: list[list[str]] = []
    for scheme in schemes:
        try:
            parts = urlsplit(scheme + address)
            if parts.username is not None:
                fail(
                    "leave user and password out of the address; they have keys of their own in the configuration",
                    EXIT_USAGE,
                )
            odd = re.search(r"[\s\\]", address) is not None
            whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not odd
        except ValueError:
            whole = False
            parts = None
        if parts is None or not whole:
            fail(f"{address!r} is no address; expected one such as https://participa.example", EXIT_USAGE)
        root = f"{parts.scheme}://{parts.netloc}"
        places.append(list(dict.fromkeys([f"{root}{parts.path}".rstrip("/"), root])))
    return places


async def _discover(
    candidates: Sequence[tuple[Connector, dict[str, Any]]], agent: str
) -> tuple[Found | None, list[Failed]]:
    """Ask for all platforms side by side; the first that is recognised ends the others."""
    asked = [asyncio.ensure_future(_ask(connector, values, agent)) for connector, values in candidates]
    failed: list[Failed] = []
    try:
        for following in asyncio.as_completed(asked):
            result = await following
            if isinstance(result, Found):
                return result, failed
            failed.append(result)
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return None, failed


async def _ask(connector: Connector, values: Mapping[str, Any], agent: str) -> Found | Failed:
    patience = {"timeout": PATIENCE, "give_up_after": PATIENCE / 2}
    settings = connector.settings.model_validate({"politeness": patience, **values})
    # With a pace of its own: nobody waits for another platform's answer that will never come.
    opened = open_reader("discover", settings, secret=None, agent=agent, clock=Clock(), paces=Paces())
    async with opened as (reader, context):
        try:
            probe = await reader.probe()
        except ConnectorError as error:
            reached = bool(context.transport.stats.statuses)
            return Failed(
                connector.platform, error.message if isinstance(error, NotThisPlatform) else str(error), reached
            )
        spaces: Sequence[Space] = ()
        try:
            spaces = await reader.discover(probe)
        except ConnectorError as error:
            err.print(Text(f"its spaces could not be listed: {error}", style="yellow"), soft_wrap=True)
        return Found(connector, settings, probe, spaces)


def _reasons(failed: Sequence[Failed]) -> list[str]:
    """One line per platform; one for all where nothing connects."""
    # Which path was asked for first does not matter where nothing connects.
    lines = list(dict.fromkeys(f"  {each.why.partition(': ')[2] or each.why}" for each in failed if not each.reached))
    return lines + list(dict.fromkeys(f"  {each.platform}: {each.why}" for each in failed if each.reached))


def _advice(start: str, failed: Sequence[Failed]) -> list[str]:
    if not any(each.reached for each in failed):
        return []
    advice = ["something answers there: is this the site that people use, and its start page?"]
    if any("400" in each.why for each in failed) and start.startswith("http://"):
        advice.append(f"this may be https: try https://{start.removeprefix('http://')}")
    return advice


def _rows(found: Found) -> list[dict[str, Any]]:
    maker = RowMaker("", found.probe.locales)
    return [
        {
            "space": each.ref,
            "name": maker.name(each.names),
            "type": each.native_type,
            "parent": each.parent,
            "status": each.status,
        }
        for each in found.spaces
    ]


def _block(found: Found, name: str) -> str:
    return f"  {name}:\n    platform: {found.connector.platform}\n    url: {found.settings.url}\n    every: 15m\n"


def _as_json(found: Found, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    probe = found.probe
    return {
        "platform": probe.platform,
        "version": probe.version,
        "dialect": probe.dialect,
        "title": probe.title,
        "locales": list(probe.locales),
        "capabilities": [{"name": c.name, "available": c.available, "why": c.why} for c in probe.capabilities],
        "strategy": list(probe.strategy),
        "warnings": list(probe.warnings),
        "spaces": rows,
        "instance": {name: {"platform": found.connector.platform, "url": found.settings.url, "every": "15m"}},
        "yaml": _block(found, name),
    }


def _print(found: Found, name: str, rows: list[dict[str, Any]]) -> None:
    probe = found.probe
    version = probe.version or f"(version not disclosed; dialect {probe.dialect})"
    out.print(Text(f"{probe.platform} {version}: {probe.title or found.settings.url}", style="bold"), soft_wrap=True)
    out.print(Text(f"languages: {', '.join(probe.locales) or 'not told'}"), soft_wrap=True)
    for capability in probe.capabilities:
        why = f": {capability.why}" if capability.why else ""
        out.print(Text(f"  {'✓' if capability.available else '–'} {capability.name}{why}"), soft_wrap=True)
    for line in probe.warnings:
        out.print(Text(f"  ! {line}", style="yellow"), soft_wrap=True)
    print_table(rows, COLUMNS, empty="no public spaces found", title="\nWhat it holds")
    out.print("\nPaste this below `instances:` in your configuration:\n", markup=False)
    out.print(_block(found, name), markup=False, soft_wrap=True)
