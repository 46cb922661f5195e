"""Asking Your Priorities: every request carries the header that its bot filter wants, every answer must be what was asked for.

A 401 means "not found, deleted, blocked or not allowed" (docs/platforms/your-priorities.md 0.2): `maybe` gives None for it, and
only the caller knows what that proves.
"""

from collections.abc import Mapping
from typing import Any, cast

from ..contract.errors import ConnectorError, Malformed, NotFound, Unreachable
from ..contract.exchange import Response, Transport, redirected
from ..contract.values import identity
from . import dialects

HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
"""Exactly this content type, also on GET, or the bot filter answers a page (docs/platforms/your-priorities.md 0.1)."""
GIVEN_UP = 3
"""After so many failures in a row it is asked whether the site answers anybody."""
BOT_FILTER = (
    "Your Priorities (or a proxy in front of it) shows a web page with status 200 to whatever it takes for a robot; "
    "ask its operator to let civicsync's User-Agent through"
)


class Api:
    """One instance's interface, read-only."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def get(self, path: str, **params: str) -> Any:
        """The JSON at a path.

        Raises:
            NotAllowed: 401, or a redirect.
            Malformed: a status 200 that is not JSON.
            NotFound, Throttled, Unreachable: as `connectors.errors` says.
        """
        found = await self._answer(path, params, frozenset())
        return found.json()

    async def maybe(self, path: str, **params: str) -> Any:
        """The JSON at a path, or None where the platform says 401. Raises the rest of what `get` raises."""
        found = await self._answer(path, params, frozenset({401}))
        if found.status == 401:
            return None
        value = found.json()
        if value is None:
            # Nothing, with status 200, is not the platform's word for what it does not show.
            raise Malformed(f"{path}: an empty answer", status=200)
        return value

    async def asked(self, path: str, **params: str) -> Any:
        """The JSON of one thing asked for by its number, or None where the platform says that it shows none (401, rarely 404)."""
        try:
            return await self.maybe(path, **params)
        except NotFound:
            return None

    async def alone(self, error: ConnectorError, in_a_row: int = 1) -> None:
        """Raises the error where it may not be that of one thing alone, and the site answers nothing else either.

        So it may be where a connection broke or nothing came (some requests never get an answer), and after every third failure in a row.
        """
        if (isinstance(error, Unreachable) and error.status is None) or in_a_row % GIVEN_UP == 0:
            await self.alive(error)

    async def alive(self, error: ConnectorError) -> None:
        """Raises the error where the site answers nothing at all."""
        try:
            await self.get(dialects.DOMAIN)
        except ConnectorError:
            raise error from None

    async def text(self, path: str) -> str | None:
        """The XML at a path, or None where there is none."""
        try:
            found = await self.transport.get(path, headers=HEADERS, allow=frozenset({401, 403, 404}))
        except Unreachable as error:
            if error.status == 500:
                return None
            raise
        if found.status != 200 or "xml" not in found.media_type:
            return None
        return found.text

    async def _answer(self, path: str, params: Mapping[str, str], allow: frozenset[int]) -> Response:
        try:
            found = await self.transport.get(
                path, params=params or None, headers=HEADERS, redirects=False, allow=allow, json=True
            )
        except Malformed as error:
            raise self._explained(error) from None
        if 300 <= found.status < 400:
            raise redirected("GET", found.url, found.headers.get("location"), found.status)
        if found.status not in {200, 401}:
            raise Malformed(f"{path}: unexpected status {found.status}", status=found.status)
        return found

    def _explained(self, error: Malformed) -> ConnectorError:
        if error.status == 200 and "expected JSON" in error.message:
            return Malformed(error.message, hint=BOT_FILTER, status=200)
        return error


def rows(value: Any, where: str) -> list[Any]:
    """A list, as it must be.

    Raises:
        Malformed: it is something else.
    """
    if not isinstance(value, list):
        raise Malformed(f"{where}: expected a list, got {type(value).__name__}", status=200)
    return cast(list[Any], value)


class Objects(list[dict[str, Any]]):
    """The objects of a list that have a number; `holes` counts its other elements, of which nobody knows what they are."""

    holes: int = 0


def objects(value: Any, where: str) -> Objects:
    """The objects in a list.

    Raises:
        Malformed: it is no list.
    """
    every = rows(value, where)
    found = Objects(each for each in every if identity(each) is not None)
    found.holes = len(every) - len(found)
    return found


def table(value: Any, where: str) -> dict[str, Any]:
    """An object, as it must be.

    Raises:
        Malformed: it is something else.
    """
    if not isinstance(value, dict):
        raise Malformed(f"{where}: expected an object, got {type(value).__name__}", status=200)
    return cast(dict[str, Any], value)
