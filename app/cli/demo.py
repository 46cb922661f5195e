"""`civicsync demo`: watch it work, without a platform of one's own."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from .common import EXIT_USAGE, fail


def run(
    folder: Annotated[Path, typer.Option("--folder", help="Where everything is written.", metavar="FOLDER")] = Path(
        "demo"
    ),
    scale: Annotated[float, typer.Option("--scale", min=0.01, max=100, help="How large the cities are.")] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Close the cities at the end without waiting for Enter.")
    ] = False,
) -> None:
    """Three toy cities on this machine, pulled into one database, and a proposal that crosses from each to the others."""
    from ..demo import demonstrate

    if importlib.util.find_spec("uvicorn") is None:
        fail("the toy cities need uvicorn: pip install 'civicsync[sandbox]'", EXIT_USAGE)
    code = demonstrate(folder, scale=scale, wait=not once)
    if code:
        raise typer.Exit(code)
