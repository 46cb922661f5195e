"""Exchanges with a real Your Priorities judge the sandbox, and the reader's mapping runs over all that they hold."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.connectors.testing.messages import Request
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load
from civicsync.connectors.testing.sandbox.sandbox import NoAnswer
from civicsync.connectors.your_priorities import CONNECTOR
from civicsync.connectors.your_priorities.mapping import Mapper
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.core.items import Item
from civicsync.core.records import Answer, Comment, Proposal, State

RECORDINGS = load(Path(__file__).parent.parent / "recordings" / "your-priorities.jsonl")
READS = [each for each in RECORDINGS if each.request["method"] in {"GET", "OPTIONS"}]
"""Whatever else was sent judges the sandbox in test_your_priorities_write_recordings."""

BEFORE_SET_UP, SET_UP = "2026-11-23T07:49:30.000Z", "2026-11-23T07:50:30.000Z"
WALK, LATER, END = "2026-11-23T07:55:00.000Z", "2026-11-23T08:01:30.000Z", None
"""The instance moved on while it was recorded; most reads are of `WALK`."""
MOMENTS = {"001": BEFORE_SET_UP, "017": SET_UP, "276": LATER, "354": LATER, "432": LATER, "500": LATER, "411": LATER}
MOMENTS |= dict.fromkeys(("200", "226", "551", "520"), END)

SIGNED_IN = {
    "014-isloggedin-yes": 1,
    "017-adminRights-after": 1,
    "212-post-get-deleted-as-admin": 1,
    "214-post-get-blocked-as-admin": 1,
    "215-post-get-blocked-as-author": 2,
    "217-post-get-closed-group-admin": 1,
    "231-community-get-as-admin": 1,
    "241-domain-get-as-admin": 1,
    "275-news-feeds-logged-in": 2,
}
"""Whose session it was: the cookies in the recordings are redacted."""

TOOL = "a tool of administrators with personal data; the sandbox lets nobody in"
KEY = "an API key or the operator's master key, which reading does not use"
EXCEPTIONS = {
    "017-adminRights-after": "groups without a recorded date stand for closed ones and exist from the start",
    "231-community-get-as-admin": "groups with equally many members come in another order than in 230, a minute before",
    "233-community-posts": "posts with equally many votes come in the database's order; a route with a bug that is never asked",
    "241-domain-get-as-admin": "what only a domain's administrator is shown (secret keys)",
    "313-gzip": "the recorded body is a placeholder; the harness reads compressed answers elsewhere",
    "324-externalIds-unknown-with-key": KEY,
    "325-session-obtained-from-api-key": KEY,
    "330-externalIds-not-admin": KEY,
    "332-externalIds-points": KEY,
    "343-masterkey-read-closed-group": KEY,
    "400-export-group-csv-admin": TOOL,
    "403-group-users-admin": TOOL,
    "404-moderate-all-content": "judged by its keys in test_the_list_of_moderators",
    "405-flagged-content": TOOL,
    "406-getFraudAudits": TOOL,
    "406b-getFraudAudits-enabled": TOOL,
    "407b-fraud-action-status": TOOL,
    "409-report-progress": TOOL,
    "410-stats-votes": TOOL,
    "411-sitemap": "compared as a set in test_sitemap: entries have no order",
    "415-export-users": TOOL,
    "416-export-logins": TOOL,
    "433-membershipsWithNames": "one's own memberships, which reading does not ask for",
}


def sandbox_of(recording: Recording) -> YourPrioritiesSandbox:
    """The recorded instance as it was then."""
    sandbox = YourPrioritiesSandbox(size=0)
    sandbox.load_recorded("2026-07", MOMENTS.get(recording.name[:3], WALK))
    if recording.name in SIGNED_IN:
        sandbox.sessions["s%3AREDACTED.SIGNATURE"] = SIGNED_IN[recording.name]
    return sandbox


def asked(recording: Recording, sandbox: YourPrioritiesSandbox) -> Request:
    """The recorded request; an ETag is that of the sandbox's own earlier answer, as it was of the real one's."""
    request = recording.asked()
    if "if-none-match" in request.headers:
        first = {name: value for name, value in request.headers.items() if name != "if-none-match"}
        tag = sandbox.answer(Request.of("GET", request.path, headers=first.items())).header("etag")
        request = Request.of("GET", request.path, headers={**first, "if-none-match": tag or ""}.items())
    return request


def differences(recording: Recording) -> list[str]:
    """What the sandbox answers differently."""
    sandbox = sandbox_of(recording)
    try:
        return compare(recording, sandbox.answer(asked(recording, sandbox)))
    except NoAnswer:
        return [] if recording.response is None else ["no answer"]


def test_sandbox_answers_alike(record_property: Any) -> None:
    alike = 0
    for recording in READS:
        found = differences(recording)
        if recording.name in EXCEPTIONS:
            assert found, f"{recording.name} is no exception any more"
            continue
        assert not found, f"{recording.name}: {found[:4]}"
        alike += 1
    expected = len(READS) - len(EXCEPTIONS)
    record_property("recordings", f"{alike} of {expected} alike, {len(EXCEPTIONS)} excused")


def test_exceptions_name_recordings() -> None:
    assert EXCEPTIONS.keys() | SIGNED_IN.keys() <= {each.name for each in READS}


def test_sitemap() -> None:
    recording = next(each for each in READS if each.name == "411-sitemap")
    sandbox = sandbox_of(recording)
    own = set(re.findall(r"<loc>([^<]*)</loc>", sandbox.answer(recording.asked()).body.decode()))
    assert recording.response is not None
    real = set(re.findall(r"<loc>([^<]*)</loc>", recording.response["text"]))
    spaces = {each for each in real if "/post/" not in each}
    assert {each for each in own if "/post/" not in each} == spaces
    # Some posts of the real one show nowhere else, so the recorded city has no row of them; it never lists more.
    assert {each for each in own if "/post/" in each} <= real


def test_the_list_of_moderators() -> None:
    """Its texts and counters are those of other moments; what an entry holds is compared, as far as the writer looks at it."""
    recording = next(each for each in READS if each.name == "404-moderate-all-content")
    sandbox = YourPrioritiesSandbox(size=0)
    sandbox.load_recorded("2026-07", WALK)
    sandbox.sessions["s%3AREDACTED.SIGNATURE"] = 1
    own = msgspec.json.decode(sandbox.answer(recording.asked()).body)
    keys = {"id", "type", "status", "user_id", "name", "description", "created_at"}
    for kind in ("post", "point"):
        shown, real = (next(one for one in each if one["type"] == kind) for each in (own, recording.json))
        wanted = keys - ({"description"} if kind == "point" else set())
        assert wanted <= real.keys() and wanted <= shown.keys()
        assert {name: type(real[name]) for name in wanted} == {name: type(shown[name]) for name in wanted}


# The mapping ---------------------------------------------------------------------------------------------------------


def nodes(recording: Recording, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a list in an answer."""
    found = recording.json
    listed = found if isinstance(found, list) else found.get(name) if isinstance(found, dict) else None
    yield from (one for one in listed or [] if isinstance(one, dict))


async def mapper() -> Mapper:
    async with reading(CONNECTOR, YourPrioritiesSandbox(size=0)) as (_, context):
        return Mapper(context)


def built(item: Item) -> Any:
    assert item.build is not None
    return next(record for record in item.build() if record.ref == item.ref)


async def test_every_recorded_post_is_understood() -> None:
    own, seen = await mapper(), 0
    for recording in READS:
        path = recording.request["path"].partition("?")[0]
        listed = re.fullmatch(r"/api/groups/\d+/posts/.*", path)
        single = re.fullmatch(r"/api/posts/\d+", path) and isinstance(recording.json, dict)
        if not listed and not single:
            continue
        for node in nodes(recording, "posts") if listed else [recording.json]:
            record = built(own.post(node, None))
            assert isinstance(record, Proposal) and record.created_at is not None
            assert record.texts[0].title and record.space == f"group/{node['group_id']}"
            assert (record.latitude is None) == (node["location"] is None)
            seen += 1
    assert seen > 100


async def test_every_recorded_argument_is_understood() -> None:
    own, seen = await mapper(), 0
    for recording in READS:
        if not re.fullmatch(
            r"/api/(posts/\d+/newPoints|points/\d+/comments)", recording.request["path"].partition("?")[0]
        ):
            continue
        for node in nodes(recording, "points"):
            record = built(own.point(node, {}))
            assert isinstance(record, Comment)
            assert record.alignment == node["value"] and record.text.plain == node["PointRevisions"][-1]["content"]
            seen += 1
    assert seen == 6


async def test_every_recorded_official_text_is_understood() -> None:
    own, texts = await mapper(), {}
    for recording in READS:
        if "/api/activities/" in recording.request["path"]:
            for node in nodes(recording, "activities"):
                item = own.status_change(node)
                assert (item is None) == (node["type"] != "activity.post.status.change")
                if item is not None:
                    texts[item.ref] = built(item)
    assert {
        ref: (record.state, record.native_state) for ref, record in texts.items() if isinstance(record, Answer)
    } == {
        "status_change/1": (State.ACCEPTED, "2"),
        "status_change/2": (State.REJECTED, "-2"),
        "status_change/3": (State.IN_PROGRESS, "-1"),
        "status_change/4": (None, None),
    }


async def test_every_recorded_space_and_category_is_understood() -> None:
    own = await mapper()
    kinds: dict[str, int] = {}
    for recording in READS:
        path, found = recording.request["path"], recording.json
        if not isinstance(found, dict) or recording.headers.get("content-type", "").startswith("text/html"):
            continue
        spaces: list[tuple[str, dict[str, Any]]] = []
        if re.fullmatch(r"/api/groups/\d+(/groupFolder)?", path):
            spaces.append(("group", found["group"]))
            spaces += [("group", one) for one in found["group"].get("Groups", [])]
            for one in found["group"]["Categories"]:
                assert built(own.category(one, str(found["group"]["id"]))).names
        elif re.fullmatch(r"/api/communities/\d+", path):
            spaces += [("community", found), *(("group", one) for one in found["Groups"])]
        elif path == "/api/domains":
            spaces.append(("domain", found["domain"]))
        for kind, node in spaces:
            space = built(own.space(kind, node))
            assert space.names["und"] == node["name"]
            kinds[kind] = kinds.get(kind, 0) + 1
    assert kinds.keys() == {"group", "community", "domain"}


async def test_the_recorded_instance_can_be_pulled() -> None:
    sandbox = YourPrioritiesSandbox(size=0)
    sandbox.load_recorded("2026-07", WALK)
    store = MemoryStore()
    async with reading(CONNECTOR, sandbox, url="http://betrabaer.is") as (reader, _):
        await pull(reader, store)
    public = {row["id"] for row in sandbox.truth()["proposals"] if row["public"]}
    assert {ref.partition("/")[2] for ref in store.alive("proposal")} == public
    assert not store.quarantine and len(store.alive("point")) >= 29
