"""The program `civicsync`: its options, its verbs, and the last resort for errors.

A verb's module is imported only when the verb is used, so that `--help` and a mistyped word answer at once.
"""

import difflib
import importlib
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from .state import state

VERBS = {
    "init": "Write a commented configuration and a secret key.",
    "check": "Ask every instance what it is and what can be read there.",
    "discover": "Find out which platform answers at an address, and what to write in the configuration.",
    "sync": "Pull proposals, supports, comments and answers into the database.",
    "publish": "Copy proposals along the routes of the configuration, once, and keep the copies true.",
    "run": "Keep pulls and routes going until SIGTERM or Ctrl-C.",
    "worker": "Do what `run` hands on, on this machine, beside any number of others.",
    "review": "What waits for a person: list, show, approve, reject, reopen, resume.",
    "rebuild-map": "After a lost database, find our copies on the platforms again; posts nothing.",
    "login": "Consent once, in a browser, to what civicsync may do on a Decidim with OAuth.",
    "status": "Show what is in the database and how the last runs went.",
    "runs": "Show the newest runs: what they did, what they cost, how they ended.",
    "query": "Ask the database with SQL; it can only be read.",
    "report": "Reports for people: monthly.",
    "search": "Find proposals by words in their titles and texts, in all languages.",
    "export": "Write CSV, Excel, Parquet, GeoJSON, open data for a portal, and more.",
    "duplicates": "The same idea on several platforms: find, review, evaluate, export.",
    "explain": "Tell where a proposal came from and what was seen of it when.",
    "instances": "What is stored of whom: list, rename, forget.",
    "forget": "Forget a person: texts, versions, names, queue, exports and copies, with the proof.",
    "audit": "Who did what with what: list, verify.",
    "purge": "Remove what was kept for as long as the configuration says.",
    "key": "The key that pseudonyms are made with: fingerprint, rotate.",
    "register": "The register of processing (art. 30) and the data flows, as things are configured.",
    "quarantine": "Records that could not be understood: list, show, replay.",
    "service": "The files with which it is put on a server: print, install.",
    "alerts": "What stands and whom it could not be told; try the channels, deliver once.",
    "doctor": "Find what is wrong with this installation, or soon will be, with the way out.",
    "backup": "Copy the database while it is used, and check the copy; keep the newest few.",
    "upgrade": "Bring the database up to date; with --check, what that would do and how long.",
    "restore": "Put a backup in the database's place; nothing is published twice after it.",
    "database": "Move everything into another database; roles for analysts.",
    "demo": "Watch it work: three toy cities on this machine, one database, proposals that cross between them.",
    "sandbox": "Serve a toy city that behaves like a real platform.",
    "config": "Show the configuration without secrets, or its schema.",
}


class _Verbs(TyperGroup):
    """Finds a verb's module by its name."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f".{cmd_name.replace('-', '_')}", __package__)
        group = getattr(module, "app", None)
        if group is None:
            group = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
            group.command(name=cmd_name, context_settings=getattr(module, "CONTEXT", None))(module.run)
        return _named(group, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0] if args else ""
        if word and word not in VERBS and not word.startswith("-"):
            close = difflib.get_close_matches(word, VERBS, n=1)
            more = f"did you mean `civicsync {close[0]}`?" if close else "`civicsync --help` lists them"
            ctx.fail(f"there is no verb {word!r}; {more}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Whatever verb Ctrl-C ends says so: typer would end it without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(130) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def _named(group: typer.Typer, name: str) -> Any:
    command = typer.main.get_command(group)
    command.name = name
    return command


app = typer.Typer(
    cls=_Verbs,
    name="civicsync",
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
    context: typer.Context,
    config_file: Annotated[
        Path, typer.Option("--config", "-c", envvar="CIVICSYNC_CONFIG", help="The configuration file.", metavar="FILE")
    ] = Path("civicsync.yaml"),
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    log: Annotated[
        Literal["console", "json"] | None,
        typer.Option("--log", envvar="CIVICSYNC_LOG", help="Log what happens on standard error, a line per event."),
    ] = None,
) -> None:
    """Joins CONSUL Democracy, Decidim and Your Priorities in one database."""
    state.config_file = config_file
    if log is not None:
        from ..logs import logging_events

        context.with_resource(logging_events(log))


def main() -> None:
    """Run the program; whatever nobody foresaw ends in one line, with the way to tell us more."""
    _quiet_library_logs()
    _start_quickly()
    try:
        app()
    except BrokenPipeError:
        # Whoever read our output has enough of it (`| head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        sys.exit(130)
    except Exception as error:
        from ...core.redaction import redact, visible
        from ...core.schema.failures import host_failure

        if os.environ.get("CIVICSYNC_DEBUG"):
            typer.echo(visible(redact("".join(traceback.format_exception(error)))), err=True)
            sys.exit(1)
        known = host_failure(error)
        if known is not None:
            typer.echo(visible(redact(f"civicsync: {known}")), err=True)
            sys.exit(1)
        where = traceback.extract_tb(error.__traceback__)[-1]
        typer.echo(
            f"civicsync: something unforeseen happened ({type(error).__name__} in {Path(where.filename).name}:{where.lineno}). What was "
            "committed is kept. Run it again with CIVICSYNC_DEBUG=1 to see where, and please report it.",
            err=True,
        )
        sys.exit(1)


def _start_quickly() -> None:
    """While modules are loaded nothing is garbage, and looking for it takes a tenth of a short verb's time."""
    state.start()
    # Else pydantic looks through every installed package for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def _quiet_library_logs() -> None:
    """What libraries log when nobody asked (their last resort is standard error) passes the same edge as everything else."""

    class Edge(logging.Formatter):
        """A line without secrets, and nothing in it that a terminal would obey."""

        def format(self, record: logging.LogRecord) -> str:
            from ...core.redaction import redact, visible

            return visible(redact(super().format(record)))

    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Edge())
