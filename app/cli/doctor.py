"""`civicsync doctor`: what is wrong with this installation, or soon will be, and the way out of each."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ...config import Config
from ...config.load import place_of_file, referenced_files
from ...connectors.credentials import credentials_print
from ...connectors.registry import resolve
from ...core.clock import Clock
from ...core.ledger.ledger import Ledger
from ...core.ledger.queries import standing_copies
from ...core.schema.database import HEAD, file_of, open_engine, parse_url, place, side_files
from ...core.schema.failures import DatabaseError
from ...core.vitals import look, revision, versions_seen
from ..operations import doctor
from ..operations.alerts.other import installed as apprise_installed
from ..operations.doctor import Finding, Level
from .common import EXIT_FAILED, configuration, err, out, print_json
from .state import state

_MARKS = {Level.FINE: ("✓", "green"), Level.KNOW: ("!", "yellow"), Level.ACT: ("✗", "red")}


def run(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no host.")] = False,
    all_of_it: Annotated[bool, typer.Option("--all", help="Also show what is fine.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look for what is wrong, or soon will be: clock, disk, permissions, schema, names, certificates, tokens, versions; with ways out."""
    config = configuration()
    clock = Clock()
    found = [*_here(config, clock), *_database(config, clock)]
    if not offline:
        with err.status("asking the hosts"):
            found += _hosts(config, clock)
    order = list(Level)
    found.sort(key=lambda each: -order.index(each.level))
    if json:
        print_json([_row(each) for each in found])
    else:
        _show(found, all_of_it)
    if any(each.level is Level.ACT for each in found):
        raise typer.Exit(EXIT_FAILED)


def _row(found: Finding) -> dict[str, Any]:
    return {
        "check": found.check,
        "about": found.about,
        "level": found.level.value,
        "what": found.what,
        "way_out": found.way_out,
    }


def _show(found: list[Finding], all_of_it: bool) -> None:
    for each in found:
        if each.level is Level.FINE and not all_of_it:
            continue
        mark, style = _MARKS[each.level]
        out.print(Text(f"{mark} {each.check} {each.about}: {each.what}", style=style), soft_wrap=True)
        if each.way_out:
            out.print(Text(f"  {each.way_out}"), soft_wrap=True)
    fine = sum(each.level is Level.FINE for each in found)
    out.print(Text(f"{fine} of {len(found)} are fine" + ("" if all_of_it else "; --all shows them")), soft_wrap=True)


def _here(config: Config, clock: Clock) -> Iterator[Finding]:
    """Files of this machine."""
    files = {place: f"{key} of the configuration" for key, place in referenced_files(state.config_file).items()}
    folder = state.config_file.resolve().parent
    files |= dict.fromkeys(sorted(folder.glob("*.key")), "a key")
    for name, settings in config.instances.items():
        kept = getattr(settings, "oauth_tokens", None)
        if isinstance(kept, str):
            yield from doctor.tokens(name, place_of_file(state.config_file, kept), clock.now())
    url = parse_url(config.database, folder)
    if url.get_backend_name() == "sqlite" and url.database and Path(url.database).is_file():
        file = Path(url.database)
        files |= dict.fromkeys([file, *side_files(file)], "the database")
        size = sum(each.stat().st_size for each in (file, *side_files(file)))
        mounts = Path("/proc/mounts")
        yield from doctor.database_file(file, size, mounts.read_text(errors="replace") if mounts.exists() else "")
    if url.get_backend_name() == "sqlite" and config.workers:
        yield doctor.workers_on_a_file()
    yield from doctor.permissions(files)


def _database(config: Config, clock: Clock) -> Iterator[Finding]:
    """What the database tells. It is read as it is: nothing is migrated or made."""
    url = parse_url(config.database, state.config_file.resolve().parent)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        yield from doctor.schema(None, HEAD)
        return
    engine: Engine | None = None
    try:
        engine = open_engine(url)
        found = revision(engine)
        yield from doctor.schema(found, HEAD)
        if found == HEAD:
            yield from _stored(config, engine, clock)
    except (SQLAlchemyError, DatabaseError) as error:
        why = str(error) if isinstance(error, DatabaseError) else type(error).__name__
        yield Finding(
            "database",
            place(url),
            Level.ACT,
            f"it cannot be asked: {why}",
            "is the server up, and is `database:` right?",
        )
    finally:
        if engine is not None:
            engine.dispose()


def _stored(config: Config, engine: Engine, clock: Clock) -> Iterator[Finding]:
    seen = look(engine, config.instances, clock.now())
    yield from doctor.pulls(seen.good_pulls, config.instances, clock.now())
    yield from doctor.routes(seen.halted, seen.twins, seen.breakers)
    yield from doctor.left_behind(standing_copies(engine), config.routes)
    if config.workers and file_of(engine) is None:
        yield from doctor.workers(seen.queue, extra=find_spec("procrastinate") is not None)
    yield from doctor.notices(seen.alerts.waiting, seen.alerts.given_up)
    if config.alerts.apprise and not apprise_installed():
        yield Finding("alerts", "apprise", Level.ACT, "a channel needs Apprise", "pip install 'civicsync[apprise]'")
    ledger, secret = Ledger(engine, clock), config.privacy.key.get_secret_value()
    for name, settings in config.instances.items():
        yield from doctor.refused(name, ledger.refused(name, credentials_print(settings, secret)))
    stored = {name: each for name, each in versions_seen(engine).items() if name in config.instances}
    known = {platform: tuple(resolve(platform).versions) for platform in {each for each, _ in stored.values()}}
    yield from doctor.versions(stored, known)
    if file_of(engine) is None:
        yield Finding("database", place(engine.url), Level.FINE, f"it answers; {seen.bytes / 1e9:,.2f} GB")


def _hosts(config: Config, clock: Clock) -> Iterator[Finding]:
    from ...connectors.open import user_agent

    urls = {name: (each.url, each.verify_tls) for name, each in config.instances.items()}
    found = doctor.visits(urls, user_agent(config.operator.name, config.operator.contact), clock.now)
    yield from doctor.hosts(found, clock.now())
    yield from doctor.clock(found.values())
