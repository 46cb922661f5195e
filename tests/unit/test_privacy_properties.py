"""The privacy properties that concern data. P5, P7 to P9 and P12 to P15 have files of their own, where tests are named after them."""

import ast
import hashlib
import hmac
import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from civicsync.analysis.columns import VIEWS, Personal
from civicsync.app.cli.main import app
from civicsync.config.routes import Route
from civicsync.connectors.contract.reading import KINDS
from civicsync.connectors.contract.settings import InstanceSettings
from civicsync.connectors.testing.fake import FakePlatform
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, Page
from civicsync.core.privacy import pseudonymiser
from civicsync.core.records import Author, Comment, Counters, Proposal, Record, Vote
from civicsync.core.schema.database import file_of
from civicsync.core.schema.failures import DatabaseError
from civicsync.core.schema.ledger_tables import METADATA
from civicsync.core.schema.read_only import read_only
from civicsync.core.store.retention import Keeping, purge_classes
from civicsync.core.store.store import InstanceStore
from civicsync.core.store.tombstones import Judgement, record_judgement
from civicsync.core.text import rich
from proof.crossing import KEY, Crossing

ROOT = Path(__file__).parents[2]
SECRET = KEY["KEY"]
ANNA, NOBODY = "a" * 32, "0" * 32
SCOPE = "posts"


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def held(engine: Engine) -> bytes:
    """Every byte of the database and what lies beside it."""
    file = file_of(engine)
    assert file is not None
    return b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with two boards on which the same person writes, and contact data that a careless platform shows."""
    for port in (9941, 9942):
        board = FakePlatform.at(f"http://127.0.0.1:{port}", FakeClock().now)
        board.write("Meer bomen", "Dat moet.", author="7", contact="anna@voorbeeld.nl, 10.11.12.13")
    where = "platform: 'civicsync.connectors.testing.fake:CONNECTOR', url: 'http://127.0.0.1"
    (tmp_path / "civicsync.yaml").write_text(
        'civicsync: 1\noperator: {name: t, contact: a@b.example}\nprivacy: {key: "${KEY}"}\n'
        f"instances:\n  west: {{{where}:9941'}}\n  east: {{{where}:9942'}}\n"
    )
    monkeypatch.setenv("KEY", SECRET)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["sync"]).exit_code == 0
    return tmp_path


def everything(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.glob("civicsync.db*"))


def test_p1_nothing_that_names_a_person_outside_an_opt_in() -> None:
    direct = [(view.name, c.name) for view in VIEWS.values() for c in view.columns if c.personal is Personal.DIRECT]
    assert direct == []
    forbidden = re.compile(r"mail|^ip(_|$)|ssn|bsn|phone|avatar|user_?agent|nick|birth|gender|device|cookie")
    named = [f"{table.name}.{c.name}" for table in METADATA.sorted_tables for c in table.c if forbidden.search(c.name)]
    assert named == []
    people = [t.name for t in METADATA.sorted_tables if "pseudonym" in t.c and "name" in t.c]
    assert people == ["author"], "names are in one table"
    assert InstanceSettings.model_fields["names"].default == "never", "and only where somebody asked for them"


def test_p2_a_field_that_nobody_named_is_never_stored(folder: Path) -> None:
    assert b"voorbeeld.nl" not in everything(folder) and b"10.11.12.13" not in everything(folder)
    assert b"Meer bomen" in everything(folder)


def test_p3_an_author_is_a_keyed_digest_and_the_key_is_nowhere(folder: Path) -> None:
    own = hmac.digest(SECRET.encode(), b"civicsync:instance:west", hashlib.sha256)
    expected = hmac.digest(own, b"7", hashlib.sha256).hex()[:32]
    run = CliRunner()
    found = json.loads(
        run.invoke(app, ["query", "--json", "SELECT author FROM proposals WHERE instance = 'west'"]).stdout
    )
    assert found == [{"author": expected}]
    assert SECRET.encode() not in everything(folder)
    for verb in (
        ["config", "show"],
        ["config", "show", "--json"],
        ["status", "--json"],
        ["register"],
        ["audit", "list"],
    ):
        shown = run.invoke(app, verb)
        assert shown.exit_code == 0 and SECRET not in shown.output, verb
    new = folder / "new"
    new.mkdir()
    assert run.invoke(app, ["--config", str(new / "civicsync.yaml"), "init"]).exit_code == 0
    assert stat.S_IMODE((new / "civicsync.key").stat().st_mode) == 0o600
    assert len((new / "civicsync.key").read_text().strip()) * 4 >= 256


def test_p4_one_person_is_two_on_two_instances(folder: Path) -> None:
    found = json.loads(CliRunner().invoke(app, ["query", "--json", "SELECT author FROM proposals"]).stdout)
    assert len({each["author"] for each in found}) == 2
    assert pseudonymiser(SECRET, "west")("7") != pseudonymiser(SECRET, "east")("7")


def test_p5_without_a_key_nothing_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY")
    refused = CliRunner().invoke(app, ["sync"])
    assert refused.exit_code == 2 and "KEY" in refused.output


def test_p6_single_votes_are_off_and_have_no_person() -> None:
    assert InstanceSettings.model_fields["votes"].default is False
    assert not {"author", "pseudonym", "voter"} & (set(Vote.model_fields) | set(METADATA.tables["vote"].c.keys()))
    assert not any(c.personal is Personal.PSEUDONYM for c in VIEWS["votes"].columns)


def proposal(own: int, body: str, author: str | None) -> Item:
    def build() -> list[Record]:
        made = Proposal(id=str(own), texts=(rich("nl", f"Titel {own}", body),), author=author)
        return [made, *([Author(id=author, name=f"Naam {author[:3]}")] if author else [])]

    return Item(f"proposal/{own}", f"{own}{body}{author}".encode()[:64], build, Counters(supports=1))


def comment(author: str | None) -> Item:
    def build() -> list[Record]:
        return [Comment(id="1", target="proposal/1", text=rich("nl", None, "Goed"), author=author)]

    return Item("comment/1", f"c{author}".encode(), build)


def write(engine: Engine, clock: FakeClock, *items: Item) -> None:
    InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS).write(Page(SCOPE, items, complete=True))
    clock.advance(60)


@pytest.mark.parametrize(
    "now", [None, NOBODY], ids=["Decidim shows nobody", "Your Priorities shows its anonymous user"]
)
def test_p10_an_author_who_is_erased_on_the_platform_is_erased_here(
    sqlite: Engine, clock: FakeClock, now: str | None
) -> None:
    write(sqlite, clock, proposal(1, "Mijn eerste woorden", ANNA), comment(ANNA))
    write(sqlite, clock, proposal(1, "Mijn tweede woorden", ANNA), comment(ANNA))
    assert len(rows(sqlite, "SELECT * FROM proposal_version")) == 1
    write(sqlite, clock, proposal(1, "Woorden van niemand", now), comment(now))
    purge_classes(sqlite, "west", clock.now(), Keeping(gone=clock.now() - clock.now()))
    assert rows(sqlite, "SELECT author FROM proposal") == [(now,)] and rows(sqlite, "SELECT author FROM comment") == [
        (now,)
    ]
    left = held(sqlite)
    for trace in (ANNA.encode(), b"Naam aaa", b"Mijn eerste", b"Mijn tweede"):
        assert trace not in left, trace
    write(sqlite, clock, proposal(1, "Verbeterd", now))
    assert len(rows(sqlite, "SELECT * FROM proposal_version")) == 1, "later versions are kept as ever"


def test_p10_an_author_who_stays_keeps_the_earlier_versions(sqlite: Engine, clock: FakeClock) -> None:
    write(sqlite, clock, proposal(1, "Eerst", ANNA))
    write(sqlite, clock, proposal(1, "Dan", ANNA))
    write(sqlite, clock, proposal(1, "Later", ANNA))
    assert len(rows(sqlite, "SELECT * FROM proposal_version")) == 2


def test_p11_what_was_hidden_is_in_no_view_and_what_was_not_read_is_not_hidden(
    engine: Engine, clock: FakeClock
) -> None:
    write(engine, clock, proposal(1, "Weg", ANNA), proposal(2, "Blijft", ANNA))
    store = InstanceStore(engine, "west", ["nl"], clock, kinds=KINDS)
    store.write(Page(SCOPE, [proposal(2, "Blijft", ANNA)], complete=False))
    assert rows(engine, "SELECT count(*) FROM proposal WHERE gone_at IS NOT NULL") == [(0,)]
    record_judgement(store, Judgement(gone={"proposal/1": "hidden"}))
    for view, column in (("public_proposals", "remote_id"), ("unanswered", "remote_id")):
        assert rows(engine, f"SELECT {column} FROM {view}") == [("2",)], view
    withheld = rows(engine, "SELECT remote_id, reason FROM moderation WHERE instance = 'west'")
    assert withheld == [("1", "hidden")]


def test_p16_copying_is_opt_in_and_a_copy_says_what_it_is(tmp_path: Path) -> None:
    route = Route.model_validate({"from": {"instance": "a"}, "to": {"instance": "b", "space": "group/1"}})
    assert route.approval == "required" and route.first_run == "plan" and route.author_names is False
    city = Crossing(tmp_path / "city", "your-priorities", "2026-07", count=1, licence="CC BY 4.0")
    city.board.posts[1].author = "citizen-7"
    city.pull("board")
    city.until_quiet()
    [copy] = [each for each in city.sandbox.truth()["proposals"] if each["title"].startswith("Meer bomen in wijk")]
    said = json.dumps(copy) + str(city.rows("SELECT payload FROM operation"))
    assert f"{city.board.url}/posts/1" in said and "CC BY 4.0" in said and "In wijk 0001 staan te weinig bomen" in said
    assert "citizen-7" not in said and pseudonymiser(SECRET, "board")("citizen-7") not in said


def test_p17_analysts_read_and_the_public_views_have_no_people(engine: Engine, clock: FakeClock) -> None:
    write(engine, clock, proposal(1, "Tekst", ANNA))
    for sql in ("DELETE FROM proposal", "UPDATE proposals SET title = 'x'", "DROP TABLE author"):
        with pytest.raises(DatabaseError):
            read_only(engine, sql, 10)
    inside = {"author", "forgotten", "erased_record", "published_cell", "service_account", "audit_entry", "schema_info"}
    assert not inside & set(VIEWS)
    for view in VIEWS.values():
        columns = {column.name for column in view.columns}
        assert not columns & {"name_of_author", "author_name", "pseudonym"}
        if view.public:
            assert not any(c.personal is Personal.PSEUDONYM for c in view.columns), view.name


def test_p18_nothing_but_the_connectors_speaks_to_anybody() -> None:
    allowed = {"connectors", "app/api.py", "app/demo.py", "app/cli/sandbox.py", "proof", "tests", "benchmarks"}
    speaking = {
        "httpx",
        "requests",
        "urllib.request",
        "http.client",
        "socket",
        "aiohttp",
        "websockets",
        "smtplib",
        "ftplib",
    }
    found: list[str] = []
    for folder in ("analysis", "config", "core", "sync", "app"):
        for file in (ROOT / folder).rglob("*.py"):
            where = file.relative_to(ROOT).as_posix()
            if where in allowed:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
                found += [f"{where}: {name}" for name in names if name in speaking]
    # Who holds a lease and who did something is named by its machine, which asks nobody. What watches over a running civicsync speaks to
    # the machine's own supervisor and answers who asks it; `doctor` asks the hosts of the configuration, and nobody else.
    here = ["core/audit.py: socket", "core/leases.py: socket"]
    watching = ["doctor.py: http.client", "doctor.py: socket", "notify.py: socket", "server.py: socket"]
    # Mail to whom the configuration names; webhooks go by the connectors' transport.
    mail = [f"app/operations/alerts/mail.py: {each}" for each in ("smtplib", "socket")]
    assert sorted(found) == [*mail, *(f"app/operations/{each}" for each in watching), *here]


def test_p19_secrets_stand_nowhere_but_by_reference(folder: Path) -> None:
    file = folder / "civicsync.yaml"
    file.write_text(file.read_text().replace("${KEY}", SECRET))
    refused = CliRunner().invoke(app, ["sync"])
    assert (
        refused.exit_code == 2 and "a secret is written in the file" in refused.output and SECRET not in refused.output
    )


def test_p20_what_others_must_find_is_there() -> None:
    assert "publiccodeYmlVersion" in (ROOT / "publiccode.yml").read_text()
    for name in ("SECURITY.md", "LICENSE", "docs/explanation/privacy.md", "docs/howto/privacy.md"):
        assert (ROOT / name).read_text().strip(), name
