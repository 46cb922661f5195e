"""The program `civicsync`: its options, its verbs, and the last resort for errors."""

from pathlib import Path
from typing import Annotated

import typer

from . import check, config, discover, explain, init, quarantine, query, runs, sandbox, status, sync
from .common import state

app = typer.Typer(
    name="civicsync",
    help="Joins CONSUL Democracy, Decidim and Your Priorities in one database.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"civicsync {version('civicsync')}")
        raise typer.Exit


@app.callback()
def options(
    config_file: Annotated[
        Path, typer.Option("--config", "-c", envvar="CIVICSYNC_CONFIG", help="The configuration file.", metavar="FILE")
    ] = Path("civicsync.yaml"),
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Joins CONSUL Democracy, Decidim and Your Priorities in one database."""
    state.config_file = config_file


for module in (init, check, discover, sync, status, runs, query, explain, sandbox):
    app.command(name=module.NAME)(module.run)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(config.app, name="config")


def main() -> None:
    """Run the program."""
    app()
