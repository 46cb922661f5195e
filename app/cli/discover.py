"""`civicsync discover`: which platform and version answers at an address, what it holds, and the YAML block to paste."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import ValidationError
from rich.text import Text

from ...connectors.contract.errors import ConnectorError, NotThisPlatform
from ...connectors.contract.reading import Connector, Probe
from ...connectors.contract.settings import InstanceSettings
from ...connectors.open import open_reader, user_agent
from ...connectors.registry import platforms, resolve
from ...core.clock import Clock
from ...core.records import Space
from ...core.store.rows import RowMaker
from .common import EXIT_FAILED, EXIT_USAGE, configuration, err, fail, out, print_json, print_table
from .state import state

COLUMNS = {"space": "space", "name": "name", "type": "type", "parent": "inside", "status": "status"}


@dataclass(slots=True)
class Found:
    """What answered."""

    connector: Connector
    settings: InstanceSettings
    probe: Probe
    spaces: Sequence[Space]


def run(
    address: Annotated[
        str, typer.Argument(help="An address such as https://participa.example, or the name of an instance.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out which platform answers at an address, what it holds, and what to write in the configuration."""
    if "://" in address:
        candidates = [(resolve(name), {"platform": name, "url": address}) for name in platforms()]
        name = re.sub(r"[^a-z0-9]+", "-", (urlsplit(address).hostname or "").lower()).strip("-") or "my-instance"
        agent = user_agent("civicsync discover", "")
    else:
        config = configuration()
        if address not in config.instances:
            fail(f"no instance {address!r} in {state.config_file}; an address starts with https://", EXIT_USAGE)
        settings = config.instances[address]
        candidates = [(resolve(settings.platform), settings.model_dump())]
        name, agent = address, user_agent(config.operator.name, config.operator.contact)
    found, reasons = asyncio.run(_discover(candidates, agent))
    if found is None:
        fail("\n".join([f"no known platform answers at {address}", *reasons]), EXIT_FAILED)
    rows = _rows(found)
    if json:
        print_json(_as_json(found, name, rows))
        return
    _print(found, name, rows)


async def _discover(candidates: list[tuple[Connector, dict[str, Any]]], agent: str) -> tuple[Found | None, list[str]]:
    reasons: list[str] = []
    for connector, values in candidates:
        patience = {"timeout": 20.0, "give_up_after": 20.0}
        try:
            settings = connector.settings.model_validate({"politeness": patience, **values})
        except ValidationError as error:
            reasons.append(f"  {connector.platform}: {error.errors()[0]['msg'].removeprefix('Value error, ')}")
            continue
        async with open_reader("discover", settings, secret=None, agent=agent, clock=Clock()) as (reader, _):
            try:
                probe = await reader.probe()
            except NotThisPlatform as error:
                reasons.append(f"  {connector.platform}: {error.message}")
                continue
            except ConnectorError as error:
                reasons.append(f"  {connector.platform}: {error}")
                continue
            spaces: Sequence[Space] = ()
            try:
                spaces = await reader.discover(probe)
            except ConnectorError as error:
                err.print(Text(f"its spaces could not be listed: {error}", style="yellow"), soft_wrap=True)
            return Found(connector, settings, probe, spaces), reasons
    return None, reasons


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
