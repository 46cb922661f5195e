"""The traps of Your Priorities' rows: texts, numbers that are texts, what must never be copied."""

from typing import Any

import pytest

from civicsync.connectors.testing.harness import reading
from civicsync.connectors.your_priorities import CONNECTOR
from civicsync.connectors.your_priorities.mapping import Mapper, picture, place, remap, state_of
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.core.items import Item, MappingError
from civicsync.core.records import Answer, Attachment, Author, Category, Comment, Proposal, State

USER = {"id": 7, "name": "Jón Jónsson", "facebook_id": "fb", "UserProfileImages": []}


def a_post(**values: Any) -> dict[str, Any]:
    return {
        "id": 5,
        "name": "Hjólastígar",
        "description": "Fleiri takk.",
        "official_status": 0,
        "counter_endorsements_up": 4,
        "counter_endorsements_down": 1,
        "counter_points": 3,
        "group_id": 1,
        "language": None,
        "category_id": 2,
        "location": None,
        "created_at": "2026-11-23T07:52:22.609Z",
        "public_data": {},
        "User": USER,
        "Group": {"id": 1, "configuration": {}},
        "PostHeaderImages": [],
        "data": {"contact": {"email": "leak@example.is"}},
        "ip_address": "192.0.2.7",
        **values,
    }


def a_point(**values: Any) -> dict[str, Any]:
    return {
        "id": 9,
        "post_id": 5,
        "value": -1,
        "content": "Fyrst",
        "counter_quality_up": 2,
        "counter_quality_down": 0,
        "created_at": "2026-11-23T07:54:29.563Z",
        "updated_at": "2026-11-24T07:54:29.563Z",
        "language": "en-US",
        "parent_point_id": None,
        "User": USER,
        "PointRevisions": [
            {"content": "Fyrst", "created_at": "2026-11-23T07:54:29.574Z"},
            {"content": "Svo", "created_at": "2026-11-23T08:00:00.000Z"},
        ],
        **values,
    }


async def mapper(names: str = "never") -> Mapper:
    async with reading(CONNECTOR, YourPrioritiesSandbox(size=0), names=names) as (_, context):
        return Mapper(context)


def records(item: Item) -> list[Any]:
    assert item.build is not None
    return list(item.build())


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0, State.OPEN),
        (1, State.IN_PROGRESS),
        (-1, State.IN_PROGRESS),
        (2, State.ACCEPTED),
        (-2, State.REJECTED),
        (7, State.OTHER),
        (-991, State.OTHER),
        (None, State.OTHER),
    ],
)
async def test_states(status: int | None, state: State) -> None:
    record = records((await mapper()).post(a_post(official_status=status), None))[0]
    assert record.state == state == state_of(status)
    assert record.native_state == (None if status is None else str(status))


async def test_texts_are_plain_as_typed() -> None:
    body = "<p>a</p>\r\n<script>alert(1)</script> a < b && c \u202egnirts 👨‍👩‍👧‍👦"
    title = "<b>HTML</b> &  <script>alert('x')</script>\n{{7*7}}"
    record = records((await mapper()).post(a_post(name=title, description=body), None))[0]
    text = record.texts[0]
    assert text.title == "<b>HTML</b> & <script>alert('x')</script> {{7*7}}"
    assert text.plain == "<p>a</p>\n<script>alert(1)</script> a < b && c gnirts 👨‍👩‍👧‍👦"
    assert "<script" not in text.html and text.html.startswith("<p>&lt;p&gt;a")
    assert record.texts[0].locale == "und"


async def test_language_only_when_somebody_had_it_translated() -> None:
    own = await mapper()
    for language, expected in ((None, "und"), ("??", "und"), ("is", "is"), ("", "und")):
        assert records(own.post(a_post(language=language), None))[0].texts[0].locale == expected
    # A point's language is that of the browser, not of the text.
    assert records(own.point(a_point(), {}))[0].text.locale == "und"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({}, None),
        ({"latitude": 64.15, "longitude": -21.93}, [64.15, -21.93]),
        ({"longitude": "-21.93", "latitude": "64.15", "map_zoom": 14, "mapType": "satellite"}, [64.15, -21.93]),
        ({"latitude": 640, "longitude": 1}, None),
        ({"latitude": None, "longitude": 1}, None),
        ({"latitude": "x", "longitude": 1}, None),
        ({"latitude": float("nan"), "longitude": 1}, None),
        ("64.15,-21.93", None),
    ],
)
def test_places(value: Any, expected: Any) -> None:
    assert place(value) == expected


def test_pictures() -> None:
    formats = '["https://media.example/large.png","https://media.example/small.png"]'
    old = {"id": 1, "formats": '["https://media.example/old.png"]'}
    assert picture([old, {"id": 2, "formats": formats}]) == {"id": 2, "url": "https://media.example/large.png"}
    assert picture([{"id": 2, "formats": '["https://s3.example/a.png?X-Amz-Signature=1"]'}]) is None
    for broken in (None, [], "x", [None], [{"id": 1, "formats": "not json"}], [{"id": 1, "formats": None}]):
        assert picture(broken) is None
    assert picture([{"id": 2, "formats": '["javascript:alert(1)"]'}]) is None


async def test_picture_is_an_attachment() -> None:
    image = {"id": 2, "updated_at": "2026-11-23T07:52:22.609Z", "formats": '["https://media.example/a.png"]'}
    found = [
        one
        for one in records((await mapper()).post(a_post(PostHeaderImages=[image]), None))
        if isinstance(one, Attachment)
    ]
    assert [(one.kind, one.id, one.owner, one.url) for one in found] == [
        ("image", "2", "proposal/5", "https://media.example/a.png")
    ]


async def test_answers_to_the_groups_questions_follow_the_text() -> None:
    questions = [
        {"type": "textField", "text": "Kostnaður?", "uniqueId": "cost"},
        {"type": "textheader", "text": "Fyrirsögn", "uniqueId": "head"},
        {"type": "textField", "text": "Tómt?", "uniqueId": "empty"},
    ]
    answers = [
        {"uniqueId": "empty", "value": " "},
        {"uniqueId": "cost", "value": "5 kr."},
        {"uniqueId": "gone", "value": "x"},
    ]
    node = a_post(
        public_data={"structuredAnswersJson": answers, "tags": "a,b"},
        Group={"id": 1, "configuration": {"structuredQuestionsJson": questions}},
    )
    assert records((await mapper()).post(node, None))[0].texts[0].plain == "Fleiri takk.\n\nKostnaður?\n5 kr."


async def test_a_point_is_its_last_revision() -> None:
    own = await mapper()
    item = own.point(a_point(), {})
    record = records(item)[0]
    assert isinstance(record, Comment)
    assert (record.text.plain, record.alignment, record.target, record.parent) == ("Svo", -1, "proposal/5", None)
    assert record.updated_at is not None and record.updated_at.hour == 8
    assert item.counters is not None and (item.counters.supports, item.counters.opposes) == (2, 0)
    once = a_point(PointRevisions=[{"content": "Fyrst", "created_at": "2026-11-23T07:54:29.574Z"}])
    assert records(own.point(once, {}))[0].updated_at is None
    assert records(own.point(a_point(PointRevisions=[]), {}))[0].text.plain == "Fyrst"
    assert records(own.point(a_point(value=0, parent_point_id=3), {}))[0].parent == "point/3"


async def test_digests_cover_content_and_nothing_that_wanders() -> None:
    own = await mapper()
    first = own.post(a_post(), "3|3")
    same = a_post(counter_endorsements_up=99, counter_points=8, counter_flags=3, User={**USER, "name": "Annað nafn"})
    assert own.post(same, None).digest == first.digest
    assert own.post(same, None).counters != first.counters
    for other in ({"name": "x"}, {"official_status": 2}, {"category_id": None}, {"group_id": 4}, {"User": None}):
        assert own.post(a_post(**other), None).digest != first.digest
    point = own.point(a_point(), {})
    assert own.point(a_point(updated_at="2027-01-01T00:00:00.000Z", counter_quality_up=9), {}).digest == point.digest


async def test_counters_that_the_site_hides_are_left_empty() -> None:
    own = await mapper()
    for flag in ("hideVoteCount", "hideVoteCountUntilVoteCompleted"):
        counters = own.post(a_post(Group={"configuration": {flag: True}}), None).counters
        assert counters is not None and (counters.supports, counters.opposes, counters.comments) == (None, None, 3)
    counters = own.post(a_post(Group={"configuration": {"hideDebate": True}}), None).counters
    assert counters is not None and (counters.supports, counters.opposes, counters.comments) == (4, 1, None)


@pytest.mark.parametrize(
    ("configuration", "public_data", "shown"),
    [
        ({}, {}, False),
        ({"showWhoPostedPosts": True}, {}, True),
        ({"showWhoPostedPosts": True, "hidePostAuthor": True}, {}, False),
        ({}, {"displayUserNameWithIdea": True}, True),
        ({"hidePostAuthor": True}, {"displayUserNameWithIdea": True}, False),
        ({"showWhoPostedPosts": True}, None, True),
    ],
)
async def test_names(configuration: dict[str, Any], public_data: Any, shown: bool) -> None:
    node = a_post(Group={"configuration": configuration}, public_data=public_data)
    public, never = await mapper("public"), await mapper()
    authors = [one for one in records(public.post(node, None)) if isinstance(one, Author)]
    assert [one.name for one in authors] == (["Jón Jónsson"] if shown else [])
    assert [one.name for one in records(never.post(node, None)) if isinstance(one, Author)] == [None]
    assert records(public.post(node, None))[0].author == records(never.post(node, None))[0].author
    assert "Jón" not in str(public.post(node, None).kept())


async def test_nothing_private_is_copied() -> None:
    own = await mapper()
    for item in (
        own.post(a_post(), None),
        own.point({**a_point(), "ip_address": "10.0.0.1", "data": {"x": "leak"}}, {}),
    ):
        kept = str(item.kept()) + str([one.model_dump() for one in records(item)])
        for secret in ("leak", "192.0.2.7", "10.0.0.1", "Jón", "'7'", "fb"):
            assert secret not in kept


async def test_official_texts() -> None:
    own = await mapper()
    activity: dict[str, Any] = {
        "post_id": 20,
        "created_at": "2026-11-23T07:54:34.483Z",
        "Post": {"id": 20},
        "User": USER,
        "PostStatusChange": {
            "id": 4,
            "subject": None,
            "content": "Samþykkt.",
            "deleted": False,
            "status_changed_to": "2",
        },
    }
    item = own.status_change(activity)
    assert item is not None
    record = records(item)[0]
    assert isinstance(record, Answer)
    assert (record.ref, record.target, record.state, record.native_state) == (
        "status_change/4",
        "proposal/20",
        State.ACCEPTED,
        "2",
    )
    assert record.answered_at is not None
    assert own.status_change({**activity, "Post": None}) is None
    assert own.status_change({**activity, "PostStatusChange": None}) is None
    odd = {**activity, "PostStatusChange": {**activity["PostStatusChange"], "status_changed_to": "7"}}
    assert records(own.status_change(odd))[0].state == State.OTHER


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"id": "x"}, "id"),
        ({"id": None}, "id"),
        ({"name": 5}, "name"),
        ({"description": {}}, "description"),
        ({"official_status": "2"}, "official_status"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"group_id": None}, "group_id"),
    ],
)
async def test_bad_posts_say_where(values: dict[str, Any], field: str) -> None:
    own = await mapper()
    with pytest.raises(MappingError) as caught:
        records(own.post(a_post(**values), None))
    assert caught.value.field == field


async def test_rebuild_from_what_an_item_keeps() -> None:
    async with reading(CONNECTOR, YourPrioritiesSandbox(size=0)) as (_, context):
        own = Mapper(context)
        category = {"id": 3, "name": "Börn", "language": None}
        group = {
            "id": 4,
            "name": "Hópur",
            "community_id": 1,
            "configuration": {"groupType": 1},
            "in_group_folder_id": 9,
        }
        items = [
            own.post(a_post(), None),
            own.point(a_point(), {}),
            own.category(category, "1"),
            own.space("group", group),
        ]
        for item in items:
            assert list(remap(context, item.ref, item.kept())) == records(item)
        assert isinstance(records(items[0])[0], Proposal) and isinstance(records(items[2])[0], Category)
        space = records(items[3])[0]
        assert (space.parent, space.native_type, space.url) == ("group/9", "pairwise", "http://127.0.0.1:9/group/4")
        with pytest.raises(MappingError):
            remap(context, "vote/1", {})
