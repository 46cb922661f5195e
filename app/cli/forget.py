"""`civicsync forget`: everything one person typed goes, wherever civicsync put it, and no pull brings it back; with the proof of it."""

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config
from ...core import audit
from ...core.clock import Clock
from ...core.forgetting import ForgettingError, Proof, forget
from ...core.journal import instance_row
from ...core.privacy import pseudonymiser
from .common import EXIT_USAGE, configuration, database, err, fail, out, print_json, print_table
from .state import state

COLUMNS = {"table": "table", "what": "what", "before": "before", "after": "after"}
_PSEUDONYM = re.compile(r"[0-9a-f]{32}")
_UNREADABLE = (".parquet", ".pdf", ".gz", ".zst", ".db", ".sqlite")
"""Files that cannot be searched without unpacking them: what is in such a folder can be made again."""


def run(
    instance: Annotated[str, typer.Option("--instance", help="On which instance.")],
    user: Annotated[
        str | None, typer.Option("--user", help="The platform's number of the person; it is stored nowhere.")
    ] = None,
    author: Annotated[
        str | None, typer.Option("--author", help="The pseudonym instead, as the column `author` shows it.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="For the audit log, such as a case number; no name.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Forget a person: texts, versions, names, queue, indexes, exports, copies; then prove that nothing is left."""
    if (user is None) == (author is None):
        fail("name the person by --user (the platform's number) or by --author (the pseudonym)", EXIT_USAGE)
    if author is not None and not _PSEUDONYM.fullmatch(author):
        fail(
            f"--author {author!r} is no pseudonym: 32 hexadecimal digits, as the column `author` shows them", EXIT_USAGE
        )
    config = configuration(("",))
    with database(config) as engine:
        pseudonym = author or _pseudonym(config, engine, instance, str(user))
        try:
            proof = forget(engine, Clock(), instance, pseudonym, dry_run=dry_run, scrub=_scrub, origin=reason)
        except ForgettingError as error:
            fail(str(error))
        files = _files(config, proof.terms, remove=not dry_run)
        if not dry_run:
            _count_again(config, engine)
        told = _told(engine)
    routes = _left_to_people(config, proof)
    if json:
        print_json(
            {
                **_shown(proof),
                "clean": proof.clean,
                "dry_run": dry_run,
                "files": files,
                "exported": told,
                "to_do": routes,
            }
        )
    else:
        _say(proof, files, told, routes, dry_run=dry_run)
    if not dry_run and not proof.clean:
        raise typer.Exit(1)


def _shown(proof: Proof) -> dict[str, Any]:
    """Without what was looked for: it is the person's."""
    return {name: value for name, value in asdict(proof).items() if name != "terms"}


def _pseudonym(config: Config, engine: Engine, instance: str, user: str) -> str:
    row = instance_row(engine, instance)
    settings = config.instances.get(instance)
    named = (settings.named_before if settings is not None else None) or (row or {}).get("pseudonyms_of") or instance
    return pseudonymiser(config.privacy.key.get_secret_value(), named)(user)


def _count_again(config: Config, engine: Engine) -> None:
    """The totals were made with the person in them."""
    from ...analysis.refresh import refresh

    refresh(engine, Clock(), k=config.privacy.k, everything=True)


def _scrub(engine: Engine) -> None:
    from ...analysis.search.index import scrub

    scrub(engine)


def _files(config: Config, probes: Sequence[str], *, remove: bool) -> list[dict[str, str]]:
    """What lies in the folders of exports and holds the person, or cannot be searched; removed, for it can be made again."""
    found: list[dict[str, str]] = []
    needles = [probe.encode() for probe in probes]
    for each in config.privacy.exports:
        folder = (state.config_file.resolve().parent / each).resolve()
        for file in [folder, *(sorted(folder.rglob("*")) if folder.is_dir() else ())]:
            if not file.is_file() or file.is_symlink():
                continue
            why = _why_removed(file, needles)
            if why:
                if remove:
                    file.unlink()
                found.append({"file": str(file), "why": why})
    return found


def _why_removed(file: Path, needles: Sequence[bytes]) -> str:
    if file.suffix.lower() in _UNREADABLE:
        return "it cannot be searched"
    if zipfile.is_zipfile(file):
        try:
            with zipfile.ZipFile(file) as archive:
                inside = (archive.open(name) for name in archive.namelist())
                return (
                    "it holds the person"
                    if any(_holds(iter(lambda part=part: part.read(1 << 20), b""), needles) for part in inside)
                    else ""
                )
        except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError):
            return "it cannot be searched"
    with file.open("rb") as opened:
        return "it holds the person" if _holds(iter(lambda: opened.read(1 << 20), b""), needles) else ""


def _holds(parts: Iterable[bytes], needles: Sequence[bytes]) -> bool:
    kept = b""
    longest = max(map(len, needles), default=1)
    for part in parts:
        window = kept + part
        if any(needle in window for needle in needles):
            return True
        kept = window[-longest:]
    return False


def _told(engine: Engine) -> list[dict[str, Any]]:
    """Where exports went, as the audit log has it: whoever was given them must be told (art. 19)."""
    return [
        {"at": each.at, "what": each.object, "result": each.result}
        for each in audit.entries(engine)
        if each.action == "export"
    ]


def _left_to_people(config: Config, proof: Proof) -> list[str]:
    found: list[str] = []
    for copy in proof.copies:
        route = config.routes.get(copy["route"])
        if route is None or not route.enabled or route.follow.withdrawals != "retract":
            found.append(f"{copy['target']}: take the copy {copy['id']} back yourself; route {copy['route']} does not")
    if proof.copies and len(found) < len(proof.copies):
        found.append(
            "civicsync publish: takes the other copies back" if found else "civicsync publish: takes the copies back"
        )
    if proof.waiting:
        found.append(
            f"{proof.waiting} write(s) whose answer was lost keep their text until their fate is known: civicsync publish, then "
            "this again"
        )
    return found


def _say(
    proof: Proof,
    files: Sequence[dict[str, str]],
    told: Sequence[dict[str, Any]],
    to_do: Sequence[str],
    *,
    dry_run: bool,
) -> None:
    rows = [asdict(part) for part in proof.parts if part.before or part.after]
    columns = {name: head for name, head in COLUMNS.items() if name != "after" or not dry_run}
    print_table(rows, columns, empty="nothing is stored of this person", counts={"before", "after"})
    for each in files:
        out.print(Text(f"{'would remove' if dry_run else 'removed'} {each['file']}: {each['why']}"), soft_wrap=True)
    for each in told:
        line = f"exported on {each['at']:%Y-%m-%d}: {each['what']}, {each['result']}; tell whoever was given it"
        out.print(Text(line), soft_wrap=True)
    for line in to_do:
        err.print(Text(f"to do: {line}", style="yellow"), soft_wrap=True)
    if dry_run:
        out.print("nothing was changed")
        return
    where = f"{proof.bytes_searched:,} bytes of the database's files" if proof.bytes_searched else "every text column"
    if proof.clean:
        out.print(
            f"proof: {proof.searched} pieces of text, name and pseudonym searched in every table and in {where}: 0 found"
        )
    for place, count in proof.traces.items():
        err.print(Text(f"still found in {place}: {count}", style="red"), soft_wrap=True)
    out.print("the mark of the person stays, so that no pull brings anything back")
