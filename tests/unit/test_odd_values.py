"""Values that no platform should send, and some do: each is the trouble of its own record, and both databases take the same."""

import json
import random
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import Engine, text

from civicsync.connectors.contract.bounded_json import decode
from civicsync.connectors.contract.reading import KINDS
from civicsync.connectors.contract.values import Unread, counted, identity, mapped, moment, whole
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, MappingError, Page
from civicsync.core.records import Comment, Counters, Proposal, Record, Space, Text
from civicsync.core.schema import database
from civicsync.core.schema.database import migrate
from civicsync.core.store.quarantine import listed
from civicsync.core.store.store import InstanceStore
from civicsync.core.text import clean_html, rich, simple, tidy


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"\ud83d half", "\ufffd half"),
        (rb"\ude00", "\ufffd"),
        (rb"\uDE00", "\ufffd"),
        (rb"\ud83d\ude00", "😀"),
        (rb"a\u0000b", "a\ufffdb"),
        (rb"\\ud83d", r"\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd😀"),
    ],
)
def test_half_a_surrogate_and_nul_are_replaced_where_an_answer_is_decoded(written: bytes, read: str) -> None:
    assert decode(b'["' + written + b'"]') == [read]


_ESCAPES = re.compile(
    rb"(?P<kept>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)"
)


@given(
    st.lists(
        st.sampled_from(
            [
                rb"\ud83d",
                rb"\uDE00",
                rb"\ude00",
                rb"\u0000",
                rb"\\",
                rb"\ud7a3",
                rb"\uD83D",
                rb"\n",
                b"a",
                b"u0000",
                b"ud83d",
            ]
        )
    )
)
def test_escapes_are_read_in_the_order_in_which_they_stand(parts: list[bytes]) -> None:
    body = b'["' + b"".join(parts) + b'"]'
    told = _ESCAPES.sub(lambda found: found["kept"] or b"\\ufffd", body)
    assert decode(body) == json.loads(told)


def test_a_number_beyond_all_bounds_spoils_no_page() -> None:
    assert decode(b'{"a": 1e400, "b": 1}')["b"] == 1
    assert decode(b"[123456789012345678901234567890]") == [123456789012345678901234567890]
    with pytest.raises(ValueError, match="NaN"):
        decode(b"[1e400, NaN]")


@pytest.mark.parametrize("word", ["²", "٣", "1²", "", "-1", "1.0", "9" * 19, None, 5])
def test_only_plain_digits_are_a_number(word: Any) -> None:
    assert whole(word) is None
    assert whole("0017") == 17


@pytest.mark.parametrize("value", [None, True, -1, 3.5, "", "x", "²", 10**30, [], {}, "1 OR 1", '1"'])
def test_what_is_no_number_is_no_identity(value: Any) -> None:
    assert identity({"id": value}) is None
    assert identity([]) is identity(None) is None
    assert identity({"id": 7}) == identity({"id": "7"}) == "7"


@pytest.mark.parametrize(
    "value",
    ["0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-05:00", "0001-01-01", "3000-01-01", 5, [], "x", "2023-02-29"],
)
def test_times_that_no_platform_can_tell_of_are_none(value: Any) -> None:
    with pytest.raises(MappingError, match="not a time"):
        moment(value, "createdAt")


def test_a_time_without_a_zone_is_utc_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    for zone in ("America/Bogota", "UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert moment("2024-05-01T10:00:00", "createdAt") == datetime(2024, 5, 1, 10, tzinfo=UTC)
    monkeypatch.undo()
    time.tzset()
    assert moment("2024-02-29T10:00:00-05:00", "createdAt") == datetime(2024, 2, 29, 15, tzinfo=UTC)


@pytest.mark.parametrize("value", [3.5, 3.0, True, 2**63, "3"])
def test_a_counter_is_a_whole_number_that_fits(value: Any) -> None:
    with pytest.raises(MappingError):
        counted(value, "supports")
    with pytest.raises(ValidationError):
        Counters(supports=value)
    assert Counters(supports=counted(3_000_000_000, "supports")).supports == 3_000_000_000


@pytest.mark.parametrize(
    "year",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_a_record_refuses_what_a_database_cannot_take(year: datetime) -> None:
    for values in (
        {"created_at": year},
        {"amount": 2**70},
        {"native_state": "a\0b"},
        {"reference": "\ud800"},
        {"id": "x" * 400},
        {"categories": ("tag/\0",)},
        {"texts": (Text.model_construct(locale="n\0l"),)},
    ):
        with pytest.raises(ValidationError):
            Proposal.model_validate(
                {"id": "1", **values, **({"texts": [{"locale": "n\0l"}]} if "texts" in values else {})}
            )


def test_a_node_that_cannot_be_looked_at_goes_to_quarantine_or_to_one_note() -> None:
    def fail() -> Item:
        raise AttributeError("'list' object has no attribute 'get'")

    unread = Unread()
    odd = mapped("comment", {"id": 5}, fail, unread, "comments")
    assert odd is not None and odd.ref == "comment/5" and odd.build is not None
    with pytest.raises(AttributeError):
        odd.build()
    assert [mapped("comment", each, fail, unread, "comments") for each in (None, {"id": None}, [])] == [None] * 3
    assert unread.note() == "left out, as they have no number by which they could be known: 3 in comments"
    assert unread.note() is None


def store(engine: Engine, clock: FakeClock) -> InstanceStore:
    return InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)


ODD: dict[str, Any] = {
    "nul": "a\0b",
    "half": "\ud83d",
    "big": 10**400,
    "huge": 10**5000,
    "nan": float("nan"),
    "inf": float("inf"),
    "list": [1, "\0", {"\0": "\ud800"}],
    "other": {1, 2},
}


def test_quarantine_takes_anything_in_both_databases(engine: Engine, clock: FakeClock) -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]

    def bad() -> list[Record]:
        raise MappingError("title", "not a text")

    written = store(engine, clock).write(Page("s", [Item("proposal/1", b"1" * 16, bad, raw={**ODD, "deep": deep})]))
    assert written.quarantined == 1
    [kept] = listed(engine)
    assert kept["raw"]["nul"] == "a\ufffdb" and kept["raw"]["big"] == str(10**400) and kept["raw"]["nan"] == "nan"


@pytest.mark.parametrize("kind", ["OverflowError", "IndexError", "RecursionError"])
def test_whatever_a_mapping_raises_is_its_own_record_s(engine: Engine, clock: FakeClock, kind: str) -> None:
    def bad() -> list[Record]:
        raise {"OverflowError": OverflowError, "IndexError": IndexError, "RecursionError": RecursionError}[kind]("x")

    good = Item("proposal/2", b"2" * 16, lambda: [Proposal(id="2")])
    written = store(engine, clock).write(Page("s", [Item("proposal/1", b"1" * 16, bad), good]))
    assert (written.quarantined, written.created) == (1, 1)


@pytest.mark.parametrize("count", [1, 40])
def test_counters_have_64_bits_in_both_databases(engine: Engine, clock: FakeClock, count: int) -> None:
    large = 2**63 - 1
    items = [
        Item(
            f"proposal/{own}",
            b"1" * 16,
            lambda own=own: [Proposal(id=str(own))],
            Counters(supports=large, comments=3_000_000_000),
        )
        for own in range(count)
    ]
    items += [
        Item(
            f"comment/{own}",
            b"1" * 16,
            lambda own=own: [Comment(id=str(own), target="proposal/1")],
            Counters(supports=large),
        )
        for own in range(count)
    ]
    store(engine, clock).write(Page("s", items))
    with engine.connect() as connection:
        for view in ("proposals", "comments", "supports_over_time"):
            assert set(connection.execute(text(f"SELECT supports FROM {view}")).scalars()) == {large}


def test_an_older_database_gets_wider_counters_below_its_views(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL does not change the type of a column that a view shows: the views are made anew."""
    from civicsync.core.schema.database import open_engine, parse_url

    admin = open_engine(parse_url(postgres))
    name = f"older{random.randrange(10**9)}"
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    engine = open_engine(parse_url(postgres).set(database=name))
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(database.__file__).rpartition("/")[0] + "/migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        connection.execute(text("CREATE VIEW proposals AS SELECT supports FROM proposal"))
    migrate(engine)
    with engine.connect() as connection:
        kinds = "SELECT DISTINCT data_type FROM information_schema.columns WHERE column_name = 'supports'"
        assert set(connection.execute(text(kinds)).scalars()) == {"bigint"}
    engine.dispose()


@pytest.mark.parametrize(
    "hidden", ["&#8203;", "&#x202E;", "&#x200B;", "&#1;", "&rlm;", "&lrm;", "&#x61c;", "&#8294;", "&ZeroWidthSpace;"]
)
def test_an_entity_hides_no_character_that_deceives(hidden: str) -> None:
    made = rich("nl", "x", f"<p>be{hidden}ta</p>{hidden}len & meer")
    assert made.plain == "beta\nlen & meer"
    assert tidy(made.html) == made.html and clean_html(made.html) == made.html


def test_line_separators_are_line_breaks() -> None:
    assert simple("nl", "a\u2028b", "een\u2028twee\u2029drie").plain == "een\ntwee\ndrie"


def test_names_and_keys_are_bounded() -> None:
    with pytest.raises(ValidationError):
        Space(kind="section", id="1", names={"nl\0": "x"})
    with pytest.raises(ValidationError):
        Comment(id="1", target="proposal/" + "9" * 300)


def test_a_list_that_is_made_up_while_it_is_read_has_an_end() -> None:
    from civicsync.connectors.contract.errors import EndlessList
    from civicsync.connectors.contract.values import MOST_PAGES, Progress

    progress = Progress("posts")
    for _ in range(MOST_PAGES - 1):
        progress.page(new=True, goes_on=True)
    with pytest.raises(EndlessList, match="posts: the list does not go on"):
        progress.page(new=True, goes_on=True)
    again = Progress("posts")
    again.page(new=True, goes_on=True, cursor="A")
    with pytest.raises(EndlessList):
        again.page(new=True, goes_on=True, cursor="A")
    twice = Progress("posts")
    twice.page(new=False, goes_on=True)
    with pytest.raises(EndlessList):
        twice.page(new=False, goes_on=True)
