"""Recorded writes judge the sandbox: the same request in the same order, at the recorded time, gives the same kind of answer.

The city of a recording is laid out only as far as an exchange asks for it. Cookies and tokens of the recordings are blanked, so each
exchange is sent as the person whom it tells of. What a message says counts, not in which language the real server happened to say it.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest

from civicsync.connectors.contract.exchange import Response as Received
from civicsync.connectors.decidim.pages import errors_of
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.accounts import CLIENT, REDIRECT, Account, Token
from civicsync.connectors.decidim.sandbox.model import Comment, Component, Proposal, Rules, Space
from civicsync.connectors.decidim.sandbox.texts import in_english
from civicsync.connectors.decidim.sandbox.writing import DEFAULT_STATES
from civicsync.connectors.http.html_page import HtmlPage
from civicsync.connectors.testing.messages import Request, Response
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
LONG_AGO = datetime(2026, 2, 1, tzinfo=UTC)
LOCALES = ("ca", "es", "en")
COMPONENTS: dict[str, dict[int, tuple[str, str, Rules]]] = {
    "0.28": {
        1: ("process", "Proposals", Rules()),
        2: ("process", "Proposals", Rules()),
        5: ("process", "Proposals", Rules(hashtag=True, limit=4, geocoding=True)),
        6: ("process", "Proposals", Rules(creation=False)),
        8: ("assembly", "Proposals", Rules(hashtag=True, longest=5000)),
    },
    "0.30": {1: ("process", "Proposals", Rules())},
    "0.31": {
        1: ("process", "Proposals", Rules()),
        2: ("process", "Proposals", Rules()),
        6: ("process", "Pages", Rules()),
    },
    "0.32": {
        1: ("process", "Proposals", Rules(longest=2000)),
        2: ("process", "Proposals", Rules(creation=False, answers_at_once=False, votes_limit=3)),
        3: ("process", "Proposals", Rules(limit=2, votes=False)),
        4: ("process", "Proposals", Rules(verification=True)),
        5: ("process", "Proposals", Rules()),
        6: ("process", "Pages", Rules()),
        9: ("process", "Budgets", Rules()),
        11: ("process", "Proposals", Rules(edit_minutes=None)),
        12: ("process", "Proposals", Rules()),
        15: ("process", "Proposals", Rules(votes=False, comments=False)),
        13: ("private", "Proposals", Rules()),
        14: ("unpublished", "Proposals", Rules()),
    },
}
VERSIONS = {"0.28": "0.28.6", "0.30": "0.30.9", "0.31": "0.31", "0.32": "0.32"}
SLUGS = {
    "0.28": ("pla-barris", "jove"),
    "0.30": ("pla-barri", ""),
    "0.31": ("pla-barri", ""),
    "0.32": ("pla-barri", ""),
}
"""The slugs of the process and the assembly."""
EXCUSED = {
    # Not simulated, as no writer of ours goes that way.
    r"0.28 (256|257|259)-?.*|0.28 259b?-.*": "votes by JavaScript: votes are never copied",
    r"0.28 (32\d|33\d).*|0.32 730.*": "bulk import: no ids, no validation, duplicates; the writer does not use it",
    r"0.28 (34\d).*|0.32 74.*": "open data",
    r"0.\d\d (279|48[789]).*": "votes on comments",
    r"0.28 294-.*": "a profile page",
    r"0.28 (293|305)-.*": "lists other rows of the recorded city",
    # The state before the exchange is not known or not reachable.
    r"0.32 (210|227|370)-.*": "a second organization",
    r"0.32 (24[678])-.*": "recorded with another lifetime of tokens than the default",
    r"0.32 (60\d)-.*": "judged in test_a_closed_interface",
    r"0.32 61\d-.*": "the throttle: test_readers plants it",
    r"0.32 (23[1-9]|230|233|255|25[6-9]).*|0.31 (232|234|183).*": "reads of the recorded city with a session or token",
    r"0.32 701-.*": "a page of the recorded city",
}


class Stage:
    """A sandbox laid out as one recorded site, and the people who speak there."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.now = LONG_AGO
        self.sandbox = DecidimSandbox(
            version=VERSIONS[line], size=0, throttle=False, locales=LOCALES, clock=lambda: self.now
        )
        self._lay_out()
        self.admin = self._person(2, "admin@x.example", "ca", admin=True)
        self.author = self._person(15, "pont@correu.example", "ca")
        self.other = self._person(5, "ona@correu.example", "ca")
        self.sandbox.accounts.api_user = self.sandbox.accounts.add(
            Account(17, "", "", "Pont automàtic", "pont_automatic_civic", "ca", api=True)
        )
        if line == "0.32":
            self.sandbox.database.taxonomies = {own: f"Tema {own}" for own in range(2, 12)}
            self.sandbox.interface.roots = frozenset({1})

    def _lay_out(self) -> None:
        database = self.sandbox.database
        database.spaces.clear()
        database.components.clear()
        database.proposals["proposal"].clear()
        process, assembly = SLUGS[self.line]
        spaces = {
            "process": Space(1, "process", process, {"ca": ("Pla", False)}),
            "assembly": Space(1, "assembly", assembly, {"ca": ("Jove", False)}),
            "private": Space(3, "process", "privat", {"ca": ("Privat", False)}, private=True),
            "unpublished": Space(4, "process", "futur", {"ca": ("Futur", False)}, published=False),
        }
        for space in spaces.values():
            database.add_space(space)
        for own, (where, kind, rules) in COMPONENTS[self.line].items():
            name = {"ca": (f"Component {own}", False)}
            component = Component(own, kind, name, spaces[where], LONG_AGO, rules=replace(rules))
            component.published = (self.line, own) != ("0.32", 5)
            database.add_component(component)

    def _person(self, own: int, email: str, locale: str, *, admin: bool = False) -> Account:
        known = self.sandbox.accounts.people.get(own)
        return known or self.sandbox.accounts.add(
            Account(own, email, "right", f"Persona {own}", f"p{own}", locale, admin=admin)
        )

    def row(self, own: int, component: int = 1, **more: Any) -> Proposal:
        """A proposal that was there before."""
        rows = self.sandbox.database.proposals["proposal"]
        if own not in rows:
            text = {"ca": (f"Proposta {own} del barri", False)}
            home = self.sandbox.database.components[component]
            made = Proposal(own, "proposal", home, dict(text), dict(text), LONG_AGO, LONG_AGO, author=5)
            self.sandbox.database.add(made)
        for name, value in more.items():
            setattr(rows[own], name, value)
        return rows[own]

    def signed_in(self, account: Account) -> tuple[str, str]:
        """A cookie and the token of its pages."""
        session = self.sandbox.accounts.start(account)
        return session.key, session.secret

    def play(
        self,
        recording: Recording,
        who: Account | None,
        *,
        believed: bool = True,
        oauth: bool = False,
        password: str = "right",
    ) -> Response:
        """Send one exchange as somebody, at its time. Not `believed`: with a wrong token."""
        self.now = _when(recording) or self.now
        self.sandbox.next_id = _created(recording) or 0
        headers = dict(recording.request["headers"])
        names = {name.lower(): name for name in headers}
        token = ""
        if "cookie" in names:
            session = self.sandbox.accounts.start(who)
            headers[names["cookie"]], token = f"_session_id={session.key}", session.secret
        oauth = oauth or headers.get(names.get("x-jwt-aud", "")) == "CLIENT_ID"
        if "x-csrf-token" in names:
            headers[names["x-csrf-token"]] = token
        if "authorization" in names and believed and headers[names["authorization"]].startswith("Bearer "):
            headers[names["authorization"]] = f"Bearer {self._bearer(oauth, recording)}"
        if "x-jwt-aud" in names and oauth:
            headers[names["x-jwt-aud"]] = CLIENT[0]
        request, query = recording.asked(), recording.request["path"].partition("?")[2]
        query = query.replace("client_id=REDACTED", f"client_id={CLIENT[0]}")
        query = re.sub(r"redirect_uri=[^&]+", f"redirect_uri={REDIRECT}", query)
        body = self._body(request, token if believed else "wrong", password)
        asked = Request.of(request.method, request.path, raw_query=query, headers=headers.items())
        return self.sandbox.answer(replace(asked, body=body))

    def _bearer(self, oauth: bool, recording: Recording) -> str:
        if not oauth:
            return self.sandbox.accounts.issue(self.sandbox.accounts.api_user)
        scopes = {"520": {"user", "api:read"}, "521": {"user", "api:read"}, "522": {"user"}}.get(recording.name[:3])
        account = self.admin if recording.name.startswith("540") else self.author
        return self.sandbox.accounts.issue(account, CLIENT[0], frozenset(scopes or {"user", "api:read", "api:write"}))

    def _body(self, request: Request, token: str, password: str) -> bytes:
        accounts = self.sandbox.accounts
        if request.path.startswith("/api/sign_in") and request.media_type == "application/json":
            keys = {"key": accounts.api_key, "secret": accounts.api_secret}
            return msgspec.json.encode({"api_user": keys})
        if request.media_type != "application/x-www-form-urlencoded":
            return request.body
        known = {
            "authenticity_token": token,
            "user[password]": password,
            "api_user[key]": accounts.api_key,
            "api_user[secret]": accounts.api_secret,
            "client_id": CLIENT[0],
            "client_secret": CLIENT[1],
            "redirect_uri": REDIRECT,
        }
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
        return urlencode(
            [
                (n, known[n] if (n in known and v in {"REDACTED", known[n]}) or n == "redirect_uri" else v)
                for n, v in pairs
            ]
        ).encode()


PLAIN = (
    *("proposal[title", "proposal[body", "proposal[created_in", "proposal[attachment][title"),
    *("user[", "authenticity", "proposal_answer["),
)
"""Fields that matter to a writer; pickers, files and hashtags are left out of our pages."""
UNNAMED = {"303": 269, "722": 247}
"""Ids that only a later read of the recordings tells."""


def _when(recording: Recording) -> datetime | None:
    """The time of an answer: half an hour before its cookie expires."""
    match = re.search(r"expires=([^;]+)", recording.headers.get("set-cookie", ""))
    return parsedate_to_datetime(match[1]) - timedelta(minutes=30) if match else None


def _created(recording: Recording) -> int | None:
    """The id that the real server gave."""
    if recording.name[:3] in UNNAMED:
        return UNNAMED[recording.name[:3]]
    match = re.search(r'"createProposal": ?\{"id": ?"(\d+)"', msgspec.json.encode(recording.json).decode())
    match = match or re.search(r"/proposals/(\d+)/(?:compare|preview)", recording.headers.get("location", ""))
    return int(match[1]) if match and recording.request["method"] == "POST" else None


def english(value: Any) -> Any:
    """The same with every known message in English."""
    if isinstance(value, dict):
        return {
            name: in_english(inner) if name in {"message", "error"} and isinstance(inner, str) else english(inner)
            for name, inner in value.items()
        }
    return [english(each) for each in value] if isinstance(value, list) else value


def differs(recording: Recording, response: Response) -> list[str]:
    """What differs but the language of messages."""
    if (
        recording.json is not None
        and response.header(
            "content-type",
        )
        and "json" in str(response.header("content-type"))
    ):
        real = replace(recording, response={**(recording.response or {}), "json": english(recording.json)})
        own = english(msgspec.json.decode(response.body))
        return compare(real, replace(response, body=msgspec.json.encode(own)))
    return [*compare(recording, response), *_page_differs(recording, response)]


def _page_differs(recording: Recording, response: Response) -> list[str]:
    """What a form says is wrong, field by field, as our own reader of pages finds it."""
    html = (recording.response or {}).get("html")
    if not html or response.status not in {200, 422}:
        return []
    said = [each["text"] for each in html["messages"] if each["selector"].startswith("small.form-error.is-visible")]
    page = HtmlPage(Received(response.status, {}, response.body, "", 0.0))
    # 0.32 reminds of files under every refused form.
    said = [text for text in said if text != "És necessari tornar a adjuntar el fitxer"]
    real, own = (
        sorted(in_english(part) for text in texts for part in text.split(", ")) for texts in (said, errors_of(page))
    )
    found = [] if sorted(set(real)) == sorted(set(own)) else [f"wrong: {own}, real {real}"]
    fields = {f["name"] for form in html["forms"] for f in form["fields"] if str(f.get("name", "")).startswith(PLAIN)}
    missing = fields - set(page.names())
    return [*found, *([f"fields {sorted(missing)} are missing"] if missing else [])]


def play_all(
    line: str, chosen: str, speaker: Callable[[Stage, Recording], Any], before: Callable[[Stage, Recording], None]
) -> tuple[int, dict[str, Any]]:
    """Play the exchanges whose name matches; (how many, what differs by name)."""
    stage, wrong, played = Stage(line), dict[str, Any](), 0
    for recording in load(FOLDER / f"decidim-{line}.jsonl"):
        if recording.response is None or not re.match(chosen, recording.name):
            continue
        if any(re.fullmatch(pattern, f"{line} {recording.name}") for pattern in EXCUSED):
            continue
        before(stage, recording)
        response = speaker(stage, recording)
        played += 1
        found = differs(recording, response)
        if found:
            wrong[recording.name] = found[:3]
    return played, wrong


def _document(recording: Recording) -> str:
    body = recording.request.get("body")
    return str(body.get("query") or "") if isinstance(body, dict) else ""


def _variable(recording: Recording, name: str) -> str:
    body = recording.request.get("body")
    return str((body.get("variables") or {}).get(name) or "") if isinstance(body, dict) else ""


def before_mutation(stage: Stage, recording: Recording) -> None:
    """What must be there for a mutation of 0.31 or 0.32."""
    name, query, database = recording.name, _document(recording), stage.sandbox.database
    stage.now = _when(recording) or stage.now
    place = re.search(r'component\(id:"(\d+)"', query)
    component = int(place[1]) if place and int(place[1]) in database.components else 1
    for own in re.findall(r'proposal\(id:"(\d+)"', query):
        if int(own) < 900_000:
            stage.row(int(own), component)
    for own in re.findall(r'commentable\(id:"(\d+)", ?type:"Decidim::Proposals', query):
        if int(own) < 99_999:
            stage.row(int(own), 15 if own == "25" else 11 if own == "111" else 1)
    if place is None and isinstance(recording.request.get("body"), dict):
        given = recording.request["body"].get("variables") or {}
        if given.get("p") and str(given["p"]) != "999999":
            stage.row(int(given["p"]), int(given.get("c") or 1))
    prepare = BEFORE.get(stage.line, {}).get(name.partition("-")[0])
    if prepare is not None:
        prepare(stage)


def _comment(stage: Stage, own: int, depth: int) -> None:
    database, row = stage.sandbox.database, stage.row(1)
    if own not in database.comments:
        database.add_comment(Comment(own, "Comentari", 5, LONG_AGO, row))
    database.comments[own].depth = depth


def _limit_reached(stage: Stage) -> None:
    for own in (24, 124):
        stage.row(own, 3, author=15)


def _rules(stage: Stage, component: int, **rules: Any) -> None:
    for name, value in rules.items():
        setattr(stage.sandbox.database.components[component].rules, name, value)


Prepare = Callable[[Stage], Any]
BEFORE_032: dict[str, Prepare] = {
    "326": _limit_reached,
    "476": lambda s: _rules(s, 11, longest_comment=100),
    "500": lambda s: s.sandbox.accounts.codes.update({"REDACTED": (s.author, frozenset({"user", "api:read"}), None)}),
    "514": lambda s: s.row(50, voters={15}, votes=1),
    "515": lambda s: s.sandbox.accounts.refresh.update({"REDACTED": Token(s.author, s.now, CLIENT[0])}),
    "519": lambda s: s.sandbox.accounts.people.setdefault(15, s.author),
    "345": lambda s: _rules(s, 1, geocoding=True),
    "350": lambda s: _rules(s, 1, geocoding=False),
    "400": lambda s: s.row(181, author=15, updated_at=s.now, groups=[3]),
    "407": lambda s: s.row(27, 11, author=15, address="Carrer Major, 3", place=(41.4, 2.1)),
    "410": lambda s: s.row(23, author=15, updated_at=LONG_AGO),
    "411": lambda s: s.row(181, updated_at=s.now - timedelta(minutes=6)),
    "413": lambda s: s.row(151, author=15, updated_at=s.now),
    "420": lambda s: s.row(23, voters={15}, votes=1),
    "429": lambda s: setattr(s.sandbox.database.components[2], "votes_hidden", True),
    "434": lambda s: s.row(11, state="rejected"),
    "435": lambda s: s.row(16, withdrawn_at=LONG_AGO),
    "436": lambda s: s.row(17, hidden=True),
    "440": lambda s: s.row(163, author=15),
    "442": lambda s: s.row(23, author=15, votes=1),
    "450": lambda s: setattr(type(s.sandbox.writing), "states", (*DEFAULT_STATES, "en_estudi_tecnic")),
    "461": lambda s: s.row(15, 2, answered_at=LONG_AGO, state="accepted"),
    "467": lambda s: s.row(162, author=15, updated_at=s.now),
    "469": lambda s: s.row(113, 12, kind="amendment", amends=s.row(112, 12), state="evaluating"),
    "481": lambda s: _comment(s, 4, 3),
    "482": lambda s: _comment(s, 2, 0),
    "486": lambda s: s.row(17, hidden=True),
    "491": lambda s: s.row(23, updated_at=s.now - timedelta(minutes=1), withdrawn_at=None),
}
BEFORE: dict[str, dict[str, Prepare]] = {
    "0.32": BEFORE_032,
    "0.31": {"462": lambda s: s.row(15, 2, cost=12000.5)},
    "0.28": {
        "275": lambda s: s.row(61, hidden=True),
        "277": lambda s: _comment(s, 1, 0),
        "278": lambda s: _comment(s, 4, 3),
        "279e": lambda s: _rules(s, 1, comments=False),
    },
}
NOT_BELIEVED = ("222", "223", "224", "241", "242", "369")
"""Sent with a token that is none."""
BY_ADMIN = ("466", "540")
BY_OTHER = ("413", "421", "422", "423", "424")


def as_named(stage: Stage, recording: Recording) -> Response:
    """By the account that the exchange tells of."""
    name = recording.name[:3]
    who = stage.admin if name in BY_ADMIN else stage.other if name in BY_OTHER else stage.author
    return stage.play(recording, who, believed=name not in NOT_BELIEVED, oauth=name in {"510", "513"})


EMAILS = {
    "e4@veins.example": {"locale": "es"},
    "f5@veins.example": {},
    "nova@veins.example": {"confirmed": False},
    "blocat@veins.example": {"blocked": True},
    "panys@veins.example": {},
    "h7@veins.example": {},
}
WRONG_PASSWORD = ("203", "209", "211", "212")
BAD_TOKEN = ("206", "207", "227", "245b")
NOT_AUTHOR = ("245", "255", "412")
OFFICE = ("30", "31")


def before_web(stage: Stage, recording: Recording) -> None:
    """What must be there for a form of 0.28."""
    stage.now = _when(recording) or stage.now
    name, accounts = recording.name.partition("-")[0], stage.sandbox.accounts
    for number, (email, values) in enumerate(EMAILS.items()):
        account = accounts.by_email(email) or accounts.add(
            Account(100 + number, email, "right", email[:2], email[:2], "ca")
        )
        for key, value in values.items():
            setattr(account, key, value)
    match = re.search(r"(?:f|components)/(\d+)/(?:manage/)?proposals/(\d+)", recording.request["path"])
    if match is not None and name not in {"261"}:
        official = name in {"306", "307"}
        author: dict[str, Any] = {"author": None if official else 15}
        stage.row(int(match[2]), int(match[1]), **author, official=official, updated_at=stage.now)
    if match is not None:
        stage.row(int(match[2]), draft=False)
    for own in [*re.findall(r'proposal\(id:"(\d+)"', _document(recording)), _variable(recording, "p")]:
        if own and int(own) in stage.sandbox.database.proposals["proposal"]:
            stage.row(int(own), draft=False)
    if match is not None and name in {
        "230",
        "231",
        "232",
        "235",
        "236",
        "292",
        "233",
        "234",
        "247",
        "260",
        "289",
        "237",
        "281",
    }:
        stage.row(int(match[2]), draft=True, deleted=False, published_at=None)
    if name == "209":
        for _ in range(5):
            accounts.too_often("panys@veins.example")
    if name == "213":
        account = accounts.by_email("panys@veins.example")
        assert account is not None
        account.locked_until = stage.now + timedelta(hours=1)
    stage.author.locale = "ca" if "locale=ca" in recording.request["path"] else "es"
    stage.author.accepted_terms = name not in {"214", "216", "217"}
    if name == "250":
        for own in range(401, 405):
            stage.row(own, 5, author=15)
    else:
        for own in range(401, 405):
            stage.sandbox.database.proposals["proposal"].pop(own, None)
        home = stage.sandbox.database.components[5]
        home.rules.limit = 4 if name == "250" else None
    if name == "250":
        stage.sandbox.database.components[5].rules.limit = 4
    if name == "229":
        stage.row(261, 5, author=15, draft=True)
    if name == "258":
        stage.row(261, 5, votes=1)
    if name in {"287", "288"}:
        stage.row(267, 5, author=15, updated_at=LONG_AGO)
    if name == "291":
        # Which of the three is named is chance: with one there is none.
        stage.row(283, 8, author=15, draft=True)


def as_visitor(stage: Stage, recording: Recording) -> Response:
    """By the person of a form: the author, an administrator, somebody else, nobody."""
    name = recording.name.partition("-")[0]
    who: Account | None = stage.author
    if recording.request["path"].startswith("/users/sign_in"):
        who = stage.author if name == "202b" else None
    elif name in NOT_AUTHOR:
        who = stage.other
    elif "/admin/" in recording.request["path"]:
        who = stage.author if name == "309" else stage.admin
    return stage.play(
        recording, who, believed=name not in BAD_TOKEN, password="wrong" if name in WRONG_PASSWORD else "right"
    )


def before_newest(stage: Stage, recording: Recording) -> None:
    """What must be there for a form of 0.32."""
    stage.now = _when(recording) or stage.now
    stage.row(160, author=15)
    if recording.name.startswith("712"):
        stage.row(246, author=15, draft=True)


CASES = [
    ("0.32", r"[345]\d\d", as_named, before_mutation),
    ("0.32", r"(20|21|22|24|25)\d", as_named, before_mutation),
    ("0.31", r"(20|22|24|25|30|36|4\d)\d", as_named, before_mutation),
    ("0.28", r"(20|21|22|23|24|25|26|28|29|30|31)\d", as_visitor, before_web),
    ("0.28", r"27\d", as_named, before_mutation),
    ("0.32", r"7[0-3]\d", as_visitor, before_newest),
    ("0.30", r"(20|25|30|47)\d", as_named, before_mutation),
]


@pytest.mark.parametrize(("line", "chosen", "speaker", "before"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES])
def test_the_sandbox_takes_writes_alike(
    line: str,
    chosen: str,
    speaker: Callable[[Stage, Recording], Response],
    before: Callable[[Stage, Recording], None],
    record_property: Any,
) -> None:
    played, wrong = play_all(line, chosen, speaker, before)
    record_property("recordings", f"{played - len(wrong)} of {played} alike")
    for name, found in wrong.items():
        print(name, found)
    assert not wrong
    assert played


def test_a_closed_interface() -> None:
    """DECIDIM_API_FORCE_API_AUTHENTICATION: an API user's token is refused too."""
    stage = Stage("0.32")
    stage.sandbox.closed_interface = True
    wrong: dict[str, Any] = {}
    for recording in load(FOLDER / "decidim-0.32.jsonl"):
        if re.match(r"60\d", recording.name) and (found := differs(recording, as_named(stage, recording))):
            # A redirect to the sign-in gives a session's cookie, which nobody needs.
            wrong[recording.name] = [each for each in found if not each.startswith("cookie")]
    assert not {name: found for name, found in wrong.items() if found}
