"""The sandbox's accounts: signing in and out, one's own pages, the pages of authors (docs/platforms/consul.md 8.2, 1 and 9).

Passwords here are a toy's; nothing of a real person is in it.
"""

import re
from datetime import timedelta
from typing import Any

from ...testing.messages import Response
from .model import Row
from .visit import Visit, hash_of, page_number, slug
from .whole import Whole

PER_PAGE = 25
ROBOT = {"login": "robot@toy.example", "password": "toy-password", "document": "12345678Z"}
MANAGER = {"login": "office@toy.example", "password": "toy-office"}
ADMINISTRATOR = {"login": "admin@toy.example", "password": "toy-admin"}
SIGN_IN = "/users/sign_in"
TRIES, LOCKED, YEAR = 20, timedelta(hours=1), timedelta(days=365)


def settle(sandbox: Whole) -> None:
    """The accounts that a connector is given, beside the citizens."""
    add_account(sandbox, "Civic Sync", ROBOT["login"], ROBOT["password"], document=ROBOT["document"])
    add_account(sandbox, "Balie", MANAGER["login"], MANAGER["password"], role="manager")
    add_account(sandbox, "Beheer", ADMINISTRATOR["login"], ADMINISTRATOR["password"], role="administrator")


def add_account(sandbox: Whole, username: str, email: str, password: str, **values: Any) -> Row:
    """A confirmed account. `values`: role, document, public_activity, confirmed, id, visits, failed, password_changed_at."""
    heap = sandbox.database.tables["users"]
    own = int(values.pop("id", 0) or heap.next_id())
    # From 2.4 on a new account keeps its activity to itself (docs/platforms/consul.md 4.2).
    public = not sandbox.newer_than("2.4")
    columns = {
        "username": username,
        "email": email,
        "password": password,
        "public_activity": public,
        "confirmed": True,
        "document_type": "1",
    }
    if own in heap.by_id:
        heap.by_id[own].values.update(columns | values)
        return heap.by_id[own]
    return heap.add(Row(own, "user", {}, None, sandbox.clock(), columns | values))


def sign_in_form(visit: Visit) -> Response:
    """GET /users/sign_in."""
    if visit.user is not None:
        return visit.redirect(visit.session.get("return_to") or "/")
    return _form(visit, "")


def _form(visit: Visit, login: str) -> Response:
    fields = '<input type="text" name="user[login]"><input type="password" name="user[password]">'
    form = visit.form(SIGN_IN, [("user[remember_me]", "0")], attributes='id="new_user" class="new_user"', more=fields)
    return visit.page("Sign in", form)


def sign_in(visit: Visit) -> Response:
    """POST /users/sign_in: a wrong password is a 200, and a 302 is not always a success."""
    given = hash_of(visit.params, "user")
    login = str(given.get("login") or "")
    users = visit.sandbox.database.tables["users"].rows
    found = next(
        (
            u
            for u in users
            if u["password"] and login and (login.lower() == u["email"].lower() or login == u["username"])
        ),
        None,
    )
    locked = found is not None and _locked(visit, found)
    if found is None or found.hidden or locked or found["password"] != given.get("password"):
        if found is not None and visit.sandbox.lockable:
            found.values["failed"] = (found["failed"] or 0) + 1
            if found["failed"] == TRIES:
                found.values["locked_at"] = visit.sandbox.clock()
                if not visit.sandbox.mail_server:
                    return visit.error(500)
        if visit.accept == "json":
            return visit.kept(Response.json({"error": "Wrong login or password."}, 401))
        visit.session["flash"] = ["alert", "Wrong login or password."]
        return _form(visit, login)
    if visit.accept == "json":
        return visit.error(406)
    if not found["confirmed"]:
        return visit.redirect(SIGN_IN, ("alert", "To continue, please click on the confirmation link"))
    back = visit.session.pop("return_to", None)
    first = not found["visits"]
    found.values["visits"] = (found["visits"] or 0) + 1
    # Devise starts a new session: tokens of before are worthless.
    visit.session.pop("csrf", None)
    visit.session["user"] = found.id
    found.values["failed"] = 0
    # Only administrators' passwords expire (docs/platforms/consul.md 10b).
    changed = found["password_changed_at"]
    if found["role"] == "administrator" and changed is not None and changed < visit.sandbox.clock() - YEAR:
        visit.session["expired"] = True
    if found["locale"]:
        visit.session["locale"] = found["locale"]
    return visit.redirect(back or ("/welcome" if first else "/"), ("notice", "Welcome."))


def _locked(visit: Visit, user: Row) -> bool:
    """Whether an account is locked; after an hour it is not, and its tries are forgotten (docs/platforms/consul.md 10b)."""
    since = user["locked_at"]
    if (user["failed"] or 0) >= TRIES and since is not None and visit.sandbox.clock() - since >= LOCKED:
        user.values.update(failed=0, locked_at=None)
    return (user["failed"] or 0) >= TRIES


def password_expired(visit: Visit) -> Response:
    """GET /users/password_expired: where every page leads who must change his password."""
    return visit.page("Change your password", "") if visit.session.get("expired") else visit.redirect("/")


def sign_out(visit: Visit) -> Response:
    """DELETE /users/sign_out."""
    locale, back = visit.session.get("locale"), visit.session.get("return_to") or "/"
    visit.session.clear()
    if locale:
        visit.session["locale"] = locale
    return visit.redirect(back)


def account(visit: Visit) -> Response:
    """GET /account."""
    if visit.user is None:
        return visit.sign_in_first()
    box = f'<input type="checkbox" name="account[public_activity]" value="1" {"checked" if visit.user["public_activity"] else ""}>'
    return visit.page(
        "Account",
        visit.form(
            "/account",
            [("_method", "patch"), ("account[public_activity]", "0")],
            attributes='id="edit_account"',
            more=box,
        ),
    )


def change_account(visit: Visit) -> Response:
    """PATCH /account."""
    if visit.user is None:
        return visit.sign_in_first()
    visit.user.values["public_activity"] = hash_of(visit.params, "account").get("public_activity") == "1"
    return visit.redirect("/account")


def user_page(visit: Visit, match: re.Match[str]) -> Response:
    """GET /users/<id>-<slug>: the exact slug or nothing; drafts are shown, what was hidden is not (docs/platforms/consul.md 9)."""
    sandbox = visit.sandbox
    user = sandbox.database.tables["users"].by_id.get(int(match[1]))
    if user is None or user.hidden:
        return visit.error(404)
    if not user["username"]:
        return visit.page("", "") if sandbox.dialect == "B" else visit.error(500)
    if match[0] != sandbox.user_path(user):
        return visit.error(404)
    own = visit.user is not None and visit.user.id == user.id
    if not (user["public_activity"] or own or visit.role("administrator")):
        return visit.page(
            sandbox.site, "", callouts=[("callout warning margin", "This person keeps the activity private.")]
        )
    # With proposals switched off nobody's are listed, not even one's own (recordings 755i and 755j).
    on = sandbox.processes.get("proposals") == "t"
    rows = [r for r in sandbox.database.tables["proposals"].rows if on and r.author == user.id and not r.hidden]
    rows.sort(key=lambda row: -row.id)
    page = page_number(visit.params)
    shown = rows[(page - 1) * PER_PAGE : page * PER_PAGE]
    return visit.page(sandbox.site, "".join(sandbox.list_item(row, visit.locale) for row in shown))


def path_of(user: Row) -> str:
    """The address of an author's page."""
    return f"/users/{user.id}-{slug(user['username'])}"
