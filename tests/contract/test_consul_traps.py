"""The traps of CONSUL's web side that no single recording shows: what one visit does to the next."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.consul.sandbox.people import ADMINISTRATOR, ROBOT
from civicsync.connectors.testing.messages import Request, Response
from civicsync.core.clock import FakeClock

HTML = "text/html"
JS = "text/javascript"


class Browser:
    """Somebody with a browser: keeps the cookie, fills in forms."""

    def __init__(self, version: str = "2.5.1") -> None:
        self.clock = FakeClock()
        self.site = ConsulSandbox(version=version, size=20, clock=self.clock.now)
        self.cookie = ""

    def go(
        self,
        method: str,
        target: str,
        fields: Mapping[str, str] | None = None,
        *,
        accept: str = HTML,
        cookie: str | None = None,
    ) -> Response:
        path, _, query = target.partition("?")
        headers = [("Host", "toy.example"), ("Accept", accept), ("Cookie", self.cookie if cookie is None else cookie)]
        if fields is not None:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        body = urlencode(list(fields.items())).encode() if fields is not None else b""
        request = Request.of(method, path, raw_query=query, headers=headers, body=body, scheme="https")
        response = self.site.answer(request)
        if response.header("set-cookie"):
            self.cookie = str(response.header("set-cookie")).partition(";")[0]
        return response

    def token(self, target: str) -> str:
        page = BeautifulSoup(self.go("GET", target).body.decode(), "html.parser")
        found = page.select_one('meta[name="csrf-token"]')
        assert found is not None, f"{target} is not a page"
        return str(found["content"])

    def sign_in(self, account: Mapping[str, str] = ROBOT) -> None:
        token = self.token("/users/sign_in")
        fields = {"authenticity_token": token, "user[login]": account["login"], "user[password]": account["password"]}
        assert self.go("POST", "/users/sign_in", fields).status == 302

    def proposal(self, title: str = "Een titel", **more: str) -> dict[str, str]:
        """The fields of a proposal, after the form was loaded and read for ten seconds."""
        token = self.token("/proposals/new")
        self.clock.advance(10)
        stem = "proposal[translations_attributes][0]"
        fields = {
            "authenticity_token": token,
            f"{stem}[locale]": "nl",
            f"{stem}[title]": title,
            f"{stem}[summary]": "Kort",
        }
        return {**fields, f"{stem}[description]": "<p>Tekst</p>", "proposal[terms_of_service]": "1", **more}

    def create(self, **more: str) -> str:
        location = self.go("POST", "/proposals", self.proposal(**more)).header("location") or ""
        match = re.search(r"/proposals/(\d+)", location)
        assert match, location
        return match[1]

    def rows(self, title: str = "Een titel") -> list[Any]:
        return [r for r in self.site.database.tables["proposals"].rows if r.texts.get("nl", {}).get("title") == title]


@pytest.fixture
def browser() -> Browser:
    found = Browser()
    found.sign_in()
    return found


def test_an_old_cookie_publishes_twice(browser: Browser) -> None:
    fields = browser.proposal()
    before = browser.cookie
    assert browser.go("POST", "/proposals", fields).status == 302
    # With the newest cookie the clock is consumed; with the old one everything happens once more.
    assert (browser.go("POST", "/proposals", fields).header("location") or "").endswith("toy.example/")
    assert len(browser.rows()) == 1
    browser.go("POST", "/proposals", fields, cookie=before)
    assert len(browser.rows()) == 2


def test_a_refused_form_starts_a_new_clock(browser: Browser) -> None:
    assert browser.go("POST", "/proposals", browser.proposal("Abc")).status == 200
    fields = browser.proposal()
    assert browser.go("POST", "/proposals", {**fields, "proposal[terms_of_service]": "0"}).status == 200
    browser.clock.advance(3)
    assert browser.go("POST", "/proposals", fields).status == 302
    assert not browser.rows()


def test_the_trap_field_is_answered_with_nothing(browser: Browser) -> None:
    answer = browser.go("POST", "/proposals", browser.proposal(**{"proposal[subtitle]": "x"}))
    assert (answer.status, answer.body) == (200, b"")
    assert not browser.rows()


def test_signing_in_makes_old_tokens_worthless() -> None:
    browser = Browser()
    token = browser.token("/users/sign_in")
    browser.sign_in()
    assert browser.go("DELETE", "/users/sign_out", {"authenticity_token": token}).status == 422


def test_a_careless_edit_adds_a_second_row_and_loses_the_place(browser: Browser) -> None:
    stem = "proposal[map_location_attributes]"
    own = browser.create(**{f"{stem}[latitude]": "52.1", f"{stem}[longitude]": "4.2", f"{stem}[zoom]": "12"})
    row = browser.rows()[0]
    assert row["place"] == ("52.1", "4.2", "12")
    token = browser.token(f"/proposals/{own}/edit")
    browser.clock.advance(5)
    block = "proposal[translations_attributes][0]"
    fields = {
        "_method": "patch",
        "authenticity_token": token,
        f"{block}[locale]": "nl",
        f"{block}[title]": "Nieuwe titel",
    }
    assert browser.go("POST", f"/proposals/{own}", {**fields, f"{block}[summary]": "Kort"}).status == 302
    assert len(row["translations"]) == 2 and row["place"] is None
    assert row.texts["nl"]["title"] == "Een titel", "the old row is the one that is shown"


@pytest.mark.parametrize("accept", [HTML, "application/json"])
def test_406_does_not_mean_that_nothing_happened(browser: Browser, accept: str) -> None:
    supports = browser.site.database.tables["proposals"].by_id[2]["cached_votes_up"]
    browser.site.database.tables["proposals"].by_id[2].created_at = browser.clock.now()
    token = browser.token("/account")
    fields = {"authenticity_token": token}
    assert browser.go("POST", "/proposals/2/vote", fields, accept=accept).status == 406
    assert browser.site.database.tables["proposals"].by_id[2]["cached_votes_up"] == supports + 1
    told = {**fields, "comment[body]": "Ja", "comment[commentable_type]": "Proposal", "comment[commentable_id]": "2"}
    before = len(browser.site.database.tables["comments"].rows)
    assert browser.go("POST", "/comments", told, accept=accept).status == 406
    assert len(browser.site.database.tables["comments"].rows) == before + 1
    # A support is given once only.
    assert browser.go("POST", "/proposals/2/vote", fields, accept=JS).status == 200
    assert browser.site.database.tables["proposals"].by_id[2]["cached_votes_up"] == supports + 1


def test_only_administrators_comment_as_such() -> None:
    fields = {"comment[body]": "Officieel", "comment[commentable_type]": "Proposal", "comment[commentable_id]": "2"}
    for account, official in ((ROBOT, None), (ADMINISTRATOR, True)):
        browser = Browser()
        browser.sign_in(account)
        told = {**fields, "authenticity_token": browser.token("/account"), "comment[as_administrator]": "1"}
        assert browser.go("POST", "/comments", told, accept=JS).status == 200
        assert browser.site.database.tables["comments"].rows[-1]["administrator"] is official


def test_a_nul_byte_breaks_the_database_not_the_form(browser: Browser) -> None:
    assert browser.go("POST", "/proposals", browser.proposal("Een \x00 titel")).status == 500
    assert not browser.rows("Een \x00 titel")


def test_pages_of_authors_are_strict(browser: Browser) -> None:
    person = browser.site.database.tables["users"].by_id[2]
    path = browser.site.user_path(person)
    assert browser.go("GET", path).status == 200
    for wrong in ("/users/2", f"{path}x", "/users/99999-x"):
        assert browser.go("GET", wrong).status == 404
    person.values["username"] = None
    assert browser.go("GET", "/users/2-").status == 500
    person.hidden = True
    assert browser.go("GET", path).status == 404


def test_a_draft_is_on_its_authors_page_and_not_in_the_list(browser: Browser) -> None:
    own = browser.create()
    robot = browser.site.database.tables["users"].by_id[browser.rows()[0].author]
    item = f'id="proposal_{own}"'
    assert item in browser.go("GET", f"{browser.site.user_path(robot)}?filter=proposals").body.decode()
    assert item not in browser.go("GET", "/proposals?order=created_at").body.decode()
    token = browser.token(f"/proposals/{own}/created")
    assert (
        browser.go("POST", f"/proposals/{own}/publish", {"_method": "patch", "authenticity_token": token}).status == 302
    )
    assert item in browser.go("GET", "/proposals?order=created_at").body.decode()
    assert browser.site.mails == {"proposal created": 1, "proposal published": 1}


def test_a_blocked_account_is_out_at_once(browser: Browser) -> None:
    browser.create()
    browser.site.change("block_author", id=browser.rows()[0].id)
    assert (browser.go("GET", "/proposals/new").header("location") or "").endswith("/users/sign_in")


def test_locking_cannot_be_told_from_a_typo() -> None:
    browser = Browser()
    browser.site.lockable = True
    wrong = {"user[login]": ROBOT["login"], "user[password]": "typo"}
    right = {**wrong, "user[password]": ROBOT["password"]}
    for _ in range(20):
        assert (
            browser.go(
                "POST", "/users/sign_in", {**wrong, "authenticity_token": browser.token("/users/sign_in")}
            ).status
            == 200
        )
    assert (
        browser.go("POST", "/users/sign_in", {**right, "authenticity_token": browser.token("/users/sign_in")}).status
        == 200
    )


@given(
    st.sampled_from(
        [
            "/proposals",
            "/comments",
            "/users/sign_in",
            "/proposals/2",
            "/proposals/2/retire",
            "/admin/proposals/2/milestones",
        ]
    ),
    st.dictionaries(
        st.sampled_from(
            [
                *(
                    "proposal",
                    "proposal[translations_attributes]",
                    "proposal[translations_attributes][0]",
                    "comment",
                    "user",
                    "user[login]",
                ),
                *(
                    "proposal[translations_attributes][0][title][x]",
                    "proposal[map_location_attributes]",
                    "page",
                    "locale",
                    "_method",
                ),
                *(
                    "milestone",
                    "milestone[translations_attributes][]",
                    "[x]",
                    "a]b[",
                    "proposal[geozone_id][]",
                    "comment[commentable_id]",
                ),
            ]
        ),
        st.text(max_size=5),
        max_size=5,
    ),
)
@settings(max_examples=150, deadline=None)
def test_nonsense_is_answered_too(target: str, fields: dict[str, str]) -> None:
    """An exception of the sandbox is a bug of ours, never the platform's word."""
    browser = Browser()
    browser.sign_in(ADMINISTRATOR)
    token = browser.token("/proposals/new")
    browser.clock.advance(10)
    assert browser.go("POST", target, {**fields, "authenticity_token": token}).status < 600
    assert browser.go("GET", f"/proposals?{urlencode(fields)}").status < 600
