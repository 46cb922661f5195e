"""Verbs that only read start at once: what they do not need is not loaded."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import JSON, Boolean, Engine

from civicsync.core import fingerprints, journal
from civicsync.core.ledger.ledger import Ledger, publication_id
from civicsync.core.ledger.states import PublicationState
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.ledger_tables import OperationRow, PublicationEventRow, PublicationRow
from civicsync.core.schema.tables import (
    ROWS,
    AnswerRow,
    InstanceRow,
    MemoryRow,
    ProposalRow,
    ProposalTextRow,
    ProposalVersionRow,
    RunRow,
    TallyRow,
    table_of,
)
from civicsync.core.schema.types import UTCMoment
from civicsync.core.store.confirmations import stalest
from civicsync.core.store.history import TYPES
from civicsync.core.store.statistics import SWEPT, oldest
from tests.support.desk import TREE, Desk, comment, proposal

HEAVY = (
    "httpx",
    "gql",
    "graphql",
    "sqlmodel",
    "sqlalchemy.orm",
    "alembic",
    "babel",
    "bs4",
    "apscheduler",
    "jinja2",
    "sqlalchemy.dialects.postgresql",
    "civicsync.analysis.columns",
)
_PLACE = {"origin_key": "west/proposal/1", "target_instance": "plaza", "target_space": "proposals/1"}
CONFIG = """civicsync: 1
operator: {name: test, contact: t@example.org}
privacy: {key: '${START_KEY}'}
instances:
  west: {platform: decidim, url: 'http://127.0.0.1:9'}
  plaza: {platform: consul, url: 'http://127.0.0.1:10'}
  ideas: {platform: your-priorities, url: 'http://127.0.0.1:11'}
"""
SCRIPT = """
import gc
import sys
usual = gc.get_threshold()
sys.argv = ["civicsync", *{words!r}]
from civicsync.app.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
print(gc.get_threshold() == usual, gc.get_freeze_count() > 0, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["query", "SELECT 1"],
        ["explain", "west/proposal/1"],
        ["explain", publication_id(*_PLACE.values())],
        ["config", "show"],
        ["runs"],
        ["--help"],
    ],
    ids=["status", "query", "explain", "explain a publication", "config show", "runs", "--help"],
)
def test_a_verb_that_reads_loads_no_network_and_no_models(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "civicsync.yaml").write_text(CONFIG)
    engine = open_engine(parse_url("sqlite:///civicsync.db", tmp_path))
    migrate(engine)
    desk = Desk(engine)
    desk.pull([*TREE, proposal(1)])
    Ledger(engine, desk.clock).open_publication(
        PublicationState.APPROVED, route="to-plaza", marker="[civicsync:x]", **_PLACE
    )
    engine.dispose()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(words=words, heavy=HEAVY)],
        cwd=tmp_path,
        env={"START_KEY": "0123456789abcdef" * 4, "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heavy, garbage = done.stderr.splitlines()[-2:]
    assert heavy == "[]"
    # Whoever has opened the database has started: what is loaded stays, and garbage is looked for as always.
    assert garbage == ("True True" if words[0] in {"status", "query", "runs", "explain"} else "False False")


def test_what_reads_without_the_models_knows_the_same_columns() -> None:
    for light, model in ((journal.INSTANCE, InstanceRow), (journal.RUN, RunRow), (journal.MEMORY, MemoryRow)):
        assert {each.name for each in light.c} == {each.name for each in table_of(model).c}
    assert {str(each.__tablename__) for each in ROWS.values()} == set(SWEPT)
    whole = (ProposalRow, ProposalTextRow, ProposalVersionRow, TallyRow)
    parts = ((AnswerRow, "answered_at"), (PublicationRow, "sent_at"), (PublicationEventRow, "at"))
    told = [each for model in whole for each in table_of(model).c]
    told += [table_of(model).c[name] for model, name in (*parts, (OperationRow, "not_before"))]
    for each in told:
        if isinstance(each.type, UTCMoment | Boolean | JSON):
            assert isinstance(TYPES.get(each.name), type(each.type)), each
    assert fingerprints.KEY_PRINT


@pytest.fixture
def desk(engine: Engine) -> Desk:
    return Desk(engine)


def test_the_oldest_row_is_the_one_that_would_be_asked_for_first(desk: Desk) -> None:
    assert oldest(desk.engine, "west") is None
    for own in range(1, 4):
        desk.pull([*TREE[:own], proposal(own), comment(own, own, own)])
        desk.clock.advance(60)
    clock = desk.clock.now()
    first = stalest(desk.engine, "west", before=clock, overdue=clock, overdue_copied=clock)[0]
    found = oldest(desk.engine, "west")
    assert found is not None
    assert found.confirmed_at == first.confirmed_at
    desk.do("UPDATE proposal SET missing_runs = 1, confirmed_at = NULL")
    desk.do("UPDATE comment SET confirmed_at = NULL WHERE remote_id = '2'")
    desk.do("DELETE FROM scope_confirmation")
    found = oldest(desk.engine, "west")
    assert found is not None
    assert (found.ref, found.confirmed_at) == ("comment/2", None)
