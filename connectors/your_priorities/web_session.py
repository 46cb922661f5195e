"""The service account of one instance: signing in, who we are, which votes are ours, and what we administer.

Of what the platform tells about an account (its key, its number, its e-mail) only its number and votes are ever looked at
(docs/platforms/your-priorities.md 5.1, 10). Nothing here writes anything but a session.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..contract.errors import (
    CannotDo,
    ConnectorError,
    ContentRefused,
    Malformed,
    MaybeDone,
    NotDone,
    NotLetIn,
    WrongCredentials,
    nothing_stored,
)
from ..contract.exchange import Request, Response
from ..contract.writing import WriteContext
from . import dialects
from .api import HEADERS, Api, rows, table
from .settings import YourPrioritiesSettings

NO_COOKIE = "the site gives no session over plain http: use its https address; and if it is https already, are cookies kept on the way?"


@dataclass(frozen=True, slots=True)
class Vote:
    """One of our own votes; 0: taken back. The platform keeps a row of each, so they are an index of all that we posted."""

    value: int
    group: str | None
    """None: the platform does not show the post."""


@dataclass(frozen=True, slots=True)
class Me:
    """Who we are, and our own votes by post."""

    own: str
    votes: Mapping[str, Vote]


class WebSession:
    """One session. It signs in when it is first needed, and never tries a refused password again."""

    def __init__(self, context: WriteContext) -> None:
        self.transport = context.session
        self.settings = cast(YourPrioritiesSettings, context.reading.settings)
        self.api = Api(context.session)
        self._own: str | None = None
        self._refused: NotLetIn | None = None
        self._administers: frozenset[str] | None = None

    async def own(self) -> str:
        """Our number there, signed in. Raises: NotLetIn, NotDone."""
        return self._own if self._own is not None else (await self.me()).own

    async def me(self) -> Me:
        """Who we are and our votes as they are now; signs in again when the session has ended. Raises: NotLetIn, NotDone."""
        async with nothing_stored():
            found = await self._who() if self._own is not None else None
            if found is None:
                await self._sign_in()
                found = await self._who()
            if found is None:
                raise NotLetIn("the site took the password and knows nobody the next moment", hint=NO_COOKIE)
            self._own = found.own
            return found

    async def alive(self) -> bool:
        """Whether the session is still ours; asked after a 401, which may also mean "not found" or "not allowed" (0.2)."""
        async with nothing_stored():
            if await self._who() is not None:
                return True
        self._own = None
        self._administers = None
        return False

    async def administers(self, group: str) -> bool:
        """Whether we are an admin of this very group; admins of its community are not (5.11)."""
        await self.own()
        if self._administers is None:
            async with nothing_stored():
                self._administers = await self._rights()
        return group in self._administers

    async def any_group(self) -> bool:
        """Whether we are an admin of any group."""
        await self.administers("")
        return bool(self._administers)

    async def send(self, request: Request) -> Response:
        """Send a write once, in the session. Raises: NotDone, MaybeDone."""
        return await self.transport.submit(request)

    async def refused(self, answer: Response, what: str, hint: str = "") -> Exception:
        """What an answer means that is no 200. Everything that is looked at before storing is answered 401 (8)."""
        status = answer.status
        if status == 401:
            if not await self.alive():
                return NotDone(f"the session had ended: {what} was not done", status=401)
            return CannotDo(f"the account may not do that: {what}", hint=hint, status=401)
        if 300 <= status < 400:
            return CannotDo(
                f"redirected: {what} was not done", hint="is `url` the address the site is known by?", status=status
            )
        if status in {400, 413, 422}:
            return ContentRefused(f"the site does not take it: {what} (status {status})", status=status)
        if 400 <= status < 500:
            return CannotDo(f"{what} is not taken there (status {status})", status=status)
        return MaybeDone(f"{what} was answered with status {status}", status=status)

    async def _who(self) -> Me | None:
        node = await self.api.get(dialects.ME)
        if not isinstance(node, dict) or ("id" not in node and "notLoggedIn" not in node):
            raise Malformed(f"{dialects.ME}: not an account", status=200)
        if not isinstance(node.get("id"), int):
            return None
        return Me(str(node["id"]), _votes(node.get("Endorsements")))

    async def _rights(self) -> frozenset[str]:
        answer = await self.transport.get(dialects.RIGHTS, headers=HEADERS, redirects=False)
        # Whoever administers nothing is answered the bare text 0, as a page (5.1).
        if answer.status == 200 and answer.text.strip() == "0":
            return frozenset()
        node = answer.json()
        listed = rows(node.get("GroupAdmins"), dialects.RIGHTS) if isinstance(node, dict) else []
        return frozenset(str(one["id"]) for one in listed if isinstance(one, dict) and isinstance(one.get("id"), int))

    async def _sign_in(self) -> None:
        email, password = self.settings.email, self.settings.password
        if email is None or password is None:
            raise NotLetIn("no account is configured", hint="set `email` and `password`")
        if self._refused is not None:
            raise self._refused
        self._own = self._administers = None
        self.transport.forget_cookies()
        # The stored address is in small letters and is compared as it is sent.
        body = {"identifier": email.get_secret_value().lower(), "password": password.get_secret_value()}
        try:
            answer = await self.transport.submit(Request("POST", dialects.LOGIN, json=body, headers=HEADERS))
        except MaybeDone as error:
            hint = "is `url` the address people use? Another host name is answered so" if error.status == 500 else ""
            raise NotDone("signing in got no answer that can be read", hint=hint, status=error.status) from None
        if answer.status == 401:
            self._refused = WrongCredentials(
                "the site does not take this e-mail and password (`email` and `password`)", status=401
            )
            raise self._refused
        if answer.status != 200:
            raise NotDone(f"signing in was answered with status {answer.status}", status=answer.status)


def row_of(answer: Response) -> Mapping[str, Any]:
    """The row in the answer to a write; the rest of it (addresses, keys) is let go with it. Raises: MaybeDone."""
    try:
        return table(answer.json(), "the answer")
    except ConnectorError as error:
        raise MaybeDone("the site's answer cannot be read", status=answer.status) from error


def _votes(listed: Any) -> dict[str, Vote]:
    found: dict[str, Vote] = {}
    for one in rows(listed if listed is not None else [], dialects.ME):
        if not isinstance(one, dict) or not isinstance(one.get("post_id"), int):
            continue
        value, post = one.get("value"), one.get("Post")
        group = post.get("group_id") if isinstance(post, dict) else None
        found[str(one["post_id"])] = Vote(value if isinstance(value, int) else 1, None if group is None else str(group))
    return found
