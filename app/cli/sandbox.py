"""`civicsync sandbox`: a toy city on loopback that behaves like the real platform, its traps included."""

import importlib.util
import sys
from typing import Annotated

import msgspec
import typer

from ...connectors.registry import UnknownPlatform, resolve
from .common import EXIT_USAGE, fail


def run(
    platform: Annotated[str, typer.Argument(help="consul, decidim or your-priorities.")],
    version: Annotated[
        str | None, typer.Option("--version", help="Which release it pretends to be; the newest if not given.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    size: Annotated[int, typer.Option("--size", min=0, max=1_000_000, help="How many proposals the city has.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same city.")] = 1,
    charge: Annotated[
        bool, typer.Option("--charge", help="Report what a real server would have worked (X-Runtime).")
    ] = False,
) -> None:
    """Serve a sandbox: prints one JSON line (url, instance, control), then serves until interrupted."""
    if importlib.util.find_spec("uvicorn") is None:
        fail("a sandbox needs uvicorn: pip install 'civicsync[sandbox]'", EXIT_USAGE)
    from ...connectors.testing.sandbox.serve import describe, serve

    try:
        connector = resolve(platform)
    except UnknownPlatform as error:
        fail(str(error), EXIT_USAGE)
    if connector.sandbox is None:
        fail(f"{platform} has no sandbox", EXIT_USAGE)
    chosen = version or connector.versions[-1]
    if chosen not in connector.versions:
        fail(f"{platform} has no version {chosen!r}; there are: {', '.join(connector.versions)}", EXIT_USAGE)
    city = connector.sandbox(version=chosen, size=size, seed=seed, charge=charge)

    def ready(url: str) -> None:
        sys.stdout.write(msgspec.json.encode(describe(city, url)).decode() + "\n")
        sys.stdout.flush()

    try:
        serve(city, port=port, ready=ready)
    except OSError as error:
        fail(f"cannot serve on port {port}: {error.strerror or error}")
