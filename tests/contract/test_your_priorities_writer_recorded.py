"""What the writer makes of a real Your Priorities' recorded answers: it believes what was done, and nothing else."""

import re
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from civicsync.connectors.contract.errors import CannotDo, MaybeDone
from civicsync.connectors.contract.writing import Copy, Draft, LocalText
from civicsync.connectors.testing.sandbox.recordings import Recording, load
from civicsync.connectors.testing.writing import writing
from civicsync.connectors.your_priorities import CONNECTOR
from civicsync.connectors.your_priorities.writer import YourPrioritiesWriter
from civicsync.core.clock import FakeClock

RECORDINGS = load(Path(__file__).parent.parent / "recordings" / "your-priorities.jsonl")
BY_NAME = {each.name: each for each in RECORDINGS}
CREATES = [
    each
    for each in RECORDINGS
    if re.fullmatch(r"/api/posts/\d+", each.request["path"])
    and each.request["method"] == "POST"
    and isinstance(each.request.get("body"), dict)
    and each.request["body"].get("name")
    and "masterkey" not in each.name
]


class Replay(httpx.AsyncBaseTransport):
    """Answers with recorded answers: the last rule whose pattern is in "METHOD path"."""

    def __init__(self) -> None:
        self.rules = [
            (r"GET .*/isloggedin", "009-login-production-plain-http"),
            (r"GET .*/adminRights", "016-adminRights-before"),
            (r"POST /api/users/login", "009-login-production-plain-http"),
            (r"DELETE .*/endorse", "062-endorse-delete-author-auto-vote"),
        ]
        self.extra: dict[str, Any] = {}
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        line = f"{request.method} {request.url.path}"
        self.asked.append(line)
        for pattern, answer in self.extra.items():
            if re.search(pattern, line):
                return answer if isinstance(answer, httpx.Response) else replayed(BY_NAME[answer])
        for pattern, name in self.rules:
            if re.search(pattern, line):
                return replayed(BY_NAME[name])
        return httpx.Response(404, text="Not Found")


def replayed(recording: Recording) -> httpx.Response:
    response = recording.response or {}
    body = response.get("json")
    content = msgspec.json.encode(body) if body is not None else str(response.get("text") or "").encode()
    kept = [(n, v) for n, v in recording.headers.items() if n in {"content-type", "set-cookie"}]
    return httpx.Response(response["status"], headers=kept, content=content)


def group_page() -> httpx.Response:
    """The recorded page of group 1."""
    listed = (each for each in RECORDINGS if (each.request["method"], each.request["path"]) == ("GET", "/api/groups/1"))
    return replayed(next(each for each in listed if isinstance(each.json, dict) and "group" in each.json))


async def created(recording: Recording, **extra: Any) -> tuple[Copy, Replay]:
    backend = Replay()
    backend.extra = {r"GET /api/groups/\d+$": group_page(), r"POST /api/posts/\d+$": recording.name, **extra}
    async with writing(
        CONNECTOR, backend, clock=FakeClock(), email="li@example.org", password="x", url="http://127.0.0.1:9"
    ) as (writer, _):
        assert isinstance(writer, YourPrioritiesWriter)
        writer.session._own = "4"
        body = recording.request["body"]
        text = LocalText(body["name"], "", body.get("description") or "")
        return await writer.create("group/1", Draft("is", {"is": text}, "[marker]")), backend


@pytest.mark.parametrize("recording", CREATES, ids=lambda each: str(each.name))
async def test_only_what_was_stored_as_sent_is_believed(recording: Recording) -> None:
    response = recording.response or {}
    row = recording.json or {}
    own = row.get("id")
    vote = {"endorsement": {"post_id": own, "value": 0}}
    unvoted = httpx.Response(200, json=vote)
    if response["status"] == 200 and (row["user_id"], row["group_id"]) == (4, 1) and "null-byte" not in recording.name:
        copy, backend = await created(recording, **{"DELETE .*/endorse": unvoted})
        assert copy.ref == f"proposal/{own}" and copy.complete
        assert backend.asked[-2:] == ["POST /api/posts/1", f"DELETE /api/posts/{own}/endorse"]
    else:
        # Of another account, of another group, changed on the way, or refused.
        with pytest.raises((MaybeDone, CannotDo)):
            await created(recording, **{"DELETE .*/endorse": unvoted})


@pytest.mark.parametrize(
    "name",
    [
        "062-endorse-delete-author-auto-vote",  # another post's: our own votes decide
        "054-endorse-delete-again",
        "055-endorse-delete-never-voted",
    ],
)
async def test_the_vote_is_back_when_our_own_votes_say_so(name: str) -> None:
    """In the recorded list of own votes post 3 has one, post 61 has none any more."""
    recording = BY_NAME["032-post-create-emoji"]
    with pytest.raises(MaybeDone):
        await created(recording, **{"DELETE .*/endorse": name})
    backend = Replay()
    backend.extra = {"DELETE .*/endorse": name}
    async with writing(CONNECTOR, backend, email="li@example.org", password="x", clock=FakeClock()) as (writer, _):
        done = await writer.create(
            "group/1", Draft("is", {"is": LocalText("a", "", "b")}, "m"), Copy("proposal/61", complete=False)
        )
        assert done.complete


async def test_who_we_are() -> None:
    async with writing(CONNECTOR, Replay(), email="li@example.org", password="x", clock=FakeClock()) as (writer, _):
        assert isinstance(writer, YourPrioritiesWriter)
        standing = await writer.check()
        me = await writer.session.me()
        assert standing.account == "4" and len(me.votes) == 51
        assert me.votes["61"].value == 0 and me.votes["61"].group == "1" and me.votes["1"].value == -1
        assert "50 votes" in standing.warnings[0]
        assert not {each.name: each.available for each in standing.capabilities}["official answers"]


@pytest.mark.parametrize("name", ["011-login-wrong-password", "012-login-unknown-user"])
async def test_a_refused_login(name: str) -> None:
    backend = Replay()
    backend.extra = {"POST /api/users/login": name}
    async with writing(CONNECTOR, backend, email="li@example.org", password="x", clock=FakeClock()) as (writer, _):
        with pytest.raises(CannotDo):
            await writer.check()


async def test_nobody_is_signed_in_without_a_cookie() -> None:
    backend = Replay()
    backend.extra = {"GET .*/isloggedin": "015-isloggedin-no"}
    async with writing(CONNECTOR, backend, email="li@example.org", password="x", clock=FakeClock()) as (writer, _):
        with pytest.raises(CannotDo, match="https"):
            await writer.check()


async def test_blocked_posts_and_marks_in_recorded_lists() -> None:
    backend = Replay()
    backend.extra = {
        "moderate_all_content": "404-moderate-all-content",
        "get_posts_with_public_private": "520-get_posts_with_public_private-anonymous",
    }
    async with writing(CONNECTOR, backend, email="li@example.org", password="x", clock=FakeClock()) as (writer, _):
        assert isinstance(writer, YourPrioritiesWriter)
        listed = BY_NAME["404-moderate-all-content"].json
        wanted = {(str(e["id"]), str(e["user_id"])) for e in listed if e["type"] == "post" and e["status"] == "blocked"}
        found = {(one.own, user) for user in "12345678" for one in await writer.lookup.blocked("1", user)}
        assert found == wanted
        assert await writer.lookup._marked("1", "decidim:42") == []
