"""`civicsync backup`: a checked copy of the database, made while others go on writing."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ...config import Config
from ...core.backup import Backup, BackupError, backup
from ...core.clock import Clock
from ...core.schema.database import open_engine, parse_url, place
from ...core.schema.failures import DatabaseError
from .common import NO_INSTANCE, configuration, err, fail, out, print_json
from .state import state


def run(
    path: Annotated[
        Path, typer.Argument(help="A folder, in which each backup gets a name with its moment, or a new file.")
    ],
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="In a folder: how many backups stay there.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy the database while it is used, check the copy, and only then give it its name; keep the newest few."""
    made = _made(configuration(NO_INSTANCE), path, keep)
    if json:
        print_json(
            {
                "file": str(made.file),
                "bytes": made.bytes,
                "began": made.began.isoformat(),
                "seconds": round(made.seconds, 3),
                "removed": [str(each) for each in made.removed],
            }
        )
        return
    out.print(
        Text(f"{made.file}: {made.bytes / 1e6:,.1f} MB in {made.seconds:.1f} s, read back and found whole"),
        soft_wrap=True,
    )
    for each in made.removed:
        out.print(Text(f"removed {each}"), soft_wrap=True)


def _made(config: Config, path: Path, keep: int | None) -> Backup:
    try:
        url = parse_url(config.database, state.config_file.resolve().parent)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            fail(f"{place(url)} is not there: nothing to copy")
        engine = open_engine(url)  # as it is: a backup comes before an upgrade
        try:
            with err.status("copying") as shown:
                return backup(
                    engine, path, Clock(), keep=keep, told=lambda done, all_of_it: shown.update(_far(done, all_of_it))
                )
        finally:
            engine.dispose()
    except (BackupError, DatabaseError) as error:
        fail(str(error))


def _far(done: int, all_of_it: int) -> str:
    of = f" of about {all_of_it / 1e6:,.0f}" if all_of_it else ""
    return f"copying: {done / 1e6:,.0f}{of} MB"
