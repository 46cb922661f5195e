"""Recorded visits to real CONSUL sites judge the sandbox's web side: sign-in, forms, management, moderation.

A recording does not say who was signed in and what had been loaded before; `STAGE` says it. Nothing else is arranged.
"""

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bs4 import BeautifulSoup

from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.consul.sandbox.model import Row
from civicsync.connectors.consul.sandbox.people import add_account
from civicsync.connectors.consul.sandbox.session import COOKIE
from civicsync.connectors.consul.sandbox.texts import translations
from civicsync.connectors.testing.messages import Request, Response
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
VERSIONS = ("2.1.1", "2.2.2", "2.5.1")
ROBOT, OTHER, UNVERIFIED, MANAGER, ADMIN = 32, 5, 901, 902, 903

EXCLUDED = {
    r"32[0-24-6]\w?-.*|323f-.*|329-.*": "debates, comments, budgets, polls and files",
    r"001c-.*|228-.*|300-.*|301-.*|33\d\w?-.*|567\w?-.*|569\w?-.*": "pages that neither reading nor writing asks for",
    r"318\w?-.*": "other formats than pages (docs/platforms/consul.md 9): nothing of ours asks for them",
    r"341\w?-.*|342-.*|340\w?-.*|345-.*": "switches of the interface, judged by test_consul_recordings",
    r"41[45]\w?-.*": "signing up: an account is made by a person",
    r"401b-.*|402-.*|449c-.*": "the welcome page's own redirects",
    r"423f-.*": "suggestions while typing",
    r"445-.*|446b-.*": "sustainable development goals",
    r"468\w?-.*": "the author's dashboard",
    r"499\w?-.*|509[bd]-.*|55[4-9]\w?-.*": "debates, flags, notifications and investments: only proposals are published",
    r"51\d\w?-.*": "pictures and documents: only texts are published",
    r"532-.*": "making a verified person: that is the office's work",
    r"550\w?-.*|551-.*|552-.*|548-.*": "selecting, and the administration's lists and files",
    r"57[03]\w?-.*": "basic authentication and maintenance, judged by test_consul_recordings",
    r"542-.*|566-.*": "selecting a proposal, and the settings of an account",
    r"2.[25].\d 473-.*": "which of two rows of one language is shown is undefined (docs/platforms/consul.md 8.2, 5)",
    r"509-.*": "the number of a comment that only the recorded site knows",
    r"563d-.*": "an erased author's page, judged by test_consul_traps",
    r"741c-.*": "a proposal that the government selected, judged by test_consul_list_recordings",
    r"75\d\w?-.*|762\w?-.*": "the public list's orders and filters, judged by test_consul_list_recordings",
    r"2.1.1 455c-.*": "asked for another proposal than the one in the unknown language",
}


@dataclass(frozen=True)
class Stage:
    """Who visits, and what the cookie holds."""

    user: int | None = ROBOT
    waited: float | None = 10.0
    token: bool = True
    manager: bool = False
    managed: bool = False
    switches: tuple[str, ...] = ()
    back: str | None = None
    flash: bool = False
    wrong: bool = False


STAGE = {
    r"403-.*|409-.*|428-.*": Stage(token=False),
    r"405-.*|410-.*": Stage(user=None, wrong=True),
    r"407b-.*": Stage(user=None, flash=True),
    r"462b-.*": Stage(flash=True),
    r"40[04-9]\w?-.*|41[0-2]\w?-.*": Stage(user=None),
    r"413-.*": Stage(user=None, back="/proposals/new"),
    r"401-.*": Stage(user=None),
    r"403b-.*": Stage(back="/account"),
    r"403c-.*|448-.*|460c-.*|496\w?-.*|508-.*": Stage(user=None),
    r"424\w?-create-.*|475-.*|582-.*": Stage(waited=1.0),
    r"425-.*|426-.*": Stage(waited=None),
    r"449\w?-.*": Stage(switches=("off",)),
    r"450\w?-.*": Stage(switches=("verification",)),
    r"451\w?-.*": Stage(user=UNVERIFIED, switches=("verification",)),
    r"452-.*": Stage(switches=("translation_interface",)),
    r"454-.*": Stage(switches=("no maps",)),
    r"460b?-.*|478b?-.*|481c-.*": Stage(user=OTHER),
    r"479-.*": Stage(switches=("supports",)),
    r"507-.*|54[1-9]\w?-.*|562d-.*": Stage(user=ADMIN),
    r"521-.*": Stage(user=MANAGER),
    r"522b-.*": Stage(user=MANAGER, manager=True, flash=True),
    r"521b-.*|522-.*|523\w?-.*|524-.*|525-.*|535-.*|536-.*": Stage(user=MANAGER, manager=True, waited=None),
    r"526-.*|529\w?-.*|527\w?-.*|528\w?-.*|530-.*|533-.*|534-.*": Stage(
        user=MANAGER, manager=True, managed=True, waited=None
    ),
    r"537-.*|702-.*|705\w?-.*|706\w?-.*|707-.*": Stage(user=ADMIN),
    r"770\w?-.*": Stage(user=None, wrong=True),
    r"771\w?-.*": Stage(user=None),
}


OWN = {
    299: "Bancos a la sombra en el paseo del Molino",
    300: "Una fuente para perros junto al puente",
    301: "Taller de bicicletas en el mercado viejo",
}
"""Proposals of the robot that the recordings of forms change."""
TRIED = {"770": 0, "770b": 18, "770c": 19, "770d": 20, "771": 23, "771c": 0}
"""How often a wrong password had been tried before."""
AFTER_WRITES = re.compile(r"706[bc]-|707b-|761b-")
"""What the interface was asked after a recorded write."""


def is_visit(recording: Recording) -> bool:
    if AFTER_WRITES.match(recording.name):
        return True
    path = recording.request["path"].partition("?")[0]
    return path not in {"/graphql", "/graphql.json", "/consul.json"} and recording.response is not None


def excluded(version: str, recording: Recording) -> str | None:
    names = (recording.name, f"{version} {recording.name}")
    return next((why for pattern, why in EXCLUDED.items() if any(re.fullmatch(pattern, n) for n in names)), None)


def staged(recording: Recording) -> Stage:
    return next((stage for pattern, stage in STAGE.items() if re.fullmatch(pattern, recording.name)), Stage())


@cache
def recorded(version: str) -> tuple[Recording, ...]:
    found = [each for each in load(FOLDER / f"consul-{version}.jsonl") if is_visit(each)]
    # The English form was recorded after its translation had been added.
    return tuple(sorted(found, key=lambda each: "477z" if each.name.startswith("470b-") else each.name))


def city(version: str) -> ConsulSandbox:
    """The recorded city with the accounts of the recordings."""
    sandbox = ConsulSandbox(version=version, size=0)
    sandbox.load_recorded(version)
    word = "REDACTED"
    visits = 1 if version == "2.2.2" else 0  # there the account had signed in before
    add_account(sandbox, "Civic Sync", "civicsync@correo.example", word, id=ROBOT, document="20000001B", visits=visits)
    add_account(sandbox, "Una Otra", "otra@correo.example", word, id=904, document="10000000A")
    add_account(sandbox, "Sin Verificar", "sinverificar@correo.example", word, id=UNVERIFIED)
    add_account(sandbox, "Gestora", "gestora@correo.example", word, id=MANAGER, role="manager")
    add_account(sandbox, "Admin", "admin@correo.example", word, id=ADMIN, role="administrator")
    add_account(sandbox, "Nueva", "sin.confirmar@correo.example", word, id=905, confirmed=False)
    add_account(sandbox, "Tomàs Rius", "tomas.rius@correo.example", word, id=906, failed=20)
    add_account(sandbox, "Bloqueado Spam", "bloqueado.spam@correo.example", word, id=24).hidden = True
    add_account(sandbox, "Rosa de la Torre", "rosa.de.la.torre@correo.example", word, id=907)
    if version == "2.5.1":
        for own, title in OWN.items():
            _written(sandbox, own, title)
    sandbox.database.tables["users"].by_id[22].values.update(username="Usuaria Privada", public_activity=False)
    sandbox.database.tables["proposals"].by_id[139].values["published_at"] = None
    for each in recorded(version):
        # Drafts that were made for the recordings of publishing, and the address that they got.
        match = re.search(r"/proposals/(\d+)-([a-z0-9-]+?)/", each.headers.get("location", ""))
        if match and re.match(r"46[145]-", each.name):
            _draft(sandbox, int(match[1]), match[2])
    return sandbox


def _draft(sandbox: ConsulSandbox, own: int, slug: str) -> None:
    text = {"title": slug.replace("-", " ").capitalize(), "summary": "Resumen inventado", "description": "<p>x</p>"}
    values = {"cached_votes_up": 0, "comments_count": 0, "published_at": None}
    sandbox.database.tables["proposals"].add(Row(own, "proposal", {"es": text}, ROBOT, sandbox.clock(), values))


def _written(sandbox: ConsulSandbox, own: int, title: str, *, published: bool = True, author: int = ROBOT) -> None:
    text = {"title": title, "summary": "Resumen inventado", "description": "<p>x</p>"}
    values = {"cached_votes_up": 0, "comments_count": 0, "published_at": sandbox.clock() if published else None}
    heap = sandbox.database.tables["proposals"]
    heap.rows = [row for row in heap.rows if row.id != own]
    heap.add(Row(own, "proposal", {"es": text}, author, sandbox.clock(), values))


def _bound(recording: Recording) -> tuple[str, str] | None:
    """Address and verb of the form whose own token was sent; None: the page's token was."""
    note = recording.note or ""
    if "authenticity_token: the form's own" not in note and "the publish form's own" not in note:
        return None
    named = re.search(r"action is (/[\w/-]+)", note)
    form = dict(recording.request["body"]["form"])
    return named[1] if named else recording.request["path"], form.get("_method", "post")


def visit(sandbox: ConsulSandbox, recording: Recording, stage: Stage) -> Request:
    """The recorded request with a cookie and a token of this sandbox."""
    session: dict[str, Any] = {"locale": "en" if sandbox.version < "2.2" else "es"}
    if stage.flash:
        session["flash"] = ["alert", "…"]
    if stage.user is not None:
        session["user"] = stage.user
    if stage.waited is not None:
        session["stamp"] = sandbox.clock().timestamp() - stage.waited
    if stage.back:
        session["return_to"] = stage.back
    if stage.manager:
        session["manager"] = True
    if stage.managed:
        session["managed"] = ROBOT
    bound = _bound(recording)
    token = sandbox.sessions.token(session, *bound) if bound else sandbox.sessions.token(session)
    token = token if stage.token else "not-a-token"
    body = recording.request.get("body")
    if isinstance(body, dict) and body.keys() == {"form"}:
        known = {"authenticity_token": token} | ({"user[password]": "wrong"} if stage.wrong else {})
        pairs = [(n, known.get(n, v)) for n, v in body["form"]]
        body = {"form": [(n, _translation(sandbox, recording, n, v)) for n, v in pairs]}
    elif isinstance(body, dict) and "user" in body and stage.wrong:
        body = {"user": {**body["user"], "password": "wrong"}}
    headers = dict(recording.request.get("headers") or {})
    if "X-CSRF-Token" in headers:
        headers["X-CSRF-Token"] = token
    anonymous = "Cookie" not in headers
    headers["Cookie"] = "" if anonymous else f"{COOKIE}={sandbox.sessions.seal(session)}"
    headers.setdefault("Host", "participa.vallclara.example")
    return replace(recording, request={**recording.request, "headers": headers, "body": body}).asked()


def _translation(sandbox: ConsulSandbox, recording: Recording, name: str, value: Any) -> Any:
    if recording.name.startswith("503-") and name == "comment[parent_id]":
        return max(c.id for c in sandbox.database.children["proposal", 100])
    match = re.search(r"/proposals/(\d+)", recording.request["path"])
    if not (name.endswith("[0][id]") and match and str(value).isdigit()):
        return value
    rows = translations(sandbox, sandbox.database.tables["proposals"].by_id[int(match[1])])
    return min((each["id"] for each in rows if each["locale"] == "es"), default=value)


def fixed(sandbox: ConsulSandbox, recording: Recording, stage: Stage) -> None:
    """What stood in the way of this visit, and the number that the next proposal gets."""
    sandbox.processes["proposals"] = None if "off" in stage.switches else "t"
    sandbox.maps = "no maps" not in stage.switches
    sandbox.verification = "verification" in stage.switches
    sandbox.translation_interface = "translation_interface" in stage.switches
    match = re.search(r"/proposals/(\d+)", recording.headers.get("location", ""))
    if match and recording.request["path"] in {"/proposals", "/management/proposals"}:
        sandbox.sequence = int(match[1]) - 1
    sandbox.lockable, sandbox.mail_server = recording.name.startswith("77"), False
    tried = TRIED.get(recording.name.partition("-")[0])
    if tried is not None:
        sandbox.database.tables["users"].by_id[907].values["failed"] = tried
    page = re.fullmatch(r"/proposals/(\d+)-[\w-]+", recording.request["path"])
    if page and re.match(r"74|760-", recording.name):
        title = (recording.response or {})["html"]["title"]
        _written(sandbox, int(page[1]), title, published="draft" not in recording.name, author=OTHER)
    if "supports" in stage.switches:
        own = re.search(r"/proposals/(\d+)", recording.request["path"])
        assert own is not None
        sandbox.database.tables["proposals"].by_id[int(own[1])].values["cached_votes_up"] = 1001


def differences(recording: Recording, response: Response) -> list[str]:
    """As `compare`; but messages are in the session's language, and a counter of visits that 2.1 had is nothing to a client."""
    return [d for d in compare(recording, response) if not d.startswith(".error: ") and "ahoy_track" not in d]


DECORATION = re.compile(r"sdg|^commit$|^button$|^$|_language$|remember_me|image_attributes|documents_attributes")


def on_the_page(recording: Recording, response: Response) -> list[str]:
    """What differs between the forms and errors of the real page and ours."""
    real = (recording.response or {}).get("html")
    if not real or response.status != 200:
        return []
    soup = BeautifulSoup(response.body.decode(), "html.parser")
    # The first recordings of 2.2.2 name the summary of errors by its classes only.
    proposing = any("_proposal" in str(form.get("id")) for form in real.get("forms") or ())
    named = {".callout.alert": "#error_explanation"} if proposing else {}
    messages = [named.get(selector, selector) for selector, _ in real.get("messages") or ()]
    found: list[str] = []
    for selector in ("#error_explanation", "small.form-error", ".callout.notice.alert", ".callout.success"):
        there = any(each.startswith(selector) for each in messages)
        if there != bool(soup.select(selector)):
            found.append(f"{selector} is {'missing' if there else 'too much'}")
    if recording.name.startswith("74"):
        # A draft says so where its supports would be; signed out, the comments ask to sign in with a callout alike.
        draft = bool(soup.select('[id^="proposal_"][id$="_votes"] .callout.primary'))
        if draft != ("draft" in recording.name):
            found.append(f"the page {'says' if draft else 'does not say'} that it is a draft")
    for form in real.get("forms") or ():
        if not str(form.get("id") or "").startswith(("new_", "edit_")) or "comment" in str(form["id"]):
            continue
        mine = soup.select_one(f"form#{form['id']}")
        if mine is None:
            found.append(f"no form {form['id']}")
            continue
        if mine["action"] != form["action"]:
            found.append(f"{form['id']} goes to {mine['action']}, real {form['action']}")
        names = {str(f.get("name") or "") for f in form["fields"]}
        own = {str(f.get("name") or "") for f in mine.select("input, textarea, select")}
        different = {n for n in names ^ own if not DECORATION.search(n) and "translations_attributes][" not in n}
        different |= {n for n in names ^ own if re.search(r"attributes\]\[0\]", n)}
        if different:
            found.append(f"{form['id']}: fields {sorted(different)}")
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_web_side_answers_alike(version: str, record_property: Any) -> None:
    sandbox = city(version)
    judged = [each for each in recorded(version) if excluded(version, each) is None]
    wrong: dict[str, list[str]] = {}
    for each in recorded(version):
        stage = staged(each)
        if each not in judged and not each.name.startswith("473-"):
            continue
        fixed(sandbox, each, stage)
        response = sandbox.answer(visit(sandbox, each, stage))
        difference = [*differences(each, response), *on_the_page(each, response)]
        if difference and each in judged:
            wrong[each.name] = difference[:3]
    record_property("recordings", f"{len(judged) - len(wrong)} of {len(judged)} alike")
    assert not wrong
    assert len(judged) > 230


def test_locations_are_addresses_of_the_site() -> None:
    """Rails redirects to whole addresses; a client must not take the host for granted."""
    sandbox = city("2.5.1")
    each = next(r for r in recorded("2.5.1") if r.name == "421-create-ok")
    fixed(sandbox, each, Stage())
    location = sandbox.answer(visit(sandbox, each, Stage())).header("location") or ""
    assert urlsplit(location).netloc == "participa.vallclara.example"
