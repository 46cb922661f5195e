"""Webhooks, mail, other services and the feed: each says what it was told to say, once more only where it must, and no secret."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from pydantic import SecretStr

from civicsync.app.operations.alerts import feed, mail, other, webhook
from civicsync.app.operations.alerts.aside import aside
from civicsync.config.alerts import Mail, Webhook
from civicsync.core.alerts.book import Notice
from civicsync.core.alerts.kinds import What
from civicsync.core.clock import FakeClock

CERTIFICATE = Path(__file__).parent.parent / "support" / "mail-host.pem"
"""A certificate of localhost that is its own authority, with its key: of no use but here."""
SECRET, PASSWORD = "whsec_" + base64.b64encode(b"pl4nted-signing-secret").decode(), "pl4nted-p4ss"
NOTICE = Notice(
    7,
    "0f8fad5b-d9cb-469f-a165-70867728950e",
    What.OPENED,
    datetime(2026, 3, 1, 12, tzinfo=UTC),
    "no good pull of west",
    "- west: since yesterday",
    {"kind": "no_good_pull", "alerts": [{"subject": "west", "since": None, "many": 1}]},
)


# Webhooks ---------------------------------------------------------------------------------------------------------------


class Hook(BaseHTTPRequestHandler):
    """A receiver that answers as its path says."""

    got: list[tuple[str, dict[str, str], bytes]] = []  # noqa: RUF012  of the one server of a test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Hook.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status = int(self.path.split("/")[1].partition("?")[0])
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/200")
        if status in {429, 503}:
            self.send_header("Retry-After", "7200")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def hook() -> Iterator[str]:
    Hook.got.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def settings(url: str, secret: str = SECRET) -> Webhook:
    return Webhook(url=url, secret=SecretStr(secret))


def verified(headers: dict[str, str], body: bytes, key: bytes) -> bool:
    """As a receiver reads the standard, by RFC 2104 itself: nothing of ours, and not the library's HMAC either."""
    padded = key.ljust(64, b"\0")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in padded) + signed).digest()
    outer = hashlib.sha256(bytes(each ^ 0x5C for each in padded) + inner).digest()
    version, _, given = headers["webhook-signature"].partition(",")
    return version == "v1" and hmac.compare_digest(base64.b64decode(given), outer)


async def test_a_webhook_is_signed_so_that_others_verify_it(hook: str, clock: FakeClock) -> None:
    answer = await webhook.post(settings(f"{hook}/204"), NOTICE, "Stad", "civicsync/0", clock)
    assert answer.delivered
    [(_, headers, body)] = Hook.got
    assert verified(headers, body, b"pl4nted-signing-secret")
    assert not verified(headers, body + b" ", b"pl4nted-signing-secret")
    assert headers["webhook-id"] == NOTICE.uid and headers["content-type"] == "application/json"
    assert headers["webhook-timestamp"] == str(int(clock.now().timestamp())), "when it is sent, not when it was told"
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("civicsync.opened", "2026-03-01T12:00:00+00:00")
    assert told["data"]["id"] == NOTICE.uid and told["data"]["alerts"] == [
        {"subject": "west", "since": None, "many": 1}
    ]
    assert told["data"]["operator"] == "Stad" and told["data"]["kind"] == "no_good_pull"


def test_the_signature_is_that_of_the_published_example() -> None:
    """https://www.standardwebhooks.com: the vector that all of its libraries are tested with."""
    made = webhook.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "words", "refused", "gone", "wait"),
    [
        (302, "write its final address", False, False, 0),
        (308, "write its final address", False, False, 0),
        (400, "refuses this notice (400)", True, False, 0),
        (401, "does not let us in (401)", False, False, 0),
        (404, "nothing at that address (404)", False, False, 0),
        (410, "gone for good", False, True, 0),
        (418, "it answers with 418", False, False, 0),
        (422, "refuses this notice (422)", True, False, 0),
        (429, "asked to slow down", False, False, 3600),
        (500, "the server failed (status 500)", False, False, 0),
        (503, "asked to slow down", False, False, 3600),
    ],
)
async def test_what_a_receiver_answers_is_told_without_its_address(
    hook: str, clock: FakeClock, status: int, words: str, refused: bool, gone: bool, wait: int
) -> None:
    url = f"{hook}/{status}/T0KEN?key=S3CRET"
    answer = await webhook.post(settings(url), NOTICE, "Stad", "civicsync/0", clock)
    assert not answer.delivered and words in answer.words
    assert (answer.refused, answer.gone, answer.wait) == (refused, gone, wait)
    assert len(Hook.got) == 1, "no redirect is followed, and nothing is sent twice at once"
    assert "T0KEN" not in answer.words and "S3CRET" not in answer.words


async def test_nobody_there_is_told_without_the_path(clock: FakeClock) -> None:
    answer = await webhook.post(settings("http://127.0.0.1:9/T0KEN"), NOTICE, "Stad", "civicsync/0", clock)
    assert not answer.delivered and "nothing listens there" in answer.words and "T0KEN" not in answer.words


# Mail -------------------------------------------------------------------------------------------------------------------


class Office:
    """What a mail server does with what it gets; takes everything, unless told otherwise."""

    def __init__(self) -> None:
        self.got = list[tuple[str, list[str], bytes]]()
        self.rcpt = list[str]()
        """Answers to RCPT, one each; then it takes all."""
        self.data = list[str]()
        self.sender = ""
        self.tls = list[bool]()
        self.signed_in = list[str]()

    async def handle_MAIL(self, _server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if self.sender:
            return self.sender
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        self.tls.append(session.ssl is not None)
        return "250 OK"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data:
            return self.data.pop(0)
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"

    def lets_in(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
        good = (given.login, given.password) == (b"bode", PASSWORD.encode())
        self.signed_in.append(given.login.decode())
        return AuthResult(success=good, handled=False)


@asynccontextmanager
async def served(office: Office, *, tls: str = "off", auth: bool = False) -> AsyncIterator[int]:
    """A real SMTP server on loopback."""
    context = None
    if tls != "off":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    more: dict[str, Any] = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {}
    implicit = context if tls == "tls" else None
    if auth:
        more |= {"authenticator": office.lets_in, "auth_required": True, "auth_require_tls": tls == "starttls"}
    loop = asyncio.get_running_loop()
    # In the loop of the test: the client has a thread of its own.
    server = await loop.create_server(
        lambda: SMTP(office, loop=loop, hostname="localhost", **more), "127.0.0.1", 0, ssl=implicit
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def post_office(port: int, **more: Any) -> Mail:
    given: dict[str, Any] = {"host": "localhost", "port": port, "tls": "off", "from": "bode@stad.example", **more}
    return Mail(to=["team@stad.example"], **given)


async def sent(settings: Mail, notice: Notice = NOTICE, operator: str = "Gemeente Voorbeeld") -> Any:
    return await mail.send(settings, notice, "team@stad.example", operator)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


async def test_a_mail_says_what_it_is_and_stands_in_one_thread() -> None:
    office = Office()
    closing = replace(NOTICE, uid=str(uuid.uuid4()), what=What.CLOSED, answers=[NOTICE.uid])
    async with served(office) as port:
        assert (await sent(post_office(port))).delivered
        assert (await sent(post_office(port))).delivered
        assert (await sent(post_office(port), closing)).delivered
    first, again, closed = (message_from_bytes(each[2], policy=default) for each in office.got)
    assert office.got[0][:2] == ("bode@stad.example", ["team@stad.example"])
    assert first["Subject"] == "[civicsync] no good pull of west"
    assert first["From"] == "Gemeente Voorbeeld <bode@stad.example>" and first["To"] == "team@stad.example"
    assert first["Message-ID"] == again["Message-ID"] == f"<{NOTICE.uid}@stad.example>", "a double is known as one"
    assert closed["In-Reply-To"] == first["Message-ID"] and closed["References"] == first["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated", "no out-of-office answers it"
    assert first["Date"].datetime == NOTICE.at
    assert first.get_content().splitlines()[0] == "- west: since yesterday"


async def test_nothing_of_a_notice_or_a_name_becomes_a_header_of_its_own() -> None:
    office = Office()
    evil = replace(NOTICE, title="x\r\nBcc: thief@evil.example\r\n\r\nhello \x00\u2028 y", body="a\r\n.\r\nQUIT\r\nb")
    async with served(office) as port:
        assert (await sent(post_office(port), evil, 'Stad"\r\nX-Evil: 1\n<a@b>, é')).delivered
    [(_, to, content)] = office.got
    message = message_from_bytes(content, policy=default)
    assert to == ["team@stad.example"] and "Bcc" not in message and "X-Evil" not in message
    assert "\n.\nQUIT\nb" in message.get_content().replace("\r\n", "\n"), "a dot alone ends nothing"
    assert message["From"].addresses[0].addr_spec == "bode@stad.example"


async def test_with_starttls_and_a_password(trusted: None) -> None:
    office = Office()
    async with served(office, tls="starttls", auth=True) as port:
        good = post_office(port, tls="starttls", user="bode", password=SecretStr(PASSWORD))
        assert (await sent(good)).delivered
        wrong = await sent(post_office(port, tls="starttls", user="bode", password=SecretStr("pl4nted-wrong")))
        unknown = await sent(post_office(port, tls="starttls"))
    assert office.tls == [True] and len(office.got) == 1 and set(office.signed_in) == {"bode"}
    assert not wrong.delivered and wrong.words.endswith("it does not take this user and password (535 5.7.8)")
    assert not unknown.delivered and "(530 5.7.0)" in unknown.words
    assert "pl4nted" not in wrong.words


async def test_with_tls_from_the_beginning(trusted: None) -> None:
    office = Office()
    async with served(office, tls="tls") as port:
        assert (await sent(post_office(port, tls="tls"))).delivered
    assert len(office.got) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_that_nobody_trusts_stops_it(tls: str) -> None:
    office = Office()
    async with served(office, tls=tls) as port:
        answer = await sent(post_office(port, tls=tls))
        assert not answer.delivered and "certificate" in answer.words and "SSL_CERT_FILE" in answer.words
        assert office.got == []
        assert (await sent(post_office(port, tls=tls, verify_tls=False))).delivered, "where somebody says so"


async def test_a_certificate_of_another_name_stops_it(trusted: None) -> None:
    office = Office()
    async with served(office, tls="starttls") as port:
        answer = await sent(post_office(port, tls="starttls", host="ip6-localhost.example", verify_tls=True))
        assert not answer.delivered
        answer = await sent(post_office(port, tls="starttls", host="127.0.0.2"))
    assert not answer.delivered and office.got == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
async def test_where_tls_was_asked_for_and_is_not_offered_nothing_is_sent(trusted: None) -> None:
    """Somebody in between may have taken the offer away."""
    office = Office()
    async with served(office, auth=True) as port:
        answer = await sent(post_office(port, tls="starttls", user="bode", password=SecretStr(PASSWORD)))
    assert not answer.delivered and "does not offer STARTTLS" in answer.words
    assert office.signed_in == [] == office.got


async def test_greylisting_is_later_and_a_refusal_is_told_by_its_codes_alone() -> None:
    office = Office()
    async with served(office) as port:
        office.rcpt = ["451 4.7.1 Greylisted, try again pl4nted", "550 5.1.1 no such user pl4nted"]
        grey, unknown = await sent(post_office(port)), await sent(post_office(port))
        office.data = ["552 5.3.4 too big pl4nted", "451 later"]
        refused, later = await sent(post_office(port)), await sent(post_office(port))
        office.sender = "553 5.1.8 who are you pl4nted"
        sender = await sent(post_office(port))
        office.sender = ""
        assert (await sent(post_office(port))).delivered
    assert grey.words.endswith("it asks to try again later (451 4.7.1)") and not grey.refused
    assert unknown.words.endswith("it does not take mail to this address (550 5.1.1)") and not unknown.refused
    assert refused.words.endswith("it refuses this message (552 5.3.4)") and refused.refused, "others may pass"
    assert later.words.endswith("it asks to try again later (451)") and not later.refused
    assert sender.words.endswith("it does not take mail from bode@stad.example (553 5.1.8)")
    assert "pl4nted" not in f"{grey}{unknown}{refused}{sender}"


async def test_no_mail_server_there() -> None:
    answer = await sent(post_office(9))
    assert not answer.delivered and answer.words.startswith("localhost:9: nothing came of it (Connection refused)")


async def test_a_server_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tar(Office):
        async def handle_MAIL(self, *_: Any) -> str:  # noqa: N802
            held.set()
            await asyncio.sleep(3600)
            return "250"

    held = threading.Event()
    monkeypatch.setattr(mail, "_WHOLE", 0.3)
    office = Tar()
    async with served(office) as port:
        answer = await sent(post_office(port))
        assert held.is_set() and not answer.delivered and answer.words.endswith("not done after 0 s")
        left = [each for each in threading.enumerate() if each.name == "civicsync-alerts"]
        for each in left:
            each.join(5)
        assert not any(each.is_alive() for each in left), "and its connection is closed, so that no thread stays"


async def test_what_blocks_is_waited_for_only_so_long() -> None:
    assert await aside(lambda: 3, seconds=5) == 3
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0, seconds=5)
    ended = threading.Event()
    with pytest.raises(TimeoutError):
        await aside(lambda: ended.wait(60), seconds=0.01, break_off=ended.set)
    assert ended.is_set()


# Other services ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its hundred plugins
async def test_other_services_are_told_by_apprise(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    where = hook.removeprefix("http://")
    assert (await other.send(f"json://{where}/200", NOTICE)).delivered
    [(_, _, body)] = Hook.got
    told = json.loads(body)
    assert (told["title"], told["message"]) == ("[civicsync] no good pull of west", "- west: since yesterday")
    refused = await other.send(f"json://user:pl4nted@{where}/500", NOTICE)
    assert (refused.delivered, refused.words) == (False, "the service did not take it")
    assert (await other.send("nothing://x", NOTICE)).words == "Apprise does not know this kind of address"
    assert "pl4nted" not in caplog.text


async def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    answer = await other.send("json://127.0.0.1:9", NOTICE)
    assert not answer.delivered and "civicsync[apprise]" in answer.words


# The feed ---------------------------------------------------------------------------------------------------------------

ATOM = "{http://www.w3.org/2005/Atom}"


def test_the_feed_is_what_the_standard_asks_for(clock: FakeClock) -> None:
    odd = replace(NOTICE, uid=str(uuid.uuid4()), title="a <b> & \x00\x1b \ud800 c", body="]]> <script>", told={})
    made = feed.atom([odd, NOTICE], "Stad & <Co>", clock.now())
    root = Xml.fromstring(made)
    assert root.tag == f"{ATOM}feed" and root.findtext(f"{ATOM}title") == "civicsync: Stad & <Co>"
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "Stad & <Co>"
    assert root.findtext(f"{ATOM}updated") == "2026-03-01T12:00:00Z"
    entries = root.findall(f"{ATOM}entry")
    ids = [each.findtext(f"{ATOM}id") for each in entries]
    assert ids == [f"urn:uuid:{odd.uid}", f"urn:uuid:{NOTICE.uid}"] and root.findtext(f"{ATOM}id") not in ids
    for each in entries:
        assert each.findtext(f"{ATOM}updated") and each.findtext(f"{ATOM}title")
        content = each.find(f"{ATOM}content")
        assert content is not None and content.get("type") == "text" and len(content) == 0
    assert entries[0].findtext(f"{ATOM}title") == "a <b> & \ufffd\ufffd \ufffd c"
    assert entries[1].findtext(f"{ATOM}content") == NOTICE.body
    assert [each.get("term") for each in entries[1].findall(f"{ATOM}category")] == ["opened", "no_good_pull"]
    assert feed.atom([odd, NOTICE], "Stad & <Co>", clock.now().replace(year=2027)) == made, "ids and moments are stable"
    many = [replace(NOTICE, id=number, uid=str(uuid.UUID(int=number))) for number in range(300)]
    assert len(Xml.fromstring(feed.atom(many, "Stad", clock.now())).findall(f"{ATOM}entry")) == 100
