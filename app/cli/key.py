"""`civicsync key`: which key the pseudonyms are made with, and giving them another one."""

import os
import re
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ...config.load import NotAText, read_regular
from ...core.clock import Clock
from ...core.forgetting import ForgettingError
from ...core.privacy import MissingKeyError, fingerprint_of
from ...core.redaction import conceal
from ...core.rekeying import Rekeyed, RekeyingError, rotate
from .common import EXIT_USAGE, NO_INSTANCE, configuration, database, err, fail, out, print_json
from .state import state

app = typer.Typer(help="The key that pseudonyms are made with.", no_args_is_help=True, rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NAME = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LARGEST = 64_000


@app.command("fingerprint")
def fingerprint(json: Json = False) -> None:
    """Print the fingerprint of the key in the configuration: it tells one key from another and nothing else."""
    print_ = fingerprint_of(configuration(NO_INSTANCE).privacy.key.get_secret_value())
    if json:
        print_json({"fingerprint": print_})
    else:
        out.print(print_)


@app.command("rotate")
def rotate_(
    new: Annotated[
        str,
        typer.Argument(metavar="NEW", help="The new key: `file:path` or `${ENV_NAME}`, as the configuration has it."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it means.")] = False,
    json: Json = False,
) -> None:
    """Let go of every pseudonym and have them made anew with another key; then write that key in the configuration.

    Either all of it happens or nothing. Until the configuration has the new key, nothing runs.
    """
    secret = _secret(new)
    config = configuration(NO_INSTANCE)
    with database(config) as engine:
        try:
            done = rotate(
                engine,
                Clock(),
                config.privacy.key.get_secret_value(),
                secret,
                config.privacy.signing_key,
                dry_run=dry_run,
            )
        except MissingKeyError as error:
            fail(str(error).replace("privacy.key", new, 1), EXIT_USAGE)
        except RekeyingError as error:
            fail(f"{new}: {error}", EXIT_USAGE)
        except ForgettingError as error:
            fail(str(error))
    if json:
        print_json({**asdict(done), "dry_run": dry_run})
    else:
        _say(done, new, dry_run=dry_run)


def _say(done: Rekeyed, new: str, *, dry_run: bool) -> None:
    would = "would be" if dry_run else "were"
    out.print(
        Text(
            f"{done.pseudonyms:,} people's pseudonyms {would} removed from {done.records:,} records; the next pull makes new ones"
        ),
        soft_wrap=True,
    )
    if done.forgotten:
        err.print(
            Text(
                f"{done.forgotten} people were forgotten: what they typed before stays erased, but nobody can know them under the new key; "
                "to keep out what they type from now on, forget them again (civicsync forget --user)",
                style="yellow",
            ),
            soft_wrap=True,
        )
    if dry_run:
        out.print("nothing was changed")
        return
    out.print(Text("now write in the configuration:"))
    out.print(Text(f'    privacy:\n      key: "{new}"'))
    if done.copies:
        out.print(
            Text("      marker_key: … (where the key of before lies: the copies are marked with it)"), soft_wrap=True
        )
    out.print(Text("then: civicsync sync"))
    if not done.copies:
        out.print(
            Text("and destroy the key of before, with every copy of the database that was made with it"), soft_wrap=True
        )


def _secret(reference: str) -> str:
    named = _NAME.fullmatch(reference)
    if named is not None:
        found = os.environ.get(named[1], "")
        if not found:
            fail(f"{reference}: the environment has no {named[1]}", EXIT_USAGE)
    elif reference.startswith("file:"):
        file = state.config_file.resolve().parent / Path(reference.removeprefix("file:")).expanduser()
        try:
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                fail(f"{reference}: others can read it; chmod 600 {file}", EXIT_USAGE)
            found = read_regular(file, _LARGEST).strip()
        except NotAText as error:
            fail(f"{reference}: {error}", EXIT_USAGE)
        except OSError as error:
            fail(f"{reference}: cannot be read ({error.strerror or type(error).__name__})", EXIT_USAGE)
    else:
        fail("a key is never written on the command line: name it as `file:path` or `${ENV_NAME}`", EXIT_USAGE)
    conceal(found)
    return found
