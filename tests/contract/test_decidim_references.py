"""What Decidim's content pipeline makes of numbers, names, hashtags and own links: recorded exchanges judge the sandbox, value by value."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest

from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.decidim.sandbox.accounts import Account
from civicsync.connectors.decidim.sandbox.model import Component, Proposal, Rules, Space
from civicsync.connectors.testing.messages import Request
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
LONG_AGO = datetime(2026, 2, 1, tzinfo=UTC)


class City:
    """A site in which proposals 2 and 48 are public, as on the recorded ones."""

    def __init__(self, line: str, slug: str, component: int) -> None:
        version = {"0.28": "0.28.6"}.get(line, line)
        self.sandbox = DecidimSandbox(version=version, size=0, throttle=False, locales=("ca", "es", "en"))
        self.recordings = {each.name.partition("-")[0]: each for each in load(FOLDER / f"decidim-{line}.jsonl")}
        database = self.sandbox.database
        database.spaces.clear()
        database.components.clear()
        space = database.add_space(Space(1, "process", slug, {"ca": ("Pla", False)}))
        rules = Rules(longest=2000)
        home = database.add_component(Component(component, "Proposals", {}, space, LONG_AGO, rules=rules))
        for own in (2, 48):
            text = {"ca": (f"Proposta {own}", False)}
            database.add(
                Proposal(own, "proposal", home, text, text, LONG_AGO, LONG_AGO, author=5, published_at=LONG_AGO)
            )
        people = self.sandbox.accounts
        self.admin = people.add(Account(2, "a@x.example", "right", "A", "ajuntament", "ca", admin=True))
        self.author = people.add(Account(22, "b@x.example", "right", "B", "civicsync_oficial", "ca"))
        people.add(Account(5, "c@x.example", "right", "C", "ona", "ca"))

    def play(self, number: str, who: Account | None, created: int = 0) -> tuple[Recording, Any]:
        recording = self.recordings[number]
        self.sandbox.next_id = created
        session = self.sandbox.accounts.start(who)
        asked = recording.asked()
        headers = {**asked.headers, "cookie": f"_session_id={session.key}"}
        body = asked.body
        if asked.media_type == "application/x-www-form-urlencoded":
            pairs = parse_qsl(body.decode(), keep_blank_values=True)
            body = urlencode([(n, session.secret if n == "authenticity_token" else v) for n, v in pairs]).encode()
        request = Request.of(asked.method, asked.path, headers=headers.items(), body=body)
        response = self.sandbox.answer(request)
        found = [each for each in compare(recording, response) if not each.startswith("cookie")]
        assert not found
        return recording, response


def told(value: Any) -> Any:
    """The texts of an answer, with the names that a site gives by itself left out: its application, and the rows of hashtags."""
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items() if name not in {"publishedAt", "url"}}
    if isinstance(value, list):
        return [told(each) for each in value]
    if isinstance(value, str):
        return re.sub(r"Hashtag/\d+/", "Hashtag/N/", re.sub(r"gid://[^/]+/", "gid://app/", value))
    return value


def alike(recording: Recording, response: Any) -> None:
    assert told(msgspec.json.decode(response.body)) == told(recording.json)


def test_the_forms_of_0_28_rewrite_what_refers_to_something() -> None:
    city = City("0.28", "pressupostos", 29)
    city.play("700", city.author, created=403)
    city.play("701", city.author)
    city.play("702", city.author)
    alike(*city.play("703", None))
    city.play("704", city.admin, created=404)
    alike(*city.play("705", None))


@pytest.mark.parametrize(("number", "created"), [("797", 253), ("798b", 254)])
def test_the_mutation_of_0_32_rewrites_what_refers_to_something(number: str, created: int) -> None:
    city = City("0.32", "pla-barri", 1)
    alike(*city.play(number, city.author, created=created))
    if number == "797":
        alike(*city.play("798", None))


@pytest.mark.parametrize(("line", "number"), [("0.28", "706"), ("0.32", "785")])
def test_the_organization_has_a_name_of_its_own(line: str, number: str) -> None:
    city = City(line, "pla", 1)
    _, response = city.play(number, None)
    assert msgspec.json.decode(response.body)["data"]["decidim"]["applicationName"] == "My Application Name"


def test_inside_an_official_link_the_page_drops_the_address() -> None:
    city = City("0.28", "pressupostos", 29)
    city.play("704", city.admin, created=404)
    path = "/processes/pressupostos/f/29/proposals/404"
    page = city.sandbox.answer(
        Request.of("GET", path, headers=[("Host", "participa.vallferrera.example")])
    ).body.decode()
    assert "<a>proposta</a>" in page
    assert '<a href="/processes/pressupostos/f/29/proposals/48">48</a>' in page
    assert "[x:a/b/48.2abc]" in page
