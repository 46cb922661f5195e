"""The sandbox is not kinder than the real Your Priorities (docs/platforms/your-priorities.md 9)."""

from typing import Any

import msgspec
import pytest

from civicsync.connectors.testing.messages import Request, Response
from civicsync.connectors.testing.sandbox.sandbox import NoAnswer
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.core.clock import FakeClock

JSON = {"Content-Type": "application/json", "User-Agent": "civicsync/1.0 (+https://example.org)", "Host": "127.0.0.1:9"}


class Client:
    """Asks a sandbox, without any network."""

    def __init__(self, size: int = 120, **options: Any) -> None:
        self.clock = FakeClock()
        self.sandbox = YourPrioritiesSandbox(size=size, clock=self.clock.now, **options)

    def __call__(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> Response:
        given = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        path, _, query = path.partition("?")
        raw = b"" if body is None else msgspec.json.encode(body)
        return self.sandbox.answer(Request.of(method, path, raw_query=query, headers=given.items(), body=raw))

    def json(self, path: str, **headers: str) -> Any:
        response = self(path, **headers)
        assert response.status == 200, response.body
        return msgspec.json.decode(response.body)


BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"Content_Type": "text/plain"}, True),
        ({"Content_Type": "application/json; charset=utf-8"}, True),
        ({"Content_Type": "application/json"}, False),
        ({"Content_Type": "", "x_api_key": "anything"}, False),
        ({"Content_Type": "", "User_Agent": BROWSER}, False),
        ({"Content_Type": "", "User_Agent": ""}, False),
        ({"Content_Type": "", "User_Agent": "Mozilla/5.0 (compatible; civicsync/1.0)"}, True),
        ({"Content_Type": "", "User_Agent": "python-httpx/0.28"}, True),
        ({"Content_Type": "", "User_Agent": "curl/8"}, True),
        ({"Content_Type": "", "User_Agent": "Googlebot/2.1"}, False),
    ],
)
def test_bot_filter(headers: dict[str, str], page: bool) -> None:
    response = Client(0)("/api/groups/1", **headers)
    assert response.status == 200
    assert (response.header("content-type") or "").startswith("text/html" if page else "application/json")


def test_bad_bots_are_limited() -> None:
    ask = Client(0)
    statuses = [ask("/api/groups/1", User_Agent="scrapy/2").status for _ in range(32)]
    assert statuses == [200] * 30 + [429] * 2
    ask.clock.advance(901)
    assert ask("/api/groups/1", User_Agent="scrapy/2").status == 200


def test_hosts() -> None:
    ask = Client(0)
    assert ask.json("/api/domains", Host="hugmyndir.example").keys() == {"domain"}
    assert ask.json("/api/domains", Host="midbaer.hugmyndir.example")["community"]["id"] == 1
    for host in ("www.hugmyndir.example", "nosuch.hugmyndir.example"):
        assert "community" not in ask.json("/api/domains", Host=host)
    for host in ("hugmyndir.example:443", "else.where", "a.b.hugmyndir.example"):
        assert ask("/api/domains", Host=host).status == 500
    assert ask("/api/groups/1", Host="else.where").status == 200
    for host in ("localhost:8080", "127.0.0.1", "toy.localhost:1", "[::1]:80"):
        assert ask("/api/domains", Host=host).status == 200


def test_a_session_for_everybody_without_one() -> None:
    ask = Client(0)
    cookie = ask("/api/groups/1").header("set-cookie") or ""
    assert cookie.startswith("yrpri.sid=s%3A") and "HttpOnly" in cookie and "Secure" in cookie
    elsewhere = {"Host": "hugmyndir.example"}
    assert "Secure" in (ask("/api/groups/1", X_Forwarded_Proto="https", **elsewhere).header("set-cookie") or "")
    assert ask("/api/groups/1", **elsewhere).header("set-cookie") is None
    assert ask("/api/groups/1", Cookie=cookie.partition(";")[0]).header("set-cookie") is None
    assert ask("/api/groups/1", Cookie="yrpri.sid=unknown").header("set-cookie")


def test_missing_and_forbidden_look_alike() -> None:
    ask = Client()
    ask.sandbox.change("delete", id=1)
    ask.sandbox.change("hide", id=2)
    for path in ("posts/1", "posts/2", "posts/999999", "posts/abc", "groups/999999", "groups/7", "communities/3"):
        response = ask(f"/api/{path}")
        assert (response.status, response.body) == (401, b"Unauthorized")
    assert ask("/api/groups/1.5").status == 404
    assert ask("/api/nonexistent").status == 404
    assert ask("/api/groups/9").status == 200


def test_post_in_a_public_group_of_a_closed_community_is_readable_by_id() -> None:
    ask = Client(200)
    own = next(post for post in ask.sandbox.database.posts.values() if post["group_id"] == 11 and not post["deleted"])
    assert ask(f"/api/posts/{own['id']}").status == 200
    assert ask("/api/groups/11").status == 401
    assert ask("/api/groups/11/posts/oldest/null/open").status == 401


def test_four_lists_of_twenty() -> None:
    ask = Client(200)
    path = "/api/groups/1/posts/oldest/null"
    first = ask.json(f"{path}/open?limit=500")
    assert len(first["posts"]) == 20 < first["totalPostsCount"]
    second = ask.json(f"{path}/open?offset=20")
    dates = [post["created_at"] for post in first["posts"] + second["posts"]]
    assert dates == sorted(dates)
    assert ask.json(f"{path}/open?offset=9999")["posts"] == []
    for status in ("all", "finished", "not_open"):
        assert ask(f"{path}/{status}").status == 404
    assert ask(path).status == 404
    for bad in (f"{path}/open?offset=-1", f"{path}/open?offset=abc", "/api/groups/1/posts/oldest/abc/open"):
        assert ask(bad).status == 500
    assert ask.json("/api/groups/1/posts/bogus/null/open") == ask.json("/api/groups/1/posts/top/null/open")


def test_lists_are_stale_for_three_seconds_and_single_posts_are_not() -> None:
    ask = Client()
    path = "/api/groups/1/posts/oldest/null/open"
    before = ask.json(f"{path}?offset=0")
    own = str(before["posts"][0]["id"])
    ask.sandbox.change("edit", id=own, title="Nýtt")
    assert ask.json(f"{path}?offset=0") == before
    assert ask.json(path)["posts"][0]["name"] == "Nýtt"
    assert ask.json(f"/api/posts/{own}")["name"] == "Nýtt"
    ask.clock.advance(3.1)
    assert ask.json(f"{path}?offset=0")["posts"][0]["name"] == "Nýtt"


def test_odd_status_is_in_no_list() -> None:
    ask = Client()
    own = ask.json("/api/groups/1/posts/oldest/null/open")["posts"][0]["id"]
    ask.sandbox.change("odd_status", id=own)
    ask.clock.advance(4)
    for status in ("open", "successful", "failed", "in_progress"):
        assert own not in [post["id"] for post in ask.json(f"/api/groups/1/posts/newest/null/{status}")["posts"]]
    assert ask.json(f"/api/posts/{own}")["official_status"] == 7


def test_new_points_need_their_parameter() -> None:
    ask = Client()
    own = next(
        post["id"]
        for post in ask.sandbox.database.posts.values()
        if post["counter_points"] > 2 and post["group_id"] == 1 and ask.sandbox.database.visible(post)
    )
    assert ask.json(f"/api/posts/{own}/newPoints") == []
    found = ask.json(f"/api/posts/{own}/newPoints?latestPointCreatedAt=1970-01-01T00:00:00.000Z")
    assert len(found) >= 3 and "ip_address" in found[0]["Post"]
    assert {point["content_type"] for point in found} == {0, 2}
    assert ask(f"/api/posts/{own}/newPoints?latestPointCreatedAt=garbage").status == 500


def test_activities() -> None:
    ask = Client(300)
    path = "/api/activities/groups/1"
    first = ask.json(path)
    assert len(first["activities"]) == 20
    oldest = first["oldestProcessedActivityAt"]
    after = "2024-01-10T08:00:00.000Z"
    both = ask.json(f"{path}?beforeDate={oldest}&afterDate=2030-01-01T00:00:00.000Z")
    assert both == ask.json(f"{path}?beforeDate={oldest}") and both["activities"]
    assert all(one["created_at"] < oldest for one in both["activities"])
    assert ask.json(f"{path}?afterDate={after}")["activities"] == first["activities"]
    assert ask(f"{path}?afterDate=garbage").status == 500
    own = next(one["post_id"] for one in first["activities"] if one["Post"])
    ask.sandbox.change("hide", id=own)
    entries = [one for one in ask.json(path)["activities"] if one["post_id"] == own]
    assert entries and all(one["Post"] is None for one in entries)
    ask.sandbox.change("delete", id=own)
    assert own not in [one["post_id"] for one in ask.json(path)["activities"]]


def test_the_worker_is_a_little_late() -> None:
    ask = Client()
    own = int(ask.sandbox.change("add_proposal", title="Ný"))
    newest = ask.json("/api/activities/groups/1")["activities"][0]
    assert newest["post_id"] != own
    ask.clock.advance(1)
    assert ask.json("/api/activities/groups/1")["activities"][0]["post_id"] == own


def test_status_changes_are_numbers_as_text() -> None:
    ask = Client()
    own = ask.sandbox.change("add_proposal", title="Ný")
    ask.clock.advance(1)
    ask.sandbox.change("answer", id=own, status=-2)
    ask.clock.advance(1)
    ask.sandbox.change("answer_text", id=own)
    ask.clock.advance(1)
    found = ask.json(f"/api/activities/posts/{own}")["activities"]
    assert [one["PostStatusChange"]["status_changed_to"] for one in found[:2]] == [None, "-2"]


def test_what_never_answers() -> None:
    ask = Client(0)
    with pytest.raises(NoAnswer):
        ask("/api/groups/1/search/a&&")
    assert ask("/api/news_feeds/groups/1").status == 401


def test_signing_in() -> None:
    ask = Client(0)
    block = ask.sandbox.instance_block("http://127.0.0.1:9")
    account = {"identifier": block["email"], "password": block["password"]}
    assert ask("/api/users/login", "POST", {**account, "identifier": block["email"].upper()}).status == 401
    assert ask("/api/users/login", "POST", {"username": block["email"], "password": "x"}).status == 400
    assert ask("/api/users/login", "POST", account, Host="else.where").status == 500
    response = ask("/api/users/login", "POST", account)
    cookie = (response.header("set-cookie") or "").partition(";")[0]
    assert ask.json("/api/users/loggedInUser/isloggedin", Cookie=cookie)["email"] == block["email"]
    assert ask.json("/api/users/loggedInUser/isloggedin")["notLoggedIn"] is True
    assert ask("/api/groups/7", Cookie=cookie).status == 200
    rights = ask("/api/users/loggedInUser/adminRights")
    assert (rights.body, rights.header("content-type")) == (b"0", "text/html; charset=utf-8")
    with pytest.raises(NoAnswer):
        ask("/api/news_feeds/groups/1", Cookie=cookie)
    assert ask("/api/users/logout", "POST", {}, Cookie=cookie).status == 200
    assert ask("/api/groups/7", Cookie=cookie).status == 401


def test_folders_links_and_hidden_groups() -> None:
    ask = Client(0)
    listed = {one["id"] for one in ask.json("/api/communities/1")["Groups"]}
    assert listed == {1, 3, 4, 5, 6, 7, 10}
    assert [one["id"] for one in ask.json("/api/groups/6/groupFolder")["group"]["Groups"]] == [2]
    assert ask("/api/groups/1/groupFolder").status == 500
    sitemap = ask("/sitemap.xml").body.decode()
    assert "/group/2<" in sitemap and "/group/10<" not in sitemap and "/group/9<" not in sitemap
    assert ask("/sitemap.xml", Content_Type="text/plain").body.decode() == sitemap


def test_conditional_get_and_writes_by_a_visitor() -> None:
    ask = Client(0)
    tag = ask("/api/groups/1").header("etag") or ""
    assert ask("/api/groups/1", If_None_Match=tag).status == 304
    for method, path in (("POST", "posts/1"), ("PUT", "posts/1"), ("DELETE", "posts/1"), ("POST", "points/1")):
        assert ask(f"/api/{path}", method, {}).status == 401
    assert ask("/api/nonexistent", "POST", {}).status == 404


def test_the_same_seed_is_the_same_city() -> None:
    one, two = YourPrioritiesSandbox(size=60, seed=4), YourPrioritiesSandbox(size=60, seed=4)
    assert one.truth() == two.truth()
    assert YourPrioritiesSandbox(size=60, seed=5).truth() != one.truth()
    assert len(one.truth()["proposals"]) == 60
