"""A database with a little of everything, some of it hostile, for the tests of what people take away."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, insert

from civicsync.analysis.columns import VIEWS
from civicsync.analysis.exports import formats
from civicsync.analysis.exports.catalogue import Catalogue
from civicsync.analysis.exports.job import Job, Written
from civicsync.analysis.exports.snapshot import snapshot
from civicsync.core.schema.tables import (
    AnswerRow,
    CommentRow,
    InstanceRow,
    ProposalRow,
    ProposalTextRow,
    SpaceRow,
    TallyRow,
    VoteRow,
    table_of,
)

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
MADE = datetime(2026, 7, 1, 23, 30, 15, 250000, tzinfo=UTC)
"""Half past one in the night of the day after, in Amsterdam."""
PSEUDONYM = "c0ffee" * 5 + "c0"
HOSTILE = (
    '=HYPERLINK("https://evil.example","klik")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "goed;=2+3",
    "twee\nregels\n-3+4",
    "tab\t+1",
    "\uff1d1+1",
    "stuur \x1b[31m rood \x9b en \u202e om",
    "scheiding \x1f erin",
    'aan"halings"tekens, komma; puntkomma | streep',
    "<script>alert(1)</script> & _x0041_ ",
    "é à ü ß ð þ 漢 🙂",
    "-12",
)
CATALOGUE = Catalogue(
    title="Voorstellen van inwoners",
    description='Wat inwoners voorstelden; "met" <b>steun</b> \\ en antwoorden.\nTwee regels.',
    publisher_name="Gemeente Voorbeeld",
    publisher_uri="https://identifier.example/tooi/id/gemeente/gm0000",
    contact_name="Team Data",
    contact_mail="data@voorbeeld.example",
    licence="cc-by-4.0",
    landing_page="https://data.voorbeeld.example/participatie",
    files="https://data.voorbeeld.example/bestanden",
    spatial="https://sws.geonames.org/2759794/",
)


def _key(kind: str, number: object) -> str:
    return f"west/{kind}/{number}"


def _row(kind: str, number: object, **more: Any) -> dict[str, Any]:
    identity = {"key": _key(kind, number), "instance": "west", "kind": kind, "remote_id": str(number)}
    return {**identity, "first_seen_at": MADE, "changed_at": MADE, "confirmed_at": MADE, **more}


def fill(engine: Engine, *, more: int = 0) -> None:
    """Twelve hostile proposals (the first six with a place), comments, an answer, a budget with four projects; `more` plain proposals."""
    spaces = [
        _row("component", 1, name="Ideeën", url="https://west.example/c/1", names={"nl": "Ideeën"}),
        _row("budget", 7, name="Burgerbegroting 2026; noord", amount=100_000),
    ]
    proposals = [
        _row(
            "proposal",
            number,
            title=title,
            locale="nl",
            space_key=_key("component", 1),
            author=PSEUDONYM,
            official=number % 2 == 0,
            url=f"https://west.example/p/{number}",
            created_at=MADE,
            published_at=MADE,
            latitude=round(52.3702157 + number / 1000, 7) if number <= 6 else None,
            longitude=4.8951679 if number <= 6 else None,
            supports=number * 1000,
            amount=-5 if number == 1 else None,
        )
        for number, title in enumerate(HOSTILE, 1)
    ]
    proposals += [_row("proposal", 1000 + number, title=f"Plan {number}", author=PSEUDONYM) for number in range(more)]
    proposals += [
        _row(
            "project",
            number,
            title=title,
            space_key=_key("budget", 7),
            amount=cost,
            selected=selected,
            latitude=52.1,
            longitude=4.9,
        )
        for number, title, cost, selected in (
            (1, "Bankjes;  in het park ", 60_000, True),
            (2, 'Fiets"brug"', 50_000, False),
            (3, "Zonder prijs", None, False),
            (4, "Te duur", 200_000, False),
        )
    ]
    with engine.begin() as connection:

        def add(model: Any, rows: Sequence[dict[str, Any]]) -> None:
            connection.execute(insert(table_of(model)), [model(**row).model_dump() for row in rows])

        add(InstanceRow, [{"name": "west", "platform": "decidim", "url": "https://west.example"}])
        add(SpaceRow, spaces)
        add(ProposalRow, proposals)
        add(
            ProposalTextRow,
            [{"proposal_key": _key("proposal", 1), "locale": "nl", "title": HOSTILE[0], "plain": "a\n-b"}],
        )
        add(TallyRow, [{"proposal_key": _key("proposal", 1), "seen_at": MADE, "supports": 1}])
        add(
            CommentRow,
            [
                _row("comment", 1, target_key=_key("proposal", 1), author=PSEUDONYM, plain="=1", created_at=MADE),
                _row(
                    "comment", 2, target_key=_key("proposal", 999), plain="its proposal was never seen", created_at=MADE
                ),
            ],
        )
        add(
            AnswerRow,
            [_row("answer", 1, target_key=_key("proposal", 1), state="accepted", plain="Ja", answered_at=MADE)],
        )


def vote(engine: Engine, *projects: int) -> None:
    """A public vote for each of these projects, a day after the other."""
    rows = [
        _row("vote", number, target_key=_key("project", project), positive=True, cast_at=MADE + timedelta(days=number))
        for number, project in enumerate(projects)
    ]
    with engine.begin() as connection:
        connection.execute(insert(table_of(VoteRow)), [VoteRow(**row).model_dump() for row in rows])


@contextmanager
def job(engine: Engine, *views: str, **more: Any) -> Iterator[Job]:
    """A job over some views, at a fixed moment."""
    with snapshot(engine) as reading:
        yield Job(reading, tuple(VIEWS[name] for name in views), catalogue=CATALOGUE, now=NOW, **more)


def export(engine: Engine, kind: str, path: Path, *views: str, **more: Any) -> Written:
    """Export views as the command does."""
    named = views or tuple(each.name for each in formats.wanted(formats.FORMATS[kind], (), staff=False))
    with job(engine, *named, **more) as made:
        return formats.export(formats.FORMATS[kind], made, path)


AMSTERDAM = ZoneInfo("Europe/Amsterdam")
