"""`civicsync service`: the files with which civicsync is put on a server."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from ..operations.service import UNIT, ServiceError, container, install, template, unit
from .common import fail, out
from .state import state

app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="The files with which civicsync is put on a server: print them, or install the systemd unit.",
)


@app.command("print")
def print_(
    what: Annotated[Literal["systemd", "container", "dashboard", "alerts"], typer.Argument(help="Which file.")],
    user: Annotated[
        str | None, typer.Option("--user", help="Who the unit runs as; the owner of the configuration.")
    ] = None,
) -> None:
    """Print a systemd unit for this configuration, a container file, a Grafana dashboard or Prometheus alert rules."""
    try:
        text = unit(state.config_file, user=user) if what == "systemd" else ""
    except ServiceError as error:
        fail(str(error))
    typer.echo(text or (container() if what == "container" else template(what)), nl=False)


@app.command("install")
def install_(
    user: Annotated[str | None, typer.Option("--user", help="Who it runs as; the owner of the configuration.")] = None,
    to: Annotated[Path, typer.Option("--to", help="Where the unit goes.")] = UNIT,
    force: Annotated[bool, typer.Option("--force", help="Also where another one is.")] = False,
) -> None:
    """Put the systemd unit for this configuration in its place; starts nothing."""
    try:
        changed = install(unit(state.config_file, user=user), to, force=force)
    except ServiceError as error:
        fail(str(error))
    if not changed:
        out.print(Text(f"{to} is there already and says the same"), soft_wrap=True)
        return
    out.print(Text(f"written: {to}"), soft_wrap=True)
    out.print(
        Text("systemctl daemon-reload && systemctl enable --now civicsync   starts it, now and with the machine"),
        soft_wrap=True,
    )
    out.print(
        Text(
            "systemctl reload civicsync   reads a changed configuration; journalctl -fu civicsync   shows what it does"
        ),
        soft_wrap=True,
    )
