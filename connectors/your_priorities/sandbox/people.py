"""The sandbox's accounts: signing up, in and out, and what one's own account shows (docs/platforms/your-priorities.md 5.1).

Whose session it is, is `web`'s business; what an account may write, `writing`'s.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from ...testing.messages import Request, Response
from . import populate
from .model import Database, Row, stamp
from .routes import plain

_NOTIFICATIONS = {
    name: {"method": 2, "frequency": 1}
    for name in ("my_posts", "all_group", "my_points", "newsletter", "all_community", "my_posts_endorsements")
}
_NOTIFICATIONS["my_points_endorsements"] = {"method": 2, "frequency": 2}
_ACCOUNT = (
    "id description name facebook_id google_id github_id twitter_id legacy_passwords_disabled notifications_settings "
    "profile_data email ssn default_locale"
)
_NEW = (
    "ssn age_group post_code my_gender description profile_data private_profile_data facebook_id facebook_profile "
    "twitter_id twitter_profile google_id google_profile github_id github_profile buddy_icon_file_name "
    "twitter_profile_image_url default_locale reset_password_token reset_password_expires interaction_profile "
    "last_login_at social_points legacy_user_id legacy_new_domain_id privacy_settings ignore_list"
)
_SAML = {"forceSecureSamlLogin": None, "customSamlDeniedMessage": None, "customSamlLoginMessage": None}


def body_of(request: Request) -> Any:
    """The body as Express parses it: JSON (of any kind) or a form.

    Raises:
        ValueError: broken JSON.
    """
    if request.media_type != "application/json":
        return dict(request.fields())
    return request.json() if request.body.strip() else {}


class People:
    """Answers under /api/users. An answer that signs somebody in comes with the number of the user."""

    def __init__(self, database: Callable[[], Database], now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    @property
    def db(self) -> Database:
        """The database of now: loading recordings replaces it."""
        return self._database()

    def me(self, user: int | None) -> dict[str, Any]:
        """`isloggedin`: never refused."""
        row = self.db.users.get(user or 0)
        if row is None:
            return {"notLoggedIn": True, **_SAML}
        return {**self.account(row), "loginProvider": "email", **_SAML}

    def account(self, row: Row) -> dict[str, Any]:
        """One's own account, with one's own votes: also those that were taken back (their value is 0)."""
        found = {name: row.get(name) for name in _ACCOUNT.split()}
        found["notifications_settings"] = row.get("notifications_settings") or _NOTIFICATIONS
        lists: dict[str, Any] = {
            name: [] for name in ("UserProfileImages", "UserHeaderImages", "PointQualities", "Ratings")
        }
        votes = [
            {
                "id": vote["id"],
                "value": vote["value"],
                "post_id": post,
                "Post": self._shown(self.db.posts[post]),
            }
            for (post, user), vote in self.db.votes.items()
            if user == row["id"] and not self.db.posts[post]["deleted"]
        ]
        return {**found, **lists, "Endorsements": votes, "hasRegistrationAnswers": False}

    @staticmethod
    def _shown(post: Row) -> dict[str, Any] | None:
        """What is blocked is found by no query of the platform but its moderators'."""
        return {"group_id": post["group_id"]} if post["status"] == "published" else None

    def rights(self, user: int | None) -> Response:
        """`adminRights`: the bare text 0 for whoever administers nothing."""
        kinds = {"Domain": "domains", "Organization": "organizations", "Community": "communities", "Group": "groups"}
        found = {
            f"{kind}Admins": [
                {"id": own} for table, own, who in sorted(self.db.members) if (table, who) == (f"{name}_admins", user)
            ]
            for kind, name in kinds.items()
        }
        if user is None or not any(found.values()):
            return Response.html("0")
        return Response.json(found)

    def login(self, request: Request, known_host: bool) -> tuple[Response, int | None]:
        """The user name's field is `identifier`, its case counts, and an unknown host cannot sign anybody in."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400), None
        if not known_host:
            return plain(500), None
        identifier, password = (
            (body.get("identifier"), body.get("password")) if isinstance(body, dict) else (None, None)
        )
        if not identifier or not password:
            return _bare(400), None
        row = next((one for one in self.db.users.values() if one["email"] == identifier), None)
        if row is None or row["password"] is None or row["password"] != password:
            return _bare(401), None
        account = {**self.account(row), "private_profile_data": row["private_profile_data"]}
        return Response.json(account), row["id"]

    def register(self, request: Request) -> tuple[Response, int | None]:
        """No confirmation and no rule for passwords; an address that is taken is told as an error of the database."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400), None
        email = str(body.get("email") or "").lower()
        if any(one["email"] == email for one in self.db.users.values()):
            taken = {"status": 401, "message": "SequelizeUniqueConstraintError", "type": "internal"}
            return Response.json(taken, 401), None
        return self._new(str(body.get("name") or ""), email, password=body.get("password"))

    def register_anonymously(self, request: Request) -> tuple[Response, int | None]:
        """Only where the group lets people write without a name."""
        try:
            body = body_of(request)
        except ValueError:
            return plain(400), None
        group = self.db.groups.get(int(body.get("groupId") or 0))
        allowed = group is not None and (
            group["configuration"].get("allowAnonymousUsers") or group["configuration"].get("allowOneTimeLoginWithName")
        )
        if not allowed:
            return plain(401), None
        own = self.db.next_id("users")
        name = str(body.get("oneTimeLoginName") or "Anonymous User")
        profile = {"isAnonymousUser": True, "trackingParameters": body.get("trackingParameters")}
        return self._new(name, f"{own:06d}_anonymous@citizens.is", profile_data=profile)

    def _new(self, name: str, email: str, **values: Any) -> tuple[Response, int]:
        own, now = self.db.next_id("users"), stamp(self._now())
        self.db.add("users", populate.user(own, name, email, **values))
        shown: dict[str, Any] = {
            "deleted": False,
            "counter_login": 0,
            "theme_id": None,
            "legacy_passwords_disabled": False,
            "id": own,
            "email": email,
            "name": name,
            "notifications_settings": _NOTIFICATIONS,
            "status": "active",
            "hasRegistrationAnswers": False,
            "updated_at": now,
            "created_at": now,
            **dict.fromkeys(_NEW.split()),
        }
        if "profile_data" in values:
            shown["profile_data"] = values["profile_data"]
        return Response.json(shown), own


def _bare(status: int) -> Response:
    """A refused sign-in is the only refusal without a content type (recordings 011, 013)."""
    return plain(status).without("content-type")


def parsed(value: Any) -> Any:
    """`JSON.parse`: of a text its value, of null and numbers themselves.

    Raises:
        ValueError: it is an object, a list or no JSON.
    """
    if isinstance(value, dict | list):
        raise ValueError("[object Object] is no JSON")
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError as error:
        raise ValueError("no JSON") from error
