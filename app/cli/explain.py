"""`civicsync explain`: the story of one proposal: where it came from and what was seen when."""

from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...core.ledger.stories import publication_story, stories_of
from ...core.store.history import find_proposals, history_of
from .common import NO_INSTANCE, configuration, database, fail, out, print_json, print_table, show

_BY = {
    "shown": "its platform showed it",
    "gate": "a mark of its platform that would have moved did not",
    "asked": "its platform was asked for it",
}
"""What confirmed a row, in words."""


def run(
    proposal: Annotated[
        str,
        typer.Argument(
            help="A proposal: its key (instance/proposal/31), its address, or its number where only one has it. Or a publication's id."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell where a proposal came from and what was seen of it when."""
    config = configuration(NO_INSTANCE)
    with database(config) as engine:
        publication = publication_story(engine, proposal)
        if publication is None:
            own = _find(engine, proposal)
            story = {**history_of(engine, own), "publications": stories_of(engine, own)}
        else:
            story = publication
    if publication is not None and not json:
        _print_publication(story, heading=True)
        return
    if json:
        print_json(story)
        return
    _print(story)


def _print_publication(story: dict[str, Any], *, heading: bool = False) -> None:
    if heading:
        out.print(Text(story["title"] or "(no title)", style="bold"))
    line = f"{story['origin']} -> {story['target']} by {story['route']}: {story['state']}"
    out.print(Text(f"\nPublication {story['id']}: {line}", style="bold"), soft_wrap=True)
    for name in ("reason", "copy", "url"):
        if story[name]:
            out.print(Text(f"  {name:12}{story[name]}"), soft_wrap=True)
    heads = {"at": "when", "what": "what", "detail": "detail"}
    print_table(story["events"], heads, empty="  nothing happened yet")
    for op in story["waiting"]:
        later = f", not before {show(op['not_before'])}" if op["not_before"] else ""
        error = f": {op['error']}" if op["error"] else ""
        out.print(
            Text(f"  {op['action']} is {op['state']}, tried {op['attempts']} times{later}{error}"), soft_wrap=True
        )


def _find(engine: Engine, wanted: str) -> str:
    found = find_proposals(engine, wanted)
    if wanted in found:
        return wanted
    if not found:
        fail(f'no proposal {wanted!r}; `civicsync query "SELECT key, title FROM proposals"` lists them')
    if len(found) > 1:
        fail(f"{len(found)} proposals fit {wanted!r}; name one by its key: {', '.join(found[:5])}")
    return found[0]


def _print(story: dict[str, Any]) -> None:
    proposal, instance = story["proposal"], story["instance"]
    out.print(Text(proposal["title"] or "(no title)", style="bold"))
    lines = [
        ("key", proposal["key"]),
        (
            "from",
            f"{instance['platform']} {instance['version'] or instance['dialect']}, {instance['url']}"
            if instance
            else "–",
        ),
        ("in", " > ".join(each["name"] or each["key"] for each in story["spaces"]) or "–"),
        ("address", proposal["url"]),
        ("state", f"{proposal['state']} (there: {show(proposal['native_state'])})"),
        (
            "counters",
            ", ".join(f"{n} {show(proposal[n])}" for n in ("supports", "opposes", "endorsements", "comments")),
        ),
        ("created", proposal["created_at"]),
        ("first seen", proposal["first_seen_at"]),
        ("changed", f"{show(proposal['changed_at'])}, version {proposal['version']}"),
        ("confirmed", f"{show(story['confirmed_at'])}, {_BY.get(story['confirmed_by'], 'never')}"),
        ("comments", f"{story['comments_stored']} stored"),
    ]
    if proposal["gone_at"] is not None:
        lines.append(("gone", f"{show(proposal['gone_at'])}: {proposal['gone_reason']}"))
    elif proposal["missing_runs"]:
        lines.append(("missing", f"not seen by the last {proposal['missing_runs']} complete sweep(s)"))
    for name, value in lines:
        out.print(Text(f"  {name:12}{show(value)}"), soft_wrap=True)
    for text in story["texts"]:
        machine = ", machine translation" if text["machine"] else ""
        out.print(Text(f"\n[{text['locale']}{machine}] {text['title']}", style="bold"))
        out.print(Text(text["plain"][:1200] + ("…" if len(text["plain"]) > 1200 else "")), soft_wrap=True)
    _print_history(story)


def _print_history(story: dict[str, Any]) -> None:
    if story["versions"]:
        versions = [
            {**each, "titles": "; ".join(f"[{t['locale']}] {t['title']}" for t in each["texts"] or ())}
            for each in story["versions"]
        ]
        heads = {"version": "version", "state": "state", "seen_from": "from", "seen_until": "until", "titles": "title"}
        print_table(versions, heads, empty="", title="\nEarlier versions")
    heads = {
        "seen_at": "seen",
        "supports": "supports",
        "opposes": "opposes",
        "endorsements": "endorsements",
        "comments": "comments",
    }
    print_table(story["tallies"], heads, empty="", title="\nCounters over time")
    if story["answers"]:
        heads = {"kind": "kind", "state": "state", "answered_at": "when", "plain": "text"}
        print_table(story["answers"], heads, empty="", title="\nAnswers")
    for publication in story["publications"]:
        _print_publication(publication)
