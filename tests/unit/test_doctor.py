"""Each thing that can be wrong is found, told with a way out, and what is right is not complained of."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.app.operations import doctor
from civicsync.app.operations.doctor import Finding, Level, Visit
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.states import PublicationState
from civicsync.core.schema.database import HEAD, migrate, open_engine, parse_url
from civicsync.core.vitals import revision, versions_seen
from civicsync.core.worker_queue import Seen

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PEM = Path(__file__).parent.parent / "support" / "self-signed.pem"
FINE, KNOW, ACT = Level


def levels(found: Iterator[Finding]) -> list[tuple[str, Level]]:
    listed = list(found)
    for each in listed:
        assert (each.way_out != "") == (each.level is not FINE), f"{each.what}: a way out, where one is needed"
    return [(each.about, each.level) for each in listed]


@pytest.mark.parametrize(("days", "expected"), [(-1, ACT), (6, ACT), (20, KNOW), (60, FINE)])
def test_certificates_that_end_soon(days: int, expected: Level) -> None:
    seen = {"west": Visit(ends=NOW + timedelta(days=days), at=NOW)}
    assert levels(doctor.hosts(seen, NOW)) == [("west", expected)]


@pytest.mark.parametrize(("seconds", "expected"), [(0, FINE), (20, FINE), (-120, KNOW), (3600, ACT), (-3600, ACT)])
def test_a_clock_that_disagrees_with_the_platforms(seconds: int, expected: Level) -> None:
    right, wrong = NOW - timedelta(seconds=seconds), NOW + timedelta(days=300)
    seen = [Visit(date=right, at=NOW), Visit(date=right, at=NOW), Visit(date=wrong, at=NOW), Visit(trouble="away")]
    assert levels(doctor.clock(seen)) == [("this machine", expected)], (
        "one platform whose clock is wrong accuses nobody"
    )


def test_without_a_platform_nothing_is_said_of_the_clock() -> None:
    assert not list(doctor.clock([Visit(trouble="away")]))


def test_files_that_others_can_read(tmp_path: Path) -> None:
    mine, open_to_all = tmp_path / "mine.key", tmp_path / "open.key"
    mine.touch(0o600)
    open_to_all.touch(0o644)
    assert levels(doctor.permissions({mine: "a key"})) == [("secrets", FINE)]
    assert levels(doctor.permissions({mine: "a key", open_to_all: "a key"})) == [(str(open_to_all), ACT)]


MOUNTS = """/dev/vda1 / ext4 rw 0 0
nas:/x /srv/city nfs4 rw 0 0
tmpfs /srv/city/fast tmpfs rw 0 0
//nas/y /mnt/a\\040share cifs rw 0 0
host /home/me/far fuse.sshfs rw 0 0
overlay /var/lib ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("file", "kind", "far"),
    [
        ("/var/lib/civicsync/a.db", "ext4", False),
        ("/srv/city/a.db", "nfs4", True),
        ("/srv/citylights/a.db", "ext4", False),
        ("/srv/city/fast/a.db", "tmpfs", False),
        ("/mnt/a share/a.db", "cifs", True),
        ("/home/me/far/a.db", "fuse.sshfs", True),
    ],
)
def test_a_database_on_a_network_file_system(file: str, kind: str, far: bool) -> None:
    assert doctor.file_system_of(Path(file), MOUNTS) == kind
    assert bool(doctor._NETWORK.match(kind)) is far


def test_a_database_on_the_network_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    file.touch()
    assert (str(file), ACT) in levels(doctor.database_file(file, 10, f"nas:/x {tmp_path} nfs rw 0 0"))
    assert (str(file), ACT) not in levels(doctor.database_file(file, 10, ""))


@pytest.mark.parametrize(
    ("free", "size", "expected"),
    [(100_000_000, 1, ACT), (5e9, 60e9, ACT), (20e9, 60e9, KNOW), (1e12, 60e9, FINE), (1e9, 1e6, FINE)],
)
def test_room_on_the_disk(free: float, size: float, expected: Level, tmp_path: Path) -> None:
    assert levels(doctor.room(tmp_path, int(free), int(size))) == [(str(tmp_path), expected)]


@pytest.mark.parametrize(("found", "expected"), [(None, KNOW), ("0003", KNOW), (HEAD, FINE), ("9999", ACT)])
def test_a_schema_of_another_release(found: str | None, expected: Level) -> None:
    assert levels(doctor.schema(found, HEAD)) == [("database", expected)]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.32", [FINE]),
        ("0.32.4", [FINE]),
        ("0.33", [KNOW]),
        ("1.0", [KNOW]),
        ("0.9", [FINE]),
        (None, []),
        ("main", []),
    ],
)
def test_platforms_that_are_newer_than_what_is_known(version: str | None, expected: list[Level]) -> None:
    found = doctor.versions({"west": ("decidim", version)}, {"decidim": ("0.27", "0.28.4", "0.32")})
    assert levels(found) == [("west", level) for level in expected]


def test_instances_that_no_pull_read_to_the_end() -> None:
    good = {"west": NOW - timedelta(hours=2), "east": NOW - timedelta(hours=30)}
    assert levels(doctor.pulls(good, ["west", "east", "new"], NOW)) == [("west", FINE), ("east", ACT), ("new", KNOW)]


def test_routes_that_stopped_and_copies_that_are_there_twice() -> None:
    found = doctor.routes(["over"], {"back": 2}, ["host.example"])
    assert levels(found) == [("over", ACT), ("back", ACT), ("host.example", KNOW)]


def test_copies_of_a_route_that_is_not_configured_any_more() -> None:
    assert levels(doctor.left_behind({"over": 3, "renamed": 2}, ["over"])) == [("renamed", ACT)]


def test_an_account_that_is_not_let_in() -> None:
    assert levels(doctor.refused("west", {})) == []
    assert levels(doctor.refused("west", {"": "wrong password"})) == [("west", ACT)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ACT),
        (b"{", ACT),
        (b"[]", ACT),
        (b'{"access": "x", "expires": "soon"}', ACT),
        (json.dumps({"access": "x", "refresh": "y", "expires": NOW.timestamp() - 5}).encode(), FINE),
        (json.dumps({"access": "x", "refresh": None, "expires": NOW.timestamp() - 5}).encode(), ACT),
        (json.dumps({"access": "x", "refresh": None, "expires": NOW.timestamp() + 3 * 86400}).encode(), ACT),
        (json.dumps({"access": "x", "refresh": None, "expires": NOW.timestamp() + 30 * 86400}).encode(), KNOW),
    ],
)
def test_tokens_that_end(content: bytes | None, expected: Level, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    if content is not None:
        file.write_bytes(content)
    assert levels(doctor.tokens("west", file, NOW)) == [("west", expected)]


# Hosts, really ----------------------------------------------------------------------------------------------------------


@contextmanager
def a_host(answer: bytes, *, secure: bool = False) -> Iterator[int]:
    """Answers one question on loopback; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if secure:
        context.load_cert_chain(PEM)

    def serve() -> None:
        with listening.accept()[0] as plain:
            plain.settimeout(10)
            try:
                talk = context.wrap_socket(plain, server_side=True) if secure else plain
                talk.recv(4096)
                talk.sendall(answer)
                talk.close()
            except OSError:
                pass  # whoever asked does not trust us

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(listening):
        yield listening.getsockname()[1]
        thread.join(10)


ANSWER = b"HTTP/1.1 200 OK\r\nDate: Fri, 01 May 2026 12:00:05 GMT\r\nContent-Length: 0\r\n\r\n"


def look_at(url: str, *, verify: bool = True) -> Visit:
    return doctor.visit(url, "civicsync test", verify=verify, now=lambda: NOW)


def test_a_host_is_asked_for_its_clock() -> None:
    with a_host(ANSWER) as port:
        assert look_at(f"http://127.0.0.1:{port}") == Visit(date=NOW + timedelta(seconds=5), at=NOW)


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    with a_host(ANSWER, secure=True) as port:
        assert "certificate is not trusted" in look_at(f"https://127.0.0.1:{port}").trouble


def test_a_certificate_is_not_verified_where_the_configuration_says_so() -> None:
    with a_host(ANSWER, secure=True) as port:
        assert look_at(f"https://127.0.0.1:{port}", verify=False).trouble == ""


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen(made=False), KNOW),
        (Seen(workers=0), ACT),
        (Seen(workers=2, waiting=3, waits_for=60), FINE),
        (Seen(workers=2, waiting=3, waits_for=1000), ACT),
    ],
)
def test_workers_that_are_not_there_or_too_few(seen: Seen, expected: Level) -> None:
    assert levels(doctor.workers(seen, extra=True)) == [("queue", expected)]
    assert levels(doctor.workers(seen, extra=False))[0] == ("this machine", ACT)


def test_nonsense_and_silence_are_told() -> None:
    with a_host(b"hello\r\n\r\n") as port:
        assert "nothing answers" in look_at(f"http://127.0.0.1:{port}").trouble
    assert "nothing answers" in look_at(f"http://127.0.0.1:{port}").trouble


def test_a_name_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "cannot be resolved" in look_at("http://west.example").trouble


# The verb ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    whole = {
        "civicsync": 1,
        "operator": {"name": "test", "contact": "t@example.org"},
        "privacy": {"key": "${DOCTOR_KEY}"},
        "instances": {"west": {"platform": "decidim", "url": "http://127.0.0.1:9"}},
    }
    (tmp_path / "civicsync.yaml").write_text(json.dumps(whole))
    monkeypatch.setenv("DOCTOR_KEY", "0123456789abcdef" * 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def asked(*more: str) -> tuple[int, dict[tuple[str, str], str]]:
    done = CliRunner().invoke(app, ["--config", "civicsync.yaml", "doctor", "--json", *more])
    return done.exit_code, {(each["check"], each["about"]): each["level"] for each in json.loads(done.stdout)}


def arranged(engine: Engine) -> None:
    """A copy that a route of another name made."""
    ledger = Ledger(engine, FakeClock())
    where = {"origin_key": "west/proposal/1", "target_instance": "east", "target_space": "board/1"}
    ledger.open_publication(PublicationState.APPROVED, route="renamed", marker="m", title="Meer bomen", **where)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE publication SET state = 'sent'")


def test_the_doctor_makes_and_migrates_nothing(folder: Path) -> None:
    assert asked("--offline") == (0, {("permissions", "secrets"): "fine", ("schema", "database"): "know"})
    assert [each.name for each in folder.iterdir()] == ["civicsync.yaml"]
    code, found = asked()
    assert (code, found["host", "west"]) == (1, "act")


def test_the_doctor_reads_what_is_stored(folder: Path) -> None:
    engine = open_engine(parse_url("sqlite:///civicsync.db", folder))
    migrate(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO instance (name, platform, url, title, dialect, version) VALUES ('west', 'decidim', 'u', '', '', '0.99')"
        )
    assert versions_seen(engine) == {"west": ("decidim", "0.99")}
    code, found = asked("--offline")
    assert (code, found["version", "west"], found["pull", "west"]) == (0, "know", "know")
    arranged(engine)
    assert asked("--offline")[1]["route", "renamed"] == "act"
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert revision(engine) == "9999"
    engine.dispose()
    code, found = asked("--offline")
    assert (code, found["schema", "database"]) == (1, "act")


def test_workers_with_a_database_in_a_file(folder: Path) -> None:
    file = folder / "civicsync.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "workers": True}))
    code, found = asked("--offline")
    assert (code, found["workers", "database"]) == (1, "act")


def test_people_are_shown_what_must_be_done(folder: Path) -> None:
    (folder / "left.key").write_text("x")
    (folder / "left.key").chmod(0o644)
    done = CliRunner().invoke(app, ["--config", "civicsync.yaml", "doctor", "--offline"])
    assert done.exit_code == 1
    assert f"chmod 600 {folder / 'left.key'}" in done.stdout
