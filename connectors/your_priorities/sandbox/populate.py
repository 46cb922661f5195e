"""Fills a database with a seeded city: two public communities, a closed one, groups of every kind, and posts in all states."""

import json
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from ...testing.sandbox.city import City, Person
from .model import Database, Row, stamp

DOMAIN_NAME = "hugmyndir.example"
BOT_EMAIL = "robot@toy.example"
BOT_PASSWORD = "toy-password"
ADMIN, BOT, FIRST_PERSON = 1, 2, 3
_OPEN, _FOLDER, _LINK = 3, 6, 10
# Which group post i goes to: mostly the first, some in a folder, few where nobody may look.
_GROUPS = (1, 1, 1, 2, 1, 3, 1, 12, 2, 1, 4, 1, 5, 1, 2, 1, 3, 4, 12)
_SPECIAL = (7, 8, 9, 11)


@cache
def _configurations() -> str:
    return (
        files("civicsync.connectors.your_priorities.sandbox")
        .joinpath("configurations.json")
        .read_text(encoding="utf-8")
    )


def configuration(kind: str, **values: Any) -> Row:
    """The configuration that the web client writes for a new domain, community or group."""
    return {**json.loads(_configurations())[kind], **values}


def user(own: int, name: str, email: str, **values: Any) -> Row:
    """A row of users; what is private here is never in an anonymous answer."""
    return {
        "id": own,
        "name": name,
        "email": email,
        "description": None,
        "legacy_passwords_disabled": False,
        "password": None,
        "profile_data": None,
        "private_profile_data": None,
        **values,
    }


def domain(own: int, name: str, host: str, at: str, **values: Any) -> Row:
    """A row of domains."""
    counters = ("communities", "users", "groups", "points", "posts", "organizations")
    return {
        "id": own,
        "name": name,
        "domain_name": host,
        "access": 0,
        "deleted": False,
        "default_locale": "en",
        "only_admins_can_create_communities": False,
        "configuration": {},
        "created_at": at,
        "updated_at": at,
        **{f"counter_{each}": 0 for each in counters},
        **values,
    }


def community(own: int, name: str, host: str, at: str, **values: Any) -> Row:
    """A row of communities."""
    return {
        "id": own,
        "name": name,
        "hostname": host,
        "access": 0,
        "deleted": False,
        "status": "featured",
        "domain_id": 1,
        "user_id": ADMIN,
        "weight": 0,
        "description": name,
        "is_community_folder": None,
        "only_admins_can_create_groups": False,
        "configuration": configuration("community"),
        "created_at": at,
        "updated_at": at,
        "ip_address": "127.0.0.1",
        "user_agent": "Mozilla/5.0",
        **{f"counter_{each}": 0 for each in ("groups", "organizations", "points", "posts", "users", "flags")},
        **values,
    }


def group(own: int, name: str, above: int, at: str, settings: Row | None = None, **values: Any) -> Row:
    """A row of groups; `settings` are what its configuration differs in."""
    return {
        "id": own,
        "name": name,
        "community_id": above,
        "access": 0,
        "deleted": False,
        "status": "active",
        "is_group_folder": False,
        "in_group_folder_id": None,
        "weight": 0,
        "user_id": ADMIN,
        "objectives": name,
        "configuration": configuration("group", **(settings or {})),
        "created_at": at,
        "updated_at": at,
        **{f"counter_{each}": 0 for each in ("posts", "points", "users")},
        **values,
    }


def category(own: int, name: str, above: int, at: str) -> Row:
    """A row of categories."""
    return {
        "id": own,
        "name": name,
        "description": name,
        "deleted": False,
        "created_at": at,
        "updated_at": at,
        "group_id": above,
    }


def post(own: int, above: int, author: int | None, name: str, description: str, at: str, **values: Any) -> Row:
    """A row of posts; its author has voted for it already (0.8)."""
    return {
        "id": own,
        "group_id": above,
        "user_id": author,
        "name": name,
        "description": description,
        "content_type": 0,
        "status": "published",
        "official_status": 0,
        "deleted": False,
        "counter_endorsements_up": 1,
        "counter_endorsements_down": 0,
        "counter_points": 0,
        "counter_all_activities": 0,
        "counter_main_activities": 0,
        "counter_impressions": 0,
        "counter_flags": 0,
        "public_data": {},
        "data": {"contact": {}, "attachment": {}, "browserFingerprintConfidence": 0},
        "location": None,
        "category_id": None,
        "cover_media_type": "none",
        "language": None,
        "ip_address": "127.0.0.1",
        "user_agent": "Mozilla/5.0",
        "created_at": at,
        "updated_at": at,
        **values,
    }


def point(own: int, about: Row, author: int, value: int, content: str, at: str, **values: Any) -> Row:
    """A row of points with its first revision; a comment when it has a `parent_point_id`."""
    return {
        "id": own,
        "content_type": 2 if values.get("parent_point_id") else 0,
        "content": content,
        "status": "published",
        "value": value,
        "deleted": False,
        "counter_revisions": 1,
        "counter_quality_up": 0,
        "counter_quality_down": 0,
        "counter_flags": 0,
        "data": {"browserFingerprintConfidence": 0},
        "language": "en-US",
        "created_at": at,
        "updated_at": at,
        "group_id": about["group_id"],
        "post_id": about["id"],
        "user_id": author,
        "ip_address": "127.0.0.1",
        "user_agent": "Mozilla/5.0",
        "revisions": [revision(own, content, value, at)],
        "qualities": [],
        **values,
    }


def revision(own: int, content: str, value: int, at: str) -> Row:
    """One wording of an argument; the last one counts (0.6)."""
    return {
        "id": own,
        "content": content,
        "status": "published",
        "value": value,
        "deleted": False,
        "created_at": at,
        "updated_at": at,
    }


def activity(database: Database, kind: str, about: Row, author: int | None, at: str, **values: Any) -> Row:
    """What the worker writes a moment later (4.2)."""
    own = database.next_id("activities")
    thing: Row = {"postId": about["id"], "groupId": about["group_id"], "domainId": 1}
    return database.add(
        "activities",
        {
            "id": own,
            "access": 3 if kind.endswith("status.change") else 0,
            "type": kind,
            "status": "active",
            "object": thing,
            "actor": {"userId": author},
            "context": {},
            "deleted": False,
            "created_at": at,
            "updated_at": at,
            "domain_id": 1,
            "community_id": 1,
            "group_id": about["group_id"],
            "post_id": about["id"],
            "point_id": None,
            "user_id": author,
            "post_status_change_id": None,
            **values,
        },
    )


def status_change(database: Database, about: Row, to: int | None, content: str, at: str, own: int | None = None) -> Row:
    """An official text with its activity; `to` None: only a text (5.8)."""
    number = own or database.next_id("changes")
    change = database.add(
        "changes",
        {
            "id": number,
            "content": content,
            "status": "active",
            "deleted": False,
            "status_changed_to": None if to is None else str(to),
            "post_id": about["id"],
        },
    )
    activity(database, "activity.post.status.change", about, ADMIN, at, post_status_change_id=number)
    return change


def populate(database: Database, city: City, size: int) -> None:
    """The whole city with `size` posts, three arguments or comments each on average."""
    at = stamp(city.moment(0))
    _people(database, city, max(3, size // 3))
    database.add(
        "domains", domain(1, "Hugmyndir", DOMAIN_NAME, at, default_locale="is", configuration=configuration("domain"))
    )
    _spaces(database, at)
    people = len(database.users) - FIRST_PERSON
    number = 0
    for i in range(1, size + 1):
        row = _post(database, city, i, FIRST_PERSON + i * 7 % max(1, people))
        number = _points(database, city, row, i, people, number)
        _statuses(database, city, row, i)
    for one in database.groups.values():
        one["counter_posts"] = len(database.posts_of[one["id"]])
        above = database.communities[one["community_id"]]
        above["counter_posts"] += one["counter_posts"]
        above["counter_groups"] += 1
    database.touch()


def _people(database: Database, city: City, how_many: int) -> None:
    database.add("users", user(ADMIN, "Ráðhúsið", "admin@toy.example", password="toy-admin-password"))
    database.add("users", user(BOT, "Vélmenni", BOT_EMAIL, password=BOT_PASSWORD))
    for i in range(FIRST_PERSON, FIRST_PERSON + how_many):
        someone: Person = city.person(i)
        contact = {"email": someone.email, "telephone": someone.phone, "name": someone.name}
        database.add("users", user(i, someone.name, someone.email, private_profile_data=contact))


def _spaces(database: Database, at: str) -> None:
    database.add("communities", community(1, "Miðbær", "midbaer", at, counter_users=40))
    database.add("communities", community(2, "Vesturbær", "vesturbaer", at, counter_users=30))
    database.add("communities", community(3, "Starfsfólk", "starf", at, access=1))
    question = {"type": "textField", "text": "Hvað kostar þetta?", "uniqueId": "cost", "questionIndex": 1}
    rows = [
        group(1, "Hugmyndir", 1, at),
        group(2, "Hverfið", 1, at, in_group_folder_id=_FOLDER),
        group(_OPEN, "Opinn samfélaginu", 1, at, access=3),
        group(4, "Leynileg talning", 1, at, {"hideVoteCount": True}),
        group(5, "Með nöfnum", 1, at, {"showWhoPostedPosts": True, "structuredQuestionsJson": [question]}),
        group(_FOLDER, "Mappa", 1, at, is_group_folder=True),
        group(7, "Lokaður", 1, at, access=1),
        group(8, "Leynilegur", 1, at, access=2),
        group(9, "Falinn", 1, at, status="hidden"),
        group(_LINK, "Hlekkur", 1, at, {"actAsLinkToCommunityId": 2}),
        group(11, "Innra starf", 3, at),
        group(12, "Vestrið", 2, at),
    ]
    for row in rows:
        database.add("groups", row)
        database.members.add(("groups_admins", row["id"], ADMIN))
        database.members.add(("groups_admins", row["id"], BOT))
    for i, name in enumerate(("Umhverfi", "Samgöngur", "Menning & listir", "Börn"), start=1):
        database.add("categories", category(i, name, 1, at))
    database.add("categories", category(5, "Allt", 12, at))


def _post(database: Database, city: City, i: int, author: int) -> Row:
    locale = city.locale(i)
    above = _SPECIAL[i // 40 % 4] if i % 40 == 39 else _GROUPS[i % len(_GROUPS)]
    status = {1: 2, 3: -2, 5: -1, 8: 1}.get(i % 12, 0)
    if i % 1000 in {21, 70}:
        status = 7
    latitude, longitude = city.place(i)
    dice = city.rng("votes", i)
    values: Row = {
        "official_status": None if i % 1000 == 91 else status,
        "status": "blocked" if i % 23 == 5 else "published",
        "deleted": i % 17 == 3,
        "counter_endorsements_up": 1 + dice.randrange(90),
        "counter_endorsements_down": dice.randrange(12),
        "location": {"latitude": latitude, "longitude": longitude, "map_zoom": 15} if i % 3 == 0 else None,
    }
    if above == 1 and i % 4:
        values["category_id"] = 1 + i % 4
    if above == 5:
        values["public_data"] = {"structuredAnswersJson": [{"uniqueId": "cost", "value": f"{i} 000 kr."}]}
    if i % 9 == 4:
        values["images"] = [_image(i)]
    owner = None if i % 31 == 9 else author
    made = city.moment(i)
    body = city.body(i, locale, html=False)
    row = post(i, above, owner, city.title(i, locale), body, stamp(made), **values)
    database.add("posts", row)
    if not row["deleted"]:
        activity(database, "activity.post.new", row, owner or ADMIN, stamp(made + timedelta(milliseconds=107)))
    return row


def _image(i: int) -> Row:
    address = [f"https://media.example/{i}-{size}.png" for size in ("large", "medium", "small")]
    return {"id": i, "updated_at": "2024-01-10T08:00:00.000Z", "formats": json.dumps(address)}


def _points(database: Database, city: City, row: Row, i: int, people: int, number: int) -> int:
    first: int | None = None
    made: datetime = city.moment(i)
    for j in range(i % 7):
        number += 1
        at = stamp(made + timedelta(minutes=3 * j + 1))
        author = FIRST_PERSON + (i + j * 11) % max(1, people)
        reply = first if j == 2 else None
        one = point(
            number,
            row,
            author,
            0 if reply else (-1 if number % 3 == 0 else 1),
            city.comment(number, city.locale(i)),
            at,
            parent_point_id=reply,
            counter_quality_up=number % 5,
            counter_quality_down=number % 2,
        )
        if number % 20 == 9:
            later = stamp(made + timedelta(days=1))
            one["revisions"].append(revision(1_000_000 + number, f"{one['content']} (breytt)", one["value"], later))
        database.add("points", one)
        first = first or number
        if reply is None:
            row["counter_points"] += 1
            if not row["deleted"]:
                moment = stamp(made + timedelta(minutes=3 * j + 1, milliseconds=150))
                activity(database, "activity.point.new", row, author, moment, point_id=number)
    return number


def _statuses(database: Database, city: City, row: Row, i: int) -> None:
    status = row["official_status"]
    if status in {0, None, 7} or row["deleted"]:
        return
    made = city.moment(i)
    status_change(database, row, status, city.comment(i, city.locale(i)), stamp(made + timedelta(days=3)))
    if i % 24 == 1:
        status_change(database, row, None, "Uppfærsla.", stamp(made + timedelta(days=4)))
