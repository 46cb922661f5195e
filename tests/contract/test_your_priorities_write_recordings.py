"""Recorded writes to a real Your Priorities judge the sandbox: accounts, posts, votes, arguments, statuses, moderation.

A recording does not say who was signed in and what had been done before; `STAGE` says it. Nothing else is arranged.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load
from civicsync.connectors.testing.sandbox.sandbox import NoAnswer
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox

WRITES = [
    each
    for each in load(Path(__file__).parent.parent / "recordings" / "your-priorities.jsonl")
    if each.request["method"] not in {"GET", "OPTIONS"}
]
PASSWORD = "Sumar-2026!"
EMAILS = {1: "anna.admin@example.is", 2: "jon@example.is", 3: "sanne@example.nl", 4: "li@example.org"}
ADMIN, JON, SANNE, LI, BOT, ANONYMOUS = 1, 2, 3, 4, 5, 8

EXCLUDED = {
    r"020-.*|02[1-6]-.*|329-.*|331-.*": "spaces and their administrators: made by a person, never by a connector",
    r"32[0136]-.*": "an API key, or a session made of one: undocumented (docs/platforms/your-priorities.md 6)",
    r"34[0-2]-.*": "the operator's master key",
    r"07[56]-.*|43[01]-.*": "votes on arguments and ratings: votes are never copied",
    r"407-.*|408-.*": "tools of administrators with personal data",
    r"440-.*|443-.*": "moving a post and inviting people: a person's act",
    r"530-.*|540-.*": "pictures and news: only texts of proposals, statuses and arguments are published",
    r"550-.*": "the end of an account: a person's act",
}


@dataclass(frozen=True)
class Stage:
    """Who was signed in, and what was there."""

    user: int | None = None
    votes: tuple[tuple[int, int, int], ...] = ()
    """(post, user, value)"""
    at: str | None = "2026-11-23T07:55:00.000Z"
    production: bool = False
    configure: tuple[int, str, Any] | None = None
    owner: tuple[int, int] | None = None
    """(post, user): whose a post is that the recorded city holds as a stub."""
    later: tuple[int, str] | None = None
    """(argument, wording): the city holds the state after its edit."""


END = None
STAGE = {
    r"009-.*": Stage(production=True, at=END),
    r"003-.*": Stage(ADMIN),
    r"018-.*": Stage(ADMIN),
    r"030-.*|034-.*|035-.*|036-.*|037-.*|043-.*|044-.*": Stage(JON),
    r"031-.*|045-.*": Stage(SANNE),
    r"032-.*|033-.*|038-.*|039-.*|04[1268]-.*|049-.*|51\d-.*": Stage(LI),
    r"050-.*": Stage(SANNE, votes=((1, SANNE, 0),)),
    r"05[12]-.*": Stage(SANNE, votes=((1, SANNE, 1),)),
    r"053-.*": Stage(SANNE, votes=((1, SANNE, -1),)),
    r"054-.*": Stage(SANNE, votes=((1, SANNE, 0),)),
    r"055-.*": Stage(SANNE, owner=(61, LI)),
    r"056-.*": Stage(LI, votes=((1, LI, 1),)),
    r"057-.*": Stage(LI, votes=((1, LI, 0),)),
    r"058-.*|061-.*": Stage(LI),
    r"059-.*": Stage(LI, at=END, configure=(11, "canVote", None)),
    r"062-.*": Stage(LI, owner=(61, LI), votes=((61, LI, 1),)),
    r"070-.*": Stage(SANNE),
    r"07[1-4]-.*|08[01]-.*": Stage(LI, owner=(2, JON)),
    r"077-.*": Stage(SANNE),
    r"078-.*": Stage(JON),
    r"090-.*": Stage(JON),
    r"09[1-7]-.*": Stage(ADMIN),
    r"100-.*": Stage(JON),
    r"101-.*": Stage(SANNE),
    r"102-.*": Stage(JON),
    r"103-.*|10[45]-.*": Stage(LI, owner=(61, LI)),
    r"106-.*": Stage(ADMIN, owner=(61, LI)),
    r"110-.*": Stage(JON),
    r"111-.*": Stage(LI),
    r"112-.*|12[02]-.*": Stage(ADMIN),
    r"113-.*": Stage(JON),
    r"121-.*": Stage(LI),
    r"35[123]-.*": Stage(ANONYMOUS, at=END),
    r"44[12]-.*": Stage(LI),
    r"502-.*": Stage(JON),
}


def staged(recording: Recording) -> Stage:
    return next((stage for pattern, stage in STAGE.items() if re.fullmatch(pattern, recording.name)), Stage())


def excluded(recording: Recording) -> str | None:
    return next((why for pattern, why in EXCLUDED.items() if re.fullmatch(pattern, recording.name)), None)


def city(recording: Recording, stage: Stage) -> YourPrioritiesSandbox:
    """The recorded instance with the recorded accounts, and somebody signed in."""
    sandbox = YourPrioritiesSandbox(size=0)
    sandbox.load_recorded("2026-07", stage.at)
    sandbox.production = stage.production
    db = sandbox.database
    for own, email in EMAILS.items():
        db.users[own].update(email=email, password=PASSWORD)
    if recording.name.startswith("002-"):
        del db.users[ADMIN]
    if ANONYMOUS in db.users:
        db.users[ANONYMOUS]["profile_data"] = {"isAnonymousUser": True}
    if stage.owner is not None:
        own, user = stage.owner
        if own not in db.posts:
            sandbox.change("add_proposal", title="Flokkapróf", author=user)
            row = db.posts.pop(max(db.posts))
            row.update(id=own, category_id=1, public_data={"tags": "x"})
            row["data"]["publicPrivateData"] = {"a": 1}
            db.posts[own] = row
        db.posts[own]["user_id"] = user
    for post, user, value in stage.votes:
        db.vote(post, user, value, sandbox.database.posts[post]["created_at"])
    if stage.configure is not None:
        group, name, setting = stage.configure
        db.groups[group]["configuration"][name] = setting
    prepare(recording, sandbox)
    sandbox.sessions["s%3AREDACTED.SIGNATURE"] = stage.user
    return sandbox


def prepare(recording: Recording, sandbox: YourPrioritiesSandbox) -> None:
    """Rows that the recorded city holds as they were at its end."""
    db, name = sandbox.database, recording.name
    if name.startswith("009-"):
        for own in [each for each, row in db.posts.items() if db.visible(row)][:51]:
            db.vote(own, LI, 1, db.posts[own]["created_at"])
    if name.startswith(("110-", "111-", "112-")):
        for own in (17, 18):
            db.posts[own].update(deleted=False, status="published", user_id=JON)
    if name.startswith("113-"):
        db.posts[17].update(deleted=True, user_id=JON)
    if name.startswith("122-"):
        db.posts[19]["status"] = "blocked"
    if name.startswith("077-"):
        # It was read after this edit and two votes more.
        del db.points[2]["revisions"][1:]
    if name.startswith("080-"):
        row = dict(db.points[30])
        row.update(id=31, user_id=LI, revisions=list(row["revisions"]))
        db.add("points", row)


def differences(recording: Recording) -> list[str]:
    """What the sandbox answers differently."""
    sandbox = city(recording, staged(recording))
    asked = recording.asked()
    if staged(recording).production:
        asked = replace(asked, scheme=asked.headers.get("x-forwarded-proto", "http"))
    try:
        return compare(recording, sandbox.answer(asked))
    except NoAnswer:
        return [] if recording.response is None else ["no answer"]


@pytest.mark.parametrize(
    "recording", [each for each in WRITES if excluded(each) is None], ids=lambda each: str(each.name)
)
def test_sandbox_writes_alike(recording: Recording) -> None:
    assert not differences(recording)


def test_every_exclusion_excludes() -> None:
    names = [each.name for each in WRITES]
    for pattern in (*EXCLUDED, *STAGE):
        assert any(re.fullmatch(pattern, name) for name in names), pattern


def test_how_many(record_property: Any) -> None:
    judged = sum(excluded(each) is None for each in WRITES)
    record_property("recordings", f"{judged} of {len(WRITES)} writes judge, {len(WRITES) - judged} excluded by reason")
    assert (judged, len(WRITES)) == (89, 118)
