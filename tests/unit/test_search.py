"""Searching: what is typed never fails, what is stored is found, what was erased is nowhere. On both databases."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, text

from civicsync.analysis.search import Found, SearchError, refresh, scrub, search
from civicsync.analysis.search import index as index_module
from civicsync.analysis.search.find import MOST_HITS, snippet
from civicsync.analysis.search.words import MOST_TERMS, fold, understand
from civicsync.connectors.contract.reading import KINDS
from civicsync.core.clock import FakeClock
from civicsync.core.instances import forget, rename
from civicsync.core.items import Item, Page
from civicsync.core.records import Counters, Proposal
from civicsync.core.schema.database import file_of, open_engine, parse_url
from civicsync.core.schema.ledger_tables import PublicationRow
from civicsync.core.schema.tables import InstanceRow, ProposalRow, ProposalTextRow, SpaceRow, table_of
from civicsync.core.store.retention import purge
from civicsync.core.store.store import InstanceStore
from civicsync.core.text import rich

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def put(
    engine: Engine, ref: str, title: str, body: str = "", *, locale: str = "nl", instance: str = "west", **values: Any
) -> str:
    """A proposal with one text, as a pull writes them."""
    kind, own = ref.split("/")
    key = f"{instance}/{ref}"
    row = {
        "key": key,
        "instance": instance,
        "kind": kind,
        "remote_id": own,
        "title": title,
        "locale": locale,
        "state": "open",
    }
    with engine.begin() as connection:
        connection.execute(insert(table_of(ProposalRow)), {**row, **values})
        add_text(connection, key, title, body, locale)
    return key


def add_text(connection: Any, key: str, title: str, body: str, locale: str, machine: bool = False) -> None:
    row = {"proposal_key": key, "locale": locale, "machine": machine, "title": title, "html": body, "plain": body}
    connection.execute(insert(table_of(ProposalTextRow)), row)


def copy_of(engine: Engine, origin: str, copy: str) -> None:
    row = {
        "id": copy,
        "route": "r",
        "origin_key": origin,
        "target_instance": "east",
        "target_space": "s",
        "state": "sent",
    }
    with engine.begin() as connection:
        connection.execute(
            insert(table_of(PublicationRow)),
            {**row, "reason": "", "title": "", "marker": "", "copy_key": copy, "created_at": NOW, "changed_at": NOW},
        )


def keys(found: Found) -> list[str]:
    return [hit.key for hit in found.hits]


def execute(engine: Engine, sql: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(sql))


def count(engine: Engine, sql: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(sql)).scalar_one())


# What is typed ----------------------------------------------------------------------------------------------------------


def test_words_phrases_either_without_and_beginnings() -> None:
    wanted = understand('Fietspad "veilige straat" bomen OR árboles OR tree* -auto -"lange rij"')
    assert [[term.shown for term in group] for group in wanted.groups] == [
        ["fietspad"],
        ['"veilige straat"'],
        ["bomen", "árboles", "tree*"],
    ]
    assert [term.words for term in wanted.without] == [("auto",), ("lange", "rij")]
    assert wanted.groups[2][1].words == ("arboles",) and wanted.groups[2][2].prefix


@pytest.mark.parametrize(
    ("typed", "groups"),
    [
        ("", []),
        ("OR", []),
        ("-", []),
        ('"', []),
        ("* ** ((", []),
        ("OR fiets OR", [["fiets"]]),
        ('"open zin', [['"open zin"']]),
        ("fiets-pad", [['"fiets pad"']]),
        ("a:b NEAR(x) ^c {d}", [['"a b"'], ['"near x"'], ["c"], ["d"]]),
        ("'; DROP TABLE proposal --", [["drop"], ["table"], ["proposal"]]),
    ],
)
def test_nothing_that_is_typed_is_an_error(typed: str, groups: list[list[str]]) -> None:
    assert [[term.shown for term in group] for group in understand(typed).groups] == groups


def test_a_pasted_page_is_cut_and_it_is_said(sqlite: Engine) -> None:
    found = search(sqlite, " ".join(f"w{n}" for n in range(100)))
    assert found.notes == (f"only the first {MOST_TERMS} words were looked for",)


@pytest.mark.parametrize(
    ("said", "folded"), [("Straße", "straße"), ("EDUCACIÓ", "educacio"), ("þök", "þok"), ("e\u0301", "e")]
)
def test_accents_go_and_letters_stay(said: str, folded: str) -> None:
    assert fold(said) == folded


ODD = st.text(st.sampled_from("ab \"*-()^:{}'\\|&!<>é\u0301ßOR\n\t%;NEAR漢字\U0001f600"), max_size=30)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from civicsync.core.schema.database import migrate

    engine = open_engine(parse_url(f"sqlite:///{tmp_path_factory.mktemp('search') / 'odd.db'}"))
    migrate(engine)
    put(engine, "proposal/1", "Aab", "b é ß 漢字")
    yield engine
    engine.dispose()


@given(ODD)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_search_fails_on_sqlite(small: Engine, typed: str) -> None:
    search(small, typed)


def test_no_search_fails_on_either(engine: Engine) -> None:
    put(engine, "proposal/1", "Aab", "b é ß 漢字")
    for typed in (
        'a" OR "',
        "b -é",
        "ß*",
        "漢字",
        "a & !b | c <-> d",
        "%s :x $1",
        "\\",
        "a\\'b",
        "é\u0301 e\u0301",
        "x" * 5000,
    ):
        search(engine, typed)
    assert keys(search(engine, "漢字")) == ["west/proposal/1"]


# What is found ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def city(engine: Engine) -> Engine:
    with engine.begin() as connection:
        space = {"key": "west/component/1", "instance": "west", "kind": "component", "remote_id": "1", "name": "Ideeën"}
        connection.execute(insert(table_of(SpaceRow)), space)
    put(engine, "proposal/1", "Veilig fietspad", "Langs de school.", space_key="west/component/1", supports=5)
    put(engine, "proposal/2", "Plein met bomen", "En een fietspad ernaast, veilig voor iedereen.", state="accepted")
    put(engine, "debate/3", "Educación para todos", "Más árboles junto al río.", locale="es", instance="south")
    put(engine, "proposal/4", "Göngustígur við sjóinn", "Lýsing á kvöldin.", locale="is", instance="north")
    return engine


def test_the_title_weighs_more_and_all_words_must_be_there(city: Engine) -> None:
    assert keys(search(city, "veilig fietspad")) == ["west/proposal/1", "west/proposal/2"]
    assert keys(search(city, "fietspad school")) == ["west/proposal/1"]
    assert keys(search(city, "fietspad -school")) == ["west/proposal/2"]
    assert keys(search(city, '"fietspad veilig"')) == []
    assert set(keys(search(city, "school OR bomen"))) == {"west/proposal/1", "west/proposal/2"}
    assert set(keys(search(city, "fiets*"))) == {"west/proposal/1", "west/proposal/2"}


def test_accents_do_not_matter_in_any_language(city: Engine) -> None:
    assert keys(search(city, "educacion arboles")) == keys(search(city, "EDUCACIÓN árboles")) == ["south/debate/3"]
    assert keys(search(city, "gongustigur lysing")) == keys(search(city, '"lýsing á kvöldin"')) == ["north/proposal/4"]


def test_facets_and_filters(city: Engine) -> None:
    found = search(city, "fietspad OR educación", limit=1)
    assert (len(found.hits), found.total, found.whole) == (1, 3, True)
    counts = {name: {each.name: each.count for each in facets} for name, facets in found.facets.items()}
    assert counts == {
        "instance": {"west": 2, "south": 1},
        "kind": {"proposal": 2, "debate": 1},
        "state": {"open": 2, "accepted": 1},
        "space": {"Ideeën": 1},
    }
    assert keys(search(city, "fietspad", state="accepted")) == ["west/proposal/2"]
    assert keys(search(city, "fietspad OR educación", kind="debate")) == ["south/debate/3"]
    assert keys(search(city, "fietspad OR educación", language="es")) == ["south/debate/3"]
    assert keys(search(city, "fietspad", instance="south")) == []


def test_a_language_finds_its_regions(engine: Engine) -> None:
    put(engine, "proposal/1", "Fietspad", locale="nl-BE")
    assert keys(search(engine, "fietspad", language="nl")) == keys(search(engine, "fietspad", language="nl-be"))
    assert keys(search(engine, "fietspad", language="nl")) == ["west/proposal/1"]
    assert keys(search(engine, "fietspad", language="n%")) == []


def test_the_words_are_marked(city: Engine) -> None:
    [hit] = search(city, "educacion arboles").hits
    assert [hit.title.text[a:b] for a, b in hit.title.marks] == ["Educación"]
    assert [hit.snippet.text[a:b] for a, b in hit.snippet.marks] == ["árboles"]


def test_a_snippet_shows_where_most_of_the_words_are() -> None:
    body = "Eerst iets anders. " * 30 + "Dan het fietspad langs de school." + " En nog meer." * 30
    shown = snippet(body, lambda word: word in {"fietspad", "school"})
    assert [shown.text[a:b] for a, b in shown.marks] == ["fietspad", "school"]
    assert shown.text.startswith("… ") and shown.text.endswith(" …") and len(shown.text) < 200


def test_stems_are_found_where_the_server_knows_the_language(engine: Engine) -> None:
    """FTS5 has no stemmers: on SQLite `fietspad*` finds more (docs/reference/search.md)."""
    put(engine, "proposal/1", "Nieuwe fietspaden", "Overal fietspaden.")
    found = search(engine, "fietspad")
    if engine.dialect.name == "sqlite":
        assert keys(found) == [] and keys(search(engine, "fietspad*")) == ["west/proposal/1"]
        return
    [hit] = found.hits
    assert [hit.title.text[a:b] for a, b in hit.title.marks] == ["fietspaden"]
    assert keys(search(engine, "nieuwe -fietspad")) == [], "what is left out is left out by its stem, too"


def test_what_is_gone_is_found_only_when_asked_for(engine: Engine) -> None:
    put(engine, "proposal/1", "Fietspad", gone_at=NOW)
    assert search(engine, "fietspad").total == 0
    [hit] = search(engine, "fietspad", gone=True).hits
    assert hit.gone


def test_a_copy_is_no_hit_of_its_own(engine: Engine) -> None:
    origin = put(engine, "proposal/1", "Veilig fietspad", "Langs de school.")
    copy = put(engine, "proposal/9", "Safe cycle lane", "Veilig fietspad. Overgenomen.", instance="east", locale="en")
    copy_of(engine, origin, copy)
    [hit] = search(engine, "fietspad").hits
    assert (hit.key, hit.copies, hit.title.text) == (origin, (copy,), "Veilig fietspad")
    # Found by the words of its copy alone, it is still the origin that is found, with what has the words.
    found = search(engine, "overgenomen")
    assert [(hit.key, hit.copies) for hit in found.hits] == [(origin, (copy,))]
    assert found.facets["instance"][0].name == "west" and "Overgenomen" in found.hits[0].snippet.text
    assert search(engine, "overgenomen", instance="east").total == 0, "it is no proposal of that instance"
    execute(engine, f"UPDATE proposal SET gone_at = '2026-11-01 00:00:00+00:00' WHERE key = '{origin}'")
    assert keys(search(engine, "overgenomen")) == [copy], "where the origin is gone its copy is what there is"


def test_a_proposal_is_one_hit_in_however_many_languages(engine: Engine) -> None:
    key = put(engine, "proposal/1", "Tram", "Naar zee.")
    with engine.begin() as connection:
        add_text(connection, key, "Tram tram tram", "", "en", machine=True)
    [hit] = search(engine, "tram").hits
    assert (hit.title.text, hit.machine, search(engine, "tram").total) == ("Tram", False, 1)


def test_where_too_many_have_the_word_the_newest_are_ranked_and_it_is_said(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("civicsync.analysis.search.find.MOST_HITS", 3)
    for own in range(5):
        put(engine, f"proposal/{own}", "Fietspad")
        refresh(engine)
    found = search(engine, "fietspad")
    assert (found.total, found.whole) == (3, False) and "more than 3 texts" in found.notes[0]
    assert set(keys(found)) == {f"west/proposal/{own}" for own in (2, 3, 4)}
    assert MOST_HITS > 1000


# The index follows ------------------------------------------------------------------------------------------------------


def item(own: int, title: str, body: str = "Groen") -> Item:
    def build() -> list[Any]:
        return [Proposal(id=str(own), texts=(rich("nl", title, body),))]

    return Item(f"proposal/{own}", hashlib.md5(f"{title}{body}".encode()).digest(), build, Counters(supports=1))


def store(engine: Engine, clock: FakeClock) -> InstanceStore:
    return InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)


def test_what_a_pull_changes_is_found_by_its_new_words_alone(engine: Engine, clock: FakeClock) -> None:
    store(engine, clock).write(Page("s", [item(1, "Eerst"), item(2, "Ander")]))
    assert keys(search(engine, "eerst")) == ["west/proposal/1"]
    clock.advance(60)
    store(engine, clock).write(Page("s", [item(1, "Daarna"), item(3, "Derde")]))
    assert refresh(engine).texts == 2, "only what changed is read"
    assert refresh(engine).texts == 0
    assert search(engine, "eerst").total == 0
    assert keys(search(engine, "daarna")) == ["west/proposal/1"]
    execute(engine, "UPDATE proposal_text SET title = 'Gewist' WHERE proposal_key = 'west/proposal/2'")
    assert search(engine, "ander").total == 0
    assert keys(search(engine, "gewist")) == ["west/proposal/2"]


def test_what_goes_leaves_the_index_in_the_same_transaction(engine: Engine) -> None:
    put(engine, "proposal/1", "Xylofoonplein")
    refresh(engine)
    execute(engine, "DELETE FROM proposal_text")
    assert count(engine, "SELECT count(*) FROM search_document") == 0
    if engine.dialect.name == "sqlite":
        assert count(engine, "SELECT count(*) FROM search_index WHERE search_index MATCH 'xylofoonplein'") == 0


def test_an_instance_that_is_renamed_or_forgotten_takes_its_words_along(engine: Engine) -> None:
    with engine.begin() as connection:
        for name in ("west", "east"):
            connection.execute(
                insert(table_of(InstanceRow)), {"name": name, "platform": "decidim", "url": f"https://{name}.example"}
            )
    put(engine, "proposal/1", "Xylofoonplein")
    put(engine, "proposal/1", "Xylofoonplein", instance="east")
    refresh(engine)
    rename(engine, "west", "north")
    assert set(keys(search(engine, "xylofoonplein"))) == {"north/proposal/1", "east/proposal/1"}
    forget(engine, "north")
    assert keys(search(engine, "xylofoonplein")) == ["east/proposal/1"]
    forget(engine, "east")
    refresh(engine)
    if engine.dialect.name == "sqlite":
        assert count(engine, "SELECT count(*) FROM search_index WHERE search_index MATCH 'xylofoonplein'") == 0


def everything_on_disk(engine: Engine) -> bytes:
    file = file_of(engine)
    assert file is not None
    return b"".join(each.read_bytes() for each in Path(file).parent.glob(f"{file.name}*"))


def test_a_purged_word_is_nowhere_in_the_file(sqlite: Engine, clock: FakeClock) -> None:
    store(sqlite, clock).write(Page("s", [item(1, "Xylofoonplein"), item(2, "Blijft", "Kwartelkoning")]))
    refresh(sqlite)
    assert b"xylofoonplein" in everything_on_disk(sqlite), "lower case: only the index writes it so"
    with sqlite.begin() as connection:
        connection.execute(text("UPDATE proposal SET gone_at = '2026-01-01 00:00:00' WHERE key = 'west/proposal/1'"))
    assert purge(sqlite, "west", clock.now(), timedelta(days=1)) == 1
    assert refresh(sqlite).erased == 1
    sqlite.dispose()
    left = everything_on_disk(sqlite)
    assert b"xylofoonplein" not in left.lower() and b"kwartelkoning" in left


def test_without_scrubbing_the_word_would_stay(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is `scrub`: without it SQLite before 3.42 keeps the words of what was erased."""
    with sqlite.connect() as connection:
        if index_module._secure(connection):  # pyright: ignore[reportPrivateUsage]
            pytest.skip("this SQLite removes them at once")
    monkeypatch.setattr(index_module, "scrub", lambda _: None)
    put(sqlite, "proposal/1", "Xylofoonplein")
    refresh(sqlite)
    execute(sqlite, "DELETE FROM proposal_text")
    assert refresh(sqlite).erased == 1
    sqlite.dispose()
    assert b"xylofoonplein" in everything_on_disk(sqlite)
    scrub(sqlite)
    sqlite.dispose()
    assert b"xylofoonplein" not in everything_on_disk(sqlite)


def test_a_text_is_not_stored_twice(sqlite: Engine) -> None:
    put(sqlite, "proposal/1", "Plein", "Kwartelkoning " * 3 + "Zeldzaamheid")
    refresh(sqlite)
    assert count(sqlite, "SELECT count(*) FROM sqlite_master WHERE name = 'search_index_content'") == 0


def test_a_database_that_can_only_be_read_says_what_to_do(sqlite: Engine, tmp_path: Path) -> None:
    put(sqlite, "proposal/1", "Fietspad")
    file = file_of(sqlite)
    assert file is not None

    def reading() -> Engine:
        engine = open_engine(parse_url(f"sqlite:///{file}"))
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=ON")
        return engine

    engine = reading()
    with pytest.raises(SearchError, match="run a `civicsync search` once where it can be written"):
        search(engine, "fietspad")
    engine.dispose()
    assert search(sqlite, "fietspad").notes == ()
    put(sqlite, "proposal/2", "Fietspad")
    engine = reading()
    found = search(engine, "fietspad")
    assert found.total == 1 and "may be missing" in found.notes[0]
    engine.dispose()


def test_progress_is_told(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "CHUNK", 2)
    for own in range(5):
        put(sqlite, f"proposal/{own}", "Fietspad")
    told: list[tuple[int, int]] = []
    assert refresh(sqlite, progress=lambda *pair: told.append(pair)).texts == 5
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_new_texts_are_found_wherever_they_stand_in_the_table(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite gives the place of a deleted row away again, and VACUUM numbers rows anew: neither may hide a text."""
    monkeypatch.setattr(index_module, "CHUNK", 2)
    for own in range(6):
        put(sqlite, f"proposal/{own}", "Fietspad")
    refresh(sqlite)
    execute(sqlite, "DELETE FROM proposal_text WHERE proposal_key IN ('west/proposal/1', 'west/proposal/5')")
    for own in (6, 7):
        put(sqlite, f"proposal/{own}", "Fietspad")
    execute(sqlite, "UPDATE proposal_text SET title = 'Zebrapad' WHERE proposal_key = 'west/proposal/0'")
    with sqlite.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM")
    assert refresh(sqlite).texts == 3
    assert keys(search(sqlite, "zebrapad")) == ["west/proposal/0"]
    assert search(sqlite, "fietspad").total == 5


def test_a_pull_writes_nothing_for_the_index_on_sqlite(sqlite: Engine) -> None:
    """A trigger per new row made pulls slower by a tenth."""
    refresh(sqlite)
    put(sqlite, "proposal/1", "Fietspad")
    assert count(sqlite, "SELECT count(*) FROM search_queue") == 0


def test_an_index_that_lost_what_keeps_it_true_is_made_anew(engine: Engine) -> None:
    """A migration that makes a table anew takes its triggers away, and nothing would tell of it."""
    put(engine, "proposal/1", "Fietspad")
    refresh(engine)
    on = "" if engine.dialect.name == "sqlite" else " ON proposal_text"
    execute(engine, f"DROP TRIGGER search_text_gone{on}")
    execute(engine, "DELETE FROM proposal_text")
    put(engine, "proposal/2", "Zebrapad")
    assert keys(search(engine, "zebrapad")) == ["west/proposal/2"]
    assert search(engine, "fietspad").total == 0
    execute(engine, "DELETE FROM proposal_text")
    assert count(engine, "SELECT count(*) FROM search_document") == 0
