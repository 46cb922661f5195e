"""The sandbox's write side is not kinder than the real one (docs/platforms/your-priorities.md 0, 5, 8, 9)."""

from typing import Any

import msgspec
import pytest

from civicsync.connectors.testing.messages import Request, Response
from civicsync.connectors.testing.sandbox.sandbox import NoAnswer
from civicsync.connectors.your_priorities.sandbox import YourPrioritiesSandbox
from civicsync.connectors.your_priorities.sandbox.populate import ADMIN, BOT, BOT_EMAIL, BOT_PASSWORD
from civicsync.core.clock import FakeClock

HEADERS = {"Content-Type": "application/json", "User-Agent": "civicsync/1.0", "Host": "127.0.0.1:9"}
POST = {"name": "Ný hugmynd", "description": "Lýsing", "location": ""}
PERSON = 7


class Client:
    """Asks a sandbox as somebody, without any network."""

    def __init__(self, user: int | None = BOT, size: int = 60) -> None:
        self.clock = FakeClock()
        self.sandbox = YourPrioritiesSandbox(size=size, clock=self.clock.now)
        self.sandbox.sessions["test"] = user

    def __call__(self, step: str, body: Any = None, user: int | None = -1, **headers: str) -> Response:
        if user != -1:
            self.sandbox.sessions["test"] = user
        method, path = step.split(" ")
        path, _, query = path.partition("?")
        given = {**HEADERS, "Cookie": "yrpri.sid=test", **headers}
        raw = b"" if body is None else msgspec.json.encode(body)
        request = Request.of(method, f"/api/{path}", raw_query=query, headers=given.items(), body=raw)
        return self.sandbox.answer(request)

    def json(self, step: str, body: Any = None, user: int | None = -1) -> Any:
        response = self(step, body, user)
        assert response.status == 200, response.body
        return msgspec.json.decode(response.body)

    def status(self, step: str, body: Any = None, user: int | None = -1) -> int:
        return self(step, body, user).status

    def row(self, own: Any) -> dict[str, Any]:
        return self.sandbox.database.posts[int(own)]


def test_login_makes_a_new_session_and_the_old_one_ends() -> None:
    ask = Client(None)
    login = {"identifier": BOT_EMAIL, "password": BOT_PASSWORD}
    cookie = ask("POST users/login", login).header("set-cookie") or ""
    assert "Secure" in cookie and "test" not in ask.sandbox.sessions
    elsewhere = ask("POST users/login", login, Host="hugmyndir.example")
    assert elsewhere.status == 200 and elsewhere.header("set-cookie") is None
    behind = ask("POST users/login", login, Host="hugmyndir.example", **{"X-Forwarded-Proto": "https"})
    assert "Domain=.hugmyndir.example" not in (behind.header("set-cookie") or "") and behind.header("set-cookie")
    assert ask.status("POST users/login", {**login, "identifier": BOT_EMAIL.upper()}) == 401
    refused = ask("POST users/login", {**login, "password": "x"})
    assert (refused.status, refused.body, refused.header("content-type")) == (401, b"Unauthorized", None)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"location": None}, 200),
        ({"location": '{"latitude": 1}'}, 200),
        ({"location": {"latitude": 1}}, 500),
        ({"location": "not json"}, 500),
        ({"name": "x" * 255}, 200),
        ({"name": "x" * 256}, 500),
        ({"name": ""}, 200),
        ({"name": None}, 500),
        ({"categoryId": 999}, 500),
        ({"categoryId": 5}, 200),  # of another group: accepted
        ({"description": None}, 200),
    ],
)
def test_create(change: dict[str, Any], status: int) -> None:
    ask = Client()
    before = len(ask.sandbox.database.posts)
    assert ask.status("POST posts/1", {**POST, **change}) == status
    assert len(ask.sandbox.database.posts) == before + (status == 200)


def test_create_without_location() -> None:
    assert Client().status("POST posts/1", {"name": "x", "description": "x"}) == 500


def test_a_new_post_has_its_authors_vote_and_comes_to_lists_and_feed_later() -> None:
    ask = Client()
    path = "GET groups/1/posts/newest/null/open?offset=0"
    before = ask.json(path)["totalPostsCount"]
    made = ask.json("POST posts/1", POST)
    assert made["counter_endorsements_up"] == 1 and made["newEndorsement"]["value"] == 1
    assert ask.json("GET users/loggedInUser/isloggedin")["Endorsements"] == [
        {"id": 1, "value": 1, "post_id": made["id"], "Post": {"group_id": 1}}
    ]
    assert ask.json(path)["totalPostsCount"] == before
    assert ask.json(f"{path}&randomSeed=5")["totalPostsCount"] == before + 1, "the seed is part of the cache's key"
    assert not ask.json(f"GET activities/posts/{made['id']}")["activities"]
    ask.clock.advance(3)
    assert ask.json(path)["totalPostsCount"] == before + 1
    assert ask.json(f"GET activities/posts/{made['id']}")["activities"][0]["type"] == "activity.post.new"
    again = ask.json("POST posts/1", POST)
    assert again["id"] != made["id"], "nothing is recognised"


def test_nothing_asks_whether_a_group_takes_posts() -> None:
    ask = Client(PERSON)
    ask.sandbox.change("configure", group=1, canAddNewPosts=False, postDescriptionLimit="1")
    ask.sandbox.database.groups[1]["status"] = "archived"
    for group, status in ((1, 200), (11, 200), (7, 401), (8, 401), (999, 401)):
        assert ask.status(f"POST posts/{group}", POST) == status, group
    assert ask.status("POST posts/3", POST) == 200, "open to the community, of which the first post made a member"
    ask.sandbox.change("configure", group=1, forceSecureSamlLogin=True)
    assert ask.status("POST posts/1", POST) == 401
    assert ask.status("POST posts/1", POST, user=BOT) == 200
    assert ask.status("POST posts/1", POST, user=None) == 401


def test_blocked_by_default_is_invisible_for_everybody() -> None:
    ask = Client(PERSON)
    ask.sandbox.change("configure", group=1, allPostsBlockedByDefault=True)
    made = ask.json("POST posts/1", {**POST, "publicPrivateData": '{"civicsync": "x"}'})
    own = made["id"]
    assert made["status"] == "blocked"
    for user in (PERSON, BOT, None):
        assert ask.status(f"GET posts/{own}", user=user) == 401
        assert ask.status(f"PUT posts/{own}", POST) == ask.status(f"DELETE posts/{own}/endorse") == 401
        assert ask.json("GET groups/1/get_posts_with_public_private") == []
    listed = ask.json("GET groups/1/moderate_all_content", user=BOT)
    assert [each["status"] for each in listed if each["id"] == own and each["type"] == "post"] == ["blocked"]
    assert ask.status("GET groups/1/moderate_all_content", user=PERSON) == 401
    approve = f"DELETE groups/1/{own}/post/approve/process_one_moderation_item"
    assert ask.status(approve, user=PERSON) == 401
    assert ask.status(approve, user=BOT) == 200
    assert ask.status(f"GET posts/{own}") == 200
    assert ask.json("GET groups/1/get_posts_with_public_private") == [
        {"id": own, "publicPrivateData": {"civicsync": "x"}}
    ]


def test_votes() -> None:
    ask = Client(PERSON)
    own = ask.json("POST posts/1", POST, user=BOT)["id"]
    vote = f"posts/{own}/endorse"

    def counters() -> tuple[int, int]:
        return ask.row(own)["counter_endorsements_up"], ask.row(own)["counter_endorsements_down"]

    assert ask.status(f"DELETE {vote}", user=PERSON) == 404
    first = ask.json(f"POST {vote}", {"value": -1})
    assert first["endorsement"]["PostId"] == str(own) and "oldEndorsementValue" not in first and counters() == (1, 1)
    assert ask.json(f"POST {vote}", {"value": 5})["oldEndorsementValue"] == -1 and counters() == (2, 0)
    with pytest.raises(NoAnswer):
        ask(f"POST {vote}", {})
    assert ask.status(f"POST {vote}", {"value": 0}) == 500 and counters() == (1, 0)
    assert ask.status(f"DELETE {vote}") == 500
    assert ask.json(f"DELETE {vote}", user=BOT)["endorsement"]["value"] == 0 and counters() == (0, 0)
    assert ask.status(f"DELETE {vote}") == 500
    for setting in (False, None):
        ask.sandbox.change("configure", group=1, canVote=setting)
        assert ask.status(f"POST {vote}", {"value": 1}) == 401


def test_edit_and_delete() -> None:
    ask = Client(PERSON)
    own = ask.json("POST posts/1", {**POST, "categoryId": 2, "coverMediaType": "image", "tags": "a"})["id"]
    assert ask.status(f"PUT posts/{own}", POST, user=8) == 401
    assert ask.status(f"PUT posts/{own}", {"name": "x"}, user=PERSON) == 500
    for missing in ("name", "description"):
        with pytest.raises(NoAnswer):
            ask(f"PUT posts/{own}", {k: v for k, v in POST.items() if k != missing})
    changed = ask.json(f"PUT posts/{own}", {**POST, "name": "Breytt"})
    assert "category_id" not in changed and changed["CategoryId"] == 2
    row = ask.row(own)
    assert (row["name"], row["category_id"], row["cover_media_type"]) == ("Breytt", 2, "image")
    assert row["public_data"] == {"tags": "a"}
    ask.json(f"PUT posts/{own}", {**POST, "categoryId": ""}, user=BOT)
    assert row["category_id"] is None and row["user_id"] == PERSON
    assert ask.status(f"DELETE posts/{own}", user=8) == 401
    assert [ask.status(f"DELETE posts/{own}", user=PERSON) for _ in range(2)] == [200, 401]


def test_official_statuses_are_for_group_admins() -> None:
    ask = Client(PERSON)
    own = ask.json("POST posts/1", POST)["id"]
    said = {"official_status": 2, "content": "Samþykkt"}
    assert ask.status(f"POST posts/{own}/status_change", said) == 401, "its author may not"
    ask.sandbox.database.members.add(("communities_admins", 1, PERSON))
    assert ask.status(f"POST posts/{own}/status_change", said) == 401, "nor an admin of the community"
    ask.sandbox.change("support", id=own, times=4)
    assert ask.status(f"POST posts/{own}/status_change", {"official_status": 2}, user=ADMIN) == 500
    for _ in range(2):
        assert ask(f"POST posts/{own}/status_change", said).body == b"OK"
    assert ask.sandbox.emails == 10, "everybody who voted, every time"
    assert ask.status(f"POST posts/{own}/status_change_no_emails", {"official_status": 7}) == 200
    assert ask.sandbox.emails == 10 and ask.row(own)["official_status"] == 7
    ask.clock.advance(1)
    feed = ask.json(f"GET activities/posts/{own}")["activities"]
    changes = [each["PostStatusChange"]["status_changed_to"] for each in feed if each["PostStatusChange"]]
    assert changes == [None, "2"], "a number as text; null where only the text is new"


def test_arguments() -> None:
    ask = Client(PERSON)
    own = ask.json("POST posts/1", POST)["id"]
    assert ask.status("POST points/1", {"content": "x", "postId": own}) == 500
    assert ask.status("POST points/1", {"content": "x", "value": 1}) == 500
    made = ask.json("POST points/1", {"content": "Rök", "value": 1, "postId": own})
    assert made["language"] == "en-US" and "@" in made["User"]["email"] and ask.row(own)["counter_points"] == 1
    assert ask.status(f"PUT points/{made['id']}", {"content": "y"}, user=8) == 401
    changed = ask.json(f"PUT points/{made['id']}", {"content": "Ný rök"}, user=PERSON)
    assert changed["content"] == "Rök" and changed["PointRevisions"][-1]["content"] == "Ný rök"
    ask.sandbox.database.points[made["id"]]["counter_quality_up"] = 6
    assert ask.status(f"PUT points/{made['id']}", {"content": "z"}) == 401
    assert ask.status(f"POST points/{made['id']}/comment", {"comment": {"content": "Já"}}) == 200
    assert ask.row(own)["counter_points"] == 1
    # A deleted argument lowers no counter (docs/platforms/your-priorities.md 4.3).
    assert ask.status(f"DELETE points/{made['id']}") == 200 and ask.row(own)["counter_points"] == 1


def test_people_without_a_name_write_only_where_they_may() -> None:
    ask = Client(None)
    assert ask.status("POST users/register_anonymously", {"groupId": 1}) == 401
    ask.sandbox.change("configure", group=1, allowAnonymousUsers=True)
    own = ask.json("POST users/register_anonymously", {"groupId": 1})["id"]
    ask.sandbox.sessions["test"] = own
    assert ask.status("POST posts/1", POST) == 200
    assert ask.status("POST posts/12", POST) == 401
    account = {"name": "Anna", "email": "Anna@X.is", "password": "p"}
    assert ask.json("POST users/register", account)["email"] == "anna@x.is"
    assert ask.status("POST users/register", account) == 401
