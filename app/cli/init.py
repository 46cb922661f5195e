"""`civicsync init`: a commented configuration to edit, and a key in a file only its owner can read."""

import json
import os
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ...config.schema import json_schema
from ...config.template import TEMPLATE
from .common import EXIT_USAGE, fail, out
from .state import state

KEY_FILE = "civicsync.key"


def run(
    force: Annotated[bool, typer.Option("--force", help="Overwrite the configuration (never the key).")] = False,
) -> None:
    """Write a commented configuration and, if there is none yet, a secret key."""
    file = state.config_file
    if file.exists() and not force:
        fail(f"{file} exists already; --force overwrites it", EXIT_USAGE)
    if not file.parent.is_dir():
        fail(f"the folder {file.parent} does not exist", EXIT_USAGE)
    key = file.parent / KEY_FILE
    made = make_key(key)
    file.write_text(TEMPLATE.replace("KEY_FILE", KEY_FILE), encoding="utf-8")
    schema = file.parent / "civicsync.schema.json"
    schema.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    out.print(Text(f"wrote {file}, and {schema.name} so that editors can complete and check it"), soft_wrap=True)
    if made:
        out.print(
            Text(
                f"wrote {key}: the secret that pseudonyms are made with. Keep a copy in a safe place; share it with nobody."
            ),
            soft_wrap=True,
        )
    else:
        out.print(Text(f"kept {key}"), soft_wrap=True)
    out.print(
        Text(
            "next: `civicsync discover https://your-platform.example` prints a block to paste, then `civicsync check`"
        ),
        soft_wrap=True,
    )


def make_key(file: Path) -> bool:
    """Make a key that only its owner can read; False when there is one already."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(secrets.token_hex(32) + "\n")
    return True
