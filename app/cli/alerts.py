"""`civicsync alerts`: what stands, what could not be delivered, and whether the channels work."""

import asyncio
import uuid
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...config import Config
from ...core.alerts.book import Book, Notice
from ...core.alerts.kinds import DeliveryState, What
from ...core.alerts.outbox import Outbox
from ...core.clock import Clock
from ..operations.alerts.alerter import Alerter, Brought
from .common import EXIT_FAILED, EXIT_USAGE, configuration, database, err, fail, out, print_json, print_table, told
from .state import state

OPEN = {"kind": "alert", "subject": "of", "many": "many", "since": "since", "opened_at": "told first"}
UNDELIVERED = {
    "at": "told",
    "title": "notice",
    "channel": "channel",
    "state": "state",
    "attempts": "tries",
    "error": "why",
}
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
app = typer.Typer(
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    help="What stands, and what could not be told; test: try every channel; send: look and deliver once.",
)


@app.callback(invoke_without_command=True)
def show(context: typer.Context, json: Json = False) -> None:
    """List open alerts and notices that were not delivered; exit code 1 where there are any."""
    if context.invoked_subcommand is not None:
        return
    config = configuration()
    with database(config) as engine:
        alerts, undelivered = Book(engine, Clock()).open(), Outbox(engine, Clock()).undelivered()
    if json:
        print_json({"open": [_alert(row) for row in alerts], "undelivered": [_delivery(row) for row in undelivered]})
    else:
        print_table([_alert(row) for row in alerts], OPEN, empty="no alert is open")
        if undelivered:
            print_table([_delivery(row) for row in undelivered], UNDELIVERED, empty="", title="not delivered")
            lost = {row["channel"] for row in undelivered} - set(config.alerts.channels)
            if lost:
                err.print(Text(f"not in the configuration any more: {', '.join(sorted(lost))}"), soft_wrap=True)
        elif not config.alerts.channels:
            err.print(Text("nobody is told: `alerts:` of the configuration names no channel"), soft_wrap=True)
    if alerts or undelivered:
        raise typer.Exit(EXIT_FAILED)


@app.command("test")
def test(json: Json = False) -> None:
    """Send a notice that says so through every channel, now and once, and show what each answers."""
    config = configuration()
    if not config.alerts.channels:
        fail(f"{state.config_file}: `alerts:` names no channel; see docs/howto/alerts.md", EXIT_USAGE)
    clock = Clock()
    text = f"This is a test. {config.operator.name} has civicsync tell you what it cannot settle by itself."
    notice = Notice(0, str(uuid.uuid4()), What.TEST, clock.now(), "a test", text, {"alerts": []})
    with database(config) as engine:
        alerter = _alerter(config, engine)
        with err.status("sending"):
            answers = asyncio.run(_each(alerter, notice))
    if json:
        print_json([{"channel": name, "delivered": not words, "why": words} for name, words in answers.items()])
    else:
        for name, words in answers.items():
            line = f"x {name}: {words}" if words else f"  {name}: delivered"
            out.print(Text(line, style="red" if words else ""), soft_wrap=True)
    if any(answers.values()):
        raise typer.Exit(EXIT_FAILED)


@app.command("send")
def send(
    again: Annotated[bool, typer.Option("--again", help="Also what was given up.")] = False, json: Json = False
) -> None:
    """Look at everything and deliver what is in the outbox, once: after `sync` from cron. Exit code 1 where a delivery failed."""
    config = configuration()
    with database(config) as engine:
        alerter = _alerter(config, engine)
        notices = alerter.look()
        taken_up = alerter.outbox.take_up_again() if again else 0
        with err.status("delivering"):
            brought = asyncio.run(alerter.bring(by_hand=True))
    if json:
        print_json(
            {
                "told": [{"what": each.what, "title": each.title} for each in notices],
                "taken_up_again": taken_up,
                "deliveries": {each.value: many for each, many in brought.states.items()},
                "failed": brought.failed,
            }
        )
    else:
        for each in notices:
            out.print(Text(f"{each.what}: {each.title}"), soft_wrap=True)
        out.print(Text(_numbers(brought)), soft_wrap=True)
    if brought.failed:
        raise typer.Exit(EXIT_FAILED)


def _numbers(brought: Brought) -> str:
    if not brought.states:
        return "nothing to deliver"
    return ", ".join(f"{many} {each.value.replace('_', ' ')}" for each, many in brought.states.items())


def _alerter(config: Config, engine: Engine) -> Alerter:
    def say(name: str, text: str) -> None:
        err.print(Text(f"{name}: {text}"), soft_wrap=True)

    return Alerter(config, engine, Clock(), state.config_file.resolve().parent, say)


async def _each(alerter: Alerter, notice: Notice) -> dict[str, str]:
    """By channel, why it failed; empty where it did not."""
    answers = await asyncio.gather(*(alerter.sender(name)(notice) for name in alerter.channels))
    words = [(each.words or "it failed") if not each.delivered else "" for each in answers]
    return dict(zip(alerter.channels, map(told, words), strict=True))


def _alert(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in OPEN}


def _delivery(row: dict[str, Any]) -> dict[str, Any]:
    given_up = row["state"] == DeliveryState.GIVEN_UP
    return {**{name: row[name] for name in UNDELIVERED}, "uid": row["uid"], "next": None if given_up else row["due_at"]}
