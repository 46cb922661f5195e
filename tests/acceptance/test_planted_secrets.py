"""Secrets planted in every text of a configuration are found nowhere: not in what any verb prints or logs, whatever went wrong, not in the
database, not in the events."""

import base64
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running

KEY = "7fd1c04b9a3e58d2" * 2 + "1c9e70ab44d8f3625be0917a6c2d8f41"
_numbers = itertools.count(1)
PLANTED: dict[str, str] = {"CIVICSYNC_KEY": KEY}


@pytest.fixture(autouse=True)
def only_this_configuration() -> None:
    """What another test planted is no secret here."""
    PLANTED.clear()
    PLANTED["CIVICSYNC_KEY"] = KEY


def planted(odd: str = "") -> str:
    """A reference to a secret of its own; some hold signs that an address or a form writes otherwise."""
    number = next(_numbers)
    PLANTED[f"SECRET_{number}"] = f"pl4nted-{number}-x{odd}"
    return f'"${{SECRET_{number}}}"'


def block(platform: str, url: str, **more: str) -> str:
    lines = "".join(f"    {name}: {value}\n" for name, value in more.items())
    patience = "{timeout: 3, give_up_after: 1, pause: 0}"
    return f"    platform: {platform}\n    url: {url}\n    every: 2s\n    politeness: {patience}\n{lines}"


def configuration(url: str, database: str = "sqlite:///civicsync.db") -> str:
    """Every secret that there is a key for, on every platform."""
    consul = block(
        "consul",
        url,
        basic_auth_user=planted(),
        basic_auth_password=planted(" +&/"),
        login=planted("@x.example"),
        password=planted("'\\\\"),
        management=f"{{login: {planted()}, password: {planted()}, document_number: {planted()}}}",
        administrator=f"{{login: {planted()}, password: {planted()}}}",
    )
    decidim = block(
        "decidim",
        url,
        email=planted("@x.example"),
        password=planted("<b>&"),
        api_key=planted(),
        api_secret=planted(),
        oauth_client_id="public-client",
        oauth_client_secret=planted(),
        oauth_tokens="tokens.json",
        sign_in="true",
    )
    priorities = block("your-priorities", url, email=planted("@x.example"), password=planted("\u00e9\u00df"))
    routes = "".join(
        f"  {name}:\n    from: {{instance: {source}}}\n    to: {{instance: {target}, space: {space}}}\n"
        "    follow: {answers_to_origin: true}\n"
        for name, source, target, space in (
            ("a", "ideas", "west", "component/1"),
            ("b", "west", "plaza", "group/1"),
            ("c", "plaza", "ideas", "section/proposals"),
        )
    )
    token, hook = planted().strip('"'), url if "://" in url else "http://127.0.0.1:9"
    signing, password, pager = planted("-long-enough"), planted("'\\\\"), planted("://a b")
    alerts = (
        f"alerts:\n  no_good_pull_for: 1s\n  webhooks: {{hook: {{url: '{hook}/{token}?key={token}', secret: {signing}}}}}\n"
        f"  mail: {{host: 127.0.0.1, port: 9, tls: off, user: bode, password: {password}, from: a@b.example, to: [c@d.example]}}\n"
        f"  apprise: {{pager: {pager}}}\n  feed: alerts.atom\n"
    )
    return (
        "civicsync: 1\noperator: {name: Stad, contact: a@b.example}\n"
        f"database: {database}\nprivacy: {{key: '${{CIVICSYNC_KEY}}'}}\n{alerts}"
        f"instances:\n  ideas:\n{consul}  west:\n{decidim}  plaza:\n{priorities}routes:\n{routes}"
    )


def forms(secret: str) -> set[str]:
    return {secret, quote(secret, safe=""), quote_plus(secret), base64.b64encode(secret.encode()).decode()}


def clean(text: str | bytes, where: str) -> None:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    for name, secret in PLANTED.items():
        for form in forms(secret):
            assert form not in text, (
                f"{name} in {where}: …{text[max(0, text.index(form) - 200) : text.index(form) + 60]}"
            )


class Echo(BaseHTTPRequestHandler):
    """The unkindest of servers: it fails in the way its first path segment says, and tells everybody all that it was sent."""

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(length)
        how = self.path.split("/")[1]
        words = f"{self.path} {dict(self.headers)} ".encode() + sent
        status = int(how) if how.isdigit() else 200
        kind = {"json": "application/json", "text": "text/plain"}.get(how, "text/html")
        body = b"<html><h1>" + words + b"</h1><p class='alert callout flash'>" + words + b"</p></html>"
        if how == "json":
            body = b'{"errors": [{"message": ' + repr(words.decode("latin-1")).replace("'", '"').encode() + b"}]}"
        self.send_response(status, "Nope")
        if 300 <= status < 400:
            self.send_header("Location", f"https://elsewhere.example/?password={quote(sent[-300:].decode('latin-1'))}")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  the library's names

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **PLANTED, "COLUMNS": "200", **more}


VERBS: tuple[tuple[str, ...], ...] = (
    ("check",),
    ("sync", "--full"),
    ("sync", "--json"),
    ("publish",),
    ("publish", "--dry-run", "--json"),
    ("rebuild-map", "a"),
    ("discover", "ideas"),
    ("discover", "west"),
    ("discover", "plaza"),
    ("review", "list"),
    ("review", "resume", "a"),
    ("review", "show", "nothing"),
    ("status",),
    ("status", "--json"),
    ("runs",),
    ("runs", "--json"),
    ("query", "SELECT * FROM runs"),
    ("query", "SELECT nope"),
    ("explain", "nothing"),
    ("quarantine", "list"),
    ("quarantine", "replay"),
    ("instances", "list"),
    ("instances", "moved", "ideas"),
    ("config", "show"),
    ("config", "show", "--json"),
    ("config", "schema"),
    ("login", "ideas"),
    ("alerts", "test"),
    ("alerts", "send"),
    ("alerts", "--json"),
)


_ASKING = {"alerts", "check", "sync", "publish", "rebuild-map", "instances"}


def run_all(folder: Path, verbs: tuple[tuple[str, ...], ...] = VERBS, **more: str) -> None:
    for verb in verbs:
        done = subprocess.run(
            [sys.executable, "-m", "civicsync.app.cli", "--log", "json", *verb],
            cwd=folder,
            env=environment(**more),
            capture_output=True,
            check=False,
            timeout=120,
        )
        clean(done.stdout, f"{verb}, standard output")
        clean(done.stderr, f"{verb}, standard error and log")
        assert b"unforeseen" not in done.stderr and b"mistake in civicsync" not in done.stdout + done.stderr, (
            done.stderr
        )
    for file in folder.iterdir():
        if file.name != "civicsync.yaml" and file.is_file():
            clean(file.read_bytes(), file.name)


@pytest.mark.skipif("CIVICSYNC_LONG" not in os.environ, reason="starts the program some eighty times: `make proof`")
@pytest.mark.parametrize("how", ["json", "html", "401", "302"])
def test_no_secret_is_told_whatever_a_platform_does(tmp_path: Path, echo: str, how: str) -> None:
    (tmp_path / "civicsync.yaml").write_text(configuration(f"{echo}/{how}"), encoding="utf-8")
    # Whatever asks a platform, against every kind of answer; all the others once.
    run_all(
        tmp_path,
        VERBS if how == "json" else tuple(verb for verb in VERBS if verb[0] in _ASKING and verb[-1] != "--json"),
    )


@pytest.mark.skipif("CIVICSYNC_LONG" not in os.environ, reason="starts the program some thirty times: `make proof`")
def test_no_secret_is_told_where_all_goes_well_or_the_password_is_wrong(tmp_path: Path) -> None:
    """Real cities that do not know these accounts."""
    made = {name: resolve(name) for name in ("consul", "decidim", "your-priorities")}
    cities = {
        name: each.sandbox(version=each.versions[-1], size=8) for name, each in made.items() if each.sandbox is not None
    }
    with (
        running(cities["consul"]) as ideas,
        running(cities["decidim"]) as west,
        running(cities["your-priorities"]) as plaza,
    ):
        text = configuration("URL")
        for url in (ideas, west, plaza):
            text = text.replace("url: URL", f"url: {url}", 1)
        (tmp_path / "civicsync.yaml").write_text(text.replace("    sign_in: true\n", ""), encoding="utf-8")
        run_all(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-m", "civicsync.app.cli", "--log", "console", "run"],
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        timer = threading.Timer(60, process.kill)
        timer.start()
        said = ""
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                if line.count("pull plaza:"):
                    process.send_signal(signal.SIGTERM)
        timer.cancel()
        assert "pull plaza: done" in said
        clean(said, "run")


@pytest.mark.parametrize(
    "database",
    [
        "postgresql://u:{}@127.0.0.1:1/x",
        "postgresql://u@127.0.0.1:1/x?password={}",
        "postgresql://127.0.0.1:1/x?sslpassword={}&nonsense={}",
        "postgresql://u:{}@[::bad/x",
        "oracle://u:{}@h/x",
        "sqlite:///x.db?key={}",
    ],
)
def test_no_secret_of_a_database_is_told(tmp_path: Path, database: str) -> None:
    secret = "pl4nted-db-x"
    PLANTED["SECRET_DB"] = secret
    for written in (secret, "${SECRET_DB}"):
        text = configuration("http://127.0.0.1:9", f'"{database.replace("{}", written)}"')
        (tmp_path / "civicsync.yaml").write_text(text, encoding="utf-8")
        run_all(tmp_path, (("status",), ("config", "show")), CIVICSYNC_DEBUG="1")


def test_no_secret_is_told_in_a_traceback(tmp_path: Path) -> None:
    """CIVICSYNC_DEBUG=1 shows where, and no value."""
    (tmp_path / "civicsync.yaml").write_text(configuration("http://127.0.0.1:9"), encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(
        "import civicsync.core.journal as journal\n"
        "def fails(*_, **__):\n"
        "    import os\n"
        "    raise RuntimeError(f'all of it: {dict(os.environ)} \\x1b[2J')\n"
        "journal.runs = fails\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "civicsync.app.cli", "runs"],
        cwd=tmp_path,
        env=environment(CIVICSYNC_DEBUG="1", PYTHONPATH=str(tmp_path)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1 and b"RuntimeError" in done.stderr and b"\x1b" not in done.stderr
    clean(done.stderr, "a traceback")
    clean(done.stdout, "a traceback")


def test_the_check_finds_what_is_there() -> None:
    PLANTED.setdefault("SECRET_DB", "pl4nted-db-x")
    for text in (f"x {PLANTED['SECRET_DB']}", base64.b64encode(b"pl4nted-db-x").decode()):
        with pytest.raises(AssertionError):
            clean(text, "a text")
