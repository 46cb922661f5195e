"""`civicsync check`: is everything ready? Configuration, database, and what each instance can and cannot do."""

import asyncio
import os
import stat
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ...config import Config
from ...config.load import referenced_files
from ...connectors.contract.errors import ConnectorError, NotFound
from ...connectors.contract.reading import Probe
from ...core import journal as journal
from ...core.clock import Clock
from ...core.instances import twins
from ...core.schema.database import file_of, side_files
from ...core.schema.failures import database_failure
from ...core.store.exclusion import known_spaces
from ...sync.publish.never_matches import never_matches
from ...sync.publish.route_check import RouteCheck, check_route
from ...sync.pull.recognise import check_known
from ...sync.pull.run import Puller, save_probe
from .common import EXIT_FAILED, chosen, configuration, database, err, out, print_json
from .state import state


def run(
    instances: Annotated[list[str] | None, typer.Argument(help="Which instances; all if none is named.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask every instance what it is and what can be done there, and every route whether it can run; changes nothing on the platforms."""
    config = configuration()
    names = chosen(config, instances)
    with database(config) as engine:
        clock = Clock()
        puller = Puller(config, engine, clock)
        results = asyncio.run(_probe_all(puller, names))
        results = {name: _known(config, engine, name, result) for name, result in results.items()}
        routes = [
            name for name, route in config.routes.items() if {route.source.instance, route.to.instance} & set(names)
        ]
        checks = asyncio.run(_check_routes(config, engine, routes, clock))
        for each in checks:
            never = never_matches(config, engine, each.route)
            if never and each.ok:
                each.error, each.hint = f"it can never copy anything: {'; '.join(never)}", "correct the route"
                each.warnings = [line for line in each.warnings if line not in never]
        warnings = _file_warnings(config, engine)
        try:
            for name, probe in results.items():
                if isinstance(probe, Probe):
                    save_probe(engine, config, name, probe, clock)
        except DBAPIError as error:
            warnings.append(f"what was found is not remembered: {database_failure(error)}")
    rows = [_row(config, name, result) for name, result in results.items()]
    twin_rows = [
        {
            "instance": f"{first} and {second}",
            "ok": False,
            "error": f"both are {config.instances[second].url}: everything would be stored twice, and told twice",
            "hint": "keep one of them; `spaces` limits what it reads",
        }
        for first, second in twins({name: each.url for name, each in config.instances.items()})
    ]
    rows += twin_rows
    route_rows = [_route_row(each) for each in checks]
    if json:
        print_json([*rows, *route_rows])
        for warning in warnings:
            err.print(Text(f"! {warning}", style="yellow"), soft_wrap=True)
    else:
        for row in rows:
            _print(row)
        for row in route_rows:
            _print_route(row)
        for warning in warnings:
            out.print(Text(f"! {warning}", style="yellow"), soft_wrap=True)
    if any(not row["ok"] for row in (*rows, *route_rows)):
        raise typer.Exit(EXIT_FAILED)


async def _probe_all(puller: Puller, names: list[str]) -> dict[str, Probe | ConnectorError]:
    async def one(name: str) -> Probe | ConnectorError:
        try:
            async with puller.reader(name) as (reader, _):
                probe = await reader.probe()
                named = {each for limit in puller.config.instances[name].limits() for each in limit}
                if named:
                    there = {each.ref for each in await reader.discover(probe)}
                    there |= await asyncio.to_thread(known_spaces, puller.engine, name)  # closed since: no mistake
                    unknown = sorted(named - there)
                    if unknown:
                        raise NotFound(
                            f"there is no public {', '.join(unknown)}: nothing would be read of it",
                            hint=f"`civicsync discover {name}` lists what there is; correct `spaces` (or `groups`, `communities`)",
                        )
                return probe
        except ConnectorError as error:
            return error

    found = await asyncio.gather(*(one(name) for name in names))
    return dict(zip(names, found, strict=True))


def _known(config: Config, engine: Engine, name: str, result: Probe | ConnectorError) -> Probe | ConnectorError:
    """Whether it is still the instance whose data is stored under its name."""
    try:
        check_known(engine, name, journal.instance_row(engine, name), config.instances[name])
    except ConnectorError as error:
        return error
    return result


async def _check_routes(config: Config, engine: Engine, names: list[str], clock: Clock) -> list[RouteCheck]:
    return [await check_route(config, engine, name, clock) for name in names]


def _route_row(found: RouteCheck) -> dict[str, Any]:
    return {
        "route": found.route,
        "ok": found.ok,
        "error": found.error,
        "hint": found.hint,
        "capabilities": [{"name": c.name, "available": c.available, "why": c.why} for c in found.capabilities],
        "warnings": list(found.warnings),
    }


def _print_route(row: dict[str, Any]) -> None:
    mark, style = ("✓", "green") if row["ok"] else ("✗", "red")
    error = f": {row['error']}" if row["error"] else ""
    out.print(Text(f"{mark} route {row['route']}{error}", style=style), soft_wrap=True)
    if row["hint"]:
        out.print(Text(f"  {row['hint']}"), soft_wrap=True)
    _print_abilities(row)


def _print_abilities(row: dict[str, Any]) -> None:
    for capability in row["capabilities"]:
        mark = "✓" if capability["available"] else "–"
        why = f": {capability['why']}" if capability["why"] else ""
        out.print(Text(f"  {mark} {capability['name']}{why}"), soft_wrap=True)
    for line in row.get("strategy", ()):
        out.print(Text(f"  · {line}", style="dim"), soft_wrap=True)
    for line in row["warnings"]:
        out.print(Text(f"  ! {line}", style="yellow"), soft_wrap=True)


def _row(config: Config, name: str, result: Probe | ConnectorError) -> dict[str, Any]:
    settings = config.instances[name]
    row: dict[str, Any] = {"instance": name, "platform": settings.platform, "url": settings.url}
    if isinstance(result, ConnectorError):
        return {**row, "ok": False, "error": result.message, "hint": result.hint}
    return {
        **row,
        "ok": True,
        "version": result.version,
        "dialect": result.dialect,
        "title": result.title,
        "locales": list(result.locales),
        "capabilities": [{"name": c.name, "available": c.available, "why": c.why} for c in result.capabilities],
        "strategy": list(result.strategy),
        "warnings": list(result.warnings),
    }


def _print(row: dict[str, Any]) -> None:
    if not row["ok"]:
        out.print(Text(f"✗ {row['instance']}: {row['error']}", style="red"), soft_wrap=True)
        if row["hint"]:
            out.print(Text(f"  {row['hint']}"), soft_wrap=True)
        return
    version = row["version"] or f"version not disclosed, dialect {row['dialect']}"
    out.print(Text(f"✓ {row['instance']}: {row['platform']} {version} at {row['url']}", style="green"), soft_wrap=True)
    if row["title"]:
        out.print(Text(f"  {row['title']}; languages: {', '.join(row['locales']) or 'not told'}"), soft_wrap=True)
    _print_abilities(row)


def _file_warnings(config: Config, engine: Engine) -> list[str]:
    """Every file that holds secrets or people's texts and that others on this machine can read."""
    warnings: list[str] = []
    folder = state.config_file.resolve().parent
    files = dict.fromkeys(sorted(folder.glob("*.key")), "")
    files |= {place: f" ({key})" for key, place in referenced_files(state.config_file).items()}
    database = file_of(engine)
    if database is not None:
        files |= dict.fromkeys([database, *side_files(database)], " (the database)")
    for file, what in files.items():
        try:
            open_to = stat.S_IMODE(file.stat().st_mode) & 0o077 if os.name == "posix" else 0
        except OSError:
            continue  # the tokens of OAuth before the first login; whatever else is missing was told when the file was read
        if open_to:
            warnings.append(f"{file.name}{what} can be read or changed by others on this machine; chmod 600 {file}")
    for name, settings in config.instances.items():
        if not settings.verify_tls:
            warnings.append(f"{name}: TLS certificates are not verified; only for a test installation")
    return warnings
