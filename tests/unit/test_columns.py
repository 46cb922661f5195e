"""The registry of columns and the database say the same, on both databases; each counter has one meaning; nothing names a person."""

import re
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, inspect, text

from civicsync.analysis.columns import VIEWS, Personal, Type, View
from civicsync.connectors.contract.reading import KINDS
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, Page
from civicsync.core.records import Counters, Proposal, Space, Text
from civicsync.core.schema.views import NAMES, SCHEMA
from civicsync.core.store.store import InstanceStore

_TYPES = {
    Type.TEXT: r"text|varchar.*|string|null",
    Type.INTEGER: r"integer|bigint|null",
    Type.NUMBER: r"float|double.*|real|null",
    Type.BOOLEAN: r"boolean|null",
    Type.MOMENT: r"datetime|timestamp.*|null",
    Type.DATE: r"date|null|text",
    Type.JSON: r"json|jsonb|null",
}


def test_every_view_is_described_and_every_description_is_a_view() -> None:
    assert set(VIEWS) == set(NAMES)


def test_the_columns_of_every_view_are_those_of_the_registry(engine: Engine) -> None:
    schema = SCHEMA if engine.dialect.name == "postgresql" else None
    found = inspect(engine)
    for name, view in VIEWS.items():
        columns = found.get_columns(name, schema)
        assert [each["name"] for each in columns] == [each.name for each in view.columns], name
        if schema is None:
            continue  # SQLite tells no type of an expression
        for column, there in zip(view.columns, columns, strict=True):
            assert re.fullmatch(_TYPES[column.type], str(there["type"]).lower()), (name, column.name, there["type"])


def test_an_analyst_finds_every_view_by_its_name_alone(engine: Engine) -> None:
    with engine.connect() as connection:
        for name in VIEWS:
            connection.execute(text(f"SELECT * FROM {name}")).all()


def test_internals_and_views_have_schemas_of_their_own(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no schemas; `export database` makes a file with the views alone")
    found = inspect(engine)
    assert set(found.get_view_names(SCHEMA)) == set(NAMES)
    assert not found.get_table_names(SCHEMA)
    assert not found.get_view_names("public")


@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_every_column_has_words_in_both_languages(view: View) -> None:
    assert view.en
    assert view.nl
    assert len({each.name for each in view.columns}) == len(view.columns)
    for column in view.columns:
        assert column.en, column.name
        assert column.nl, column.name
        assert bool(column.null_en) == bool(column.null_nl), column.name
        # A number without a unit is a place on a list, a number of a record, or a sign.
        unitless = {"rank", "alignment", "id", "publication_id"}
        if column.type in {Type.INTEGER, Type.NUMBER} and column.name not in unitless:
            assert column.unit, column.name
    names = [each.name for each in view.columns]
    assert set(view.key) <= set(names)
    for reference in view.references:
        assert set(reference.columns) <= set(names)
        assert set(reference.their) <= {each.name for each in VIEWS[reference.view].columns}


@pytest.mark.parametrize("counter", ["supports", "opposes", "endorsements", "participants", "proposals", "answered"])
def test_a_counter_is_defined_once_but_where_a_view_says_otherwise(counter: str) -> None:
    meanings = {
        view.column(counter).en: view.name
        for view in VIEWS.values()
        if any(each.name == counter for each in view.columns)
    }
    own = {"supports": 3}.get(counter, 1)  # of a proposal, frozen, and together in a process
    assert len(meanings) == own, meanings


def test_no_view_has_a_column_that_names_a_person_and_no_public_view_tells_people_apart() -> None:
    for view in VIEWS.values():
        classes = {each.personal for each in view.columns}
        assert Personal.DIRECT not in classes
        if view.public:
            assert Personal.PSEUDONYM not in classes
    names = {each.name for view in VIEWS.values() for each in view.columns}
    assert not names & {"email", "phone", "ip", "ssn", "author_name", "user_agent", "avatar"}


def test_what_sqlite_stores_fits_the_types(sqlite: Engine) -> None:
    """A moment is text there: it must read as one."""
    clock = FakeClock()
    space = Space(kind="component", id="1", names={"nl": "Ruimte"})
    record = Proposal(
        id="1",
        space=space.ref,
        author="f" * 32,
        url="https://a.example/1",
        texts=(Text(locale="nl", title="T", plain="p"),),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    store = InstanceStore(
        sqlite, "toy", ["nl"], clock, kinds={**KINDS, "spaces": ("process", "component"), "areas": ("scope",)}
    )
    store.write(Page("s", [Item(record.ref, b"1" * 16, lambda: [record, space], Counters(supports=3))]))
    with sqlite.connect() as connection:
        assert connection.execute(text("SELECT reason FROM quarantine")).all() == []
        row = connection.execute(text("SELECT * FROM proposals")).mappings().one()
        daily = connection.execute(text("SELECT day FROM supports_daily")).scalar_one()
    assert date.fromisoformat(daily) == clock.now().date()
    for column in VIEWS["proposals"].columns:
        value = row[column.name]
        if column.type is Type.MOMENT and value is not None:
            datetime.fromisoformat(value)
        if not column.null_en:
            assert value is not None, column.name
