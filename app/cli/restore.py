"""`civicsync restore`: a backup takes the place of the database, and nothing is published twice after it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...core.backup import BackupError, restore
from ...core.clock import Clock
from ...core.fingerprints import OtherKey, check_fingerprint
from ...core.schema.database import parse_url
from ...core.schema.failures import DatabaseError
from .common import EXIT_USAGE, NO_INSTANCE, configuration, err, fail, out, print_json
from .state import state

_MOMENTS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]


def run(
    file: Annotated[Path, typer.Argument(help="What `civicsync backup` made.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also where there is a database; it is kept aside, under another name.")
    ] = False,
    lost_until: Annotated[
        datetime | None,
        typer.Option(
            "--lost-until",
            formats=_MOMENTS,
            help="When the database of before was last worked with (UTC where no zone is named); now, if you do not know.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Put a backup in the place of the database. Every route then looks up what the backup does not know before it sends."""
    config = configuration(NO_INSTANCE)
    clock = Clock()
    until = lost_until.replace(tzinfo=UTC) if lost_until is not None and lost_until.tzinfo is None else lost_until
    if until is not None and until > clock.now():
        fail(f"--lost-until {until:%Y-%m-%d %H:%M} lies ahead", EXIT_USAGE)

    def right_key(engine: Engine) -> None:
        check_fingerprint(engine, config.privacy.key.get_secret_value(), config.privacy.signing_key)

    try:
        url = parse_url(config.database, state.config_file.resolve().parent)
        with err.status("checking and copying"):
            done = restore(file, url, clock, right_key, force=force, lost_until=until)
    except (BackupError, DatabaseError) as error:
        fail(str(error))
    except OtherKey as error:
        fail(f"{file}: {error}", EXIT_USAGE)
    if json:
        print_json(
            {
                "database": str(done.file),
                "aside": str(done.aside) if done.aside else None,
                "lost_until": done.lost_until.isoformat(),
                "publications": done.publications,
                "people": done.people,
            }
        )
        return
    lines = [f"{done.file} is what {file} holds: {done.publications} publications"]
    if done.aside is not None:
        lines.append(
            f"the database of before is in {done.aside}; remove it when you do not need it: it holds what it held"
        )
    lines.append(
        f"what was written until {done.lost_until:%Y-%m-%d %H:%M} UTC may be missing. Next: `civicsync sync`, then `civicsync publish`, "
        "which looks everything up before it sends; what is older without a copy waits in `civicsync review list`"
    )
    if done.people:
        lines.append(
            f"{done.people} people were forgotten since this backup, and it holds them again: `civicsync forget` them now"
        )
    lines.append(
        "whoever was forgotten on the disk that was lost must be forgotten again, too: see your own register of requests"
    )
    for line in lines:
        out.print(Text(line), soft_wrap=True)
