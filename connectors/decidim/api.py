"""Asking Decidim: partial answers, errors that are normal, sign-in where a site forces it (docs/platforms/decidim.md 1.1, 1.3).

Reads anonymously wherever the site lets us: a token would also show private spaces. Knows no records.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..contract.errors import (
    ConnectorError,
    Interface,
    Malformed,
    NotAllowed,
    NotDone,
    NotFound,
    NotLetIn,
    NotThisPlatform,
    SignInWanted,
)
from ..contract.exchange import Request
from ..contract.reading import Context
from ..contract.values import inside
from . import exports
from .settings import DecidimSettings

_LANGUAGE = re.compile(r"<html[^>]*\slang=[\"']([A-Za-z-]{2,12})[\"']")


class Api:
    """One Decidim organization."""

    def __init__(self, context: Context, settings: DecidimSettings) -> None:
        self.transport = context.transport
        self.settings = settings
        self.clock = context.clock
        self._cookie: str | None = None

    async def ask(self, document: str) -> tuple[dict[str, Any], list[Any]]:
        """Data and errors of a document. Errors about single objects are normal and stay beside the data.

        Raises:
            Interface: a field or root is not there.
            NotAllowed: the site forces sign-in, and the configuration does not say how.
            Malformed: no data at all.
        """
        data, errors = await self.ask_raw(document)
        codes = {_code(error) for error in errors}
        if "undefinedField" in codes or "argumentNotAccepted" in codes:
            raise Interface("the interface has changed since it was probed", hint="`civicsync check` looks again")
        if data is None:
            first = errors[0].get("message") if errors and isinstance(errors[0], dict) else "no data"
            raise Malformed(f"GraphQL answered without data: {str(first)[:200]}")
        return data, errors

    async def ask_raw(self, document: str) -> tuple[dict[str, Any] | None, list[Any]]:
        """Data and errors, whatever they are."""
        if self.settings.sign_in and self._cookie is None:
            await self._sign_in()
        headers = {"Cookie": self._cookie} if self._cookie else None
        try:
            answer = await self.transport.graphql("api", document, headers=headers)
        except SignInWanted as error:
            hint = (
                "the site lets only signed-in people read: set `sign_in: true` with a participant's email and password"
            )
            raise SignInWanted(
                error.message, hint=error.hint if self.settings.sign_in else hint, status=error.status
            ) from error
        return answer.data, answer.errors

    async def identify(self, document: str) -> tuple[dict[str, Any] | None, list[Any]]:
        """The first question to an unknown address.

        Raises:
            NotThisPlatform: no Decidim answers there.
        """
        try:
            data, errors = await self.ask_raw(document)
        except (NotFound, Malformed) as error:
            raise NotThisPlatform(f"{self.transport.url}/api is not Decidim's: {error.message}") from error
        if not isinstance(data, dict) or "decidim" not in data:
            raise NotThisPlatform(f"{self.transport.url}/api answers GraphQL, but not Decidim's")
        return data, errors

    async def language(self) -> str | None:
        """The language of the start page: the organization's own, which the interface does not tell."""
        try:
            answer = await self.transport.get("/", headers={"Accept": "text/html"}, allow=frozenset({401, 403, 404}))
        except ConnectorError:
            return None
        match = _LANGUAGE.search(answer.text[:5000])
        return match[1] if match else None

    async def _sign_in(self) -> None:
        """A participant's session, as the site's own form makes it (docs/platforms/decidim.md 4.4)."""
        if self.settings.email is None or self.settings.password is None:
            raise NotAllowed(
                "sign_in is on, but email or password is missing", hint="set both, as ${ENV_NAME} or file:path"
            )
        # Parsing pages is for the few sites that force everybody to sign in.
        from ..http.html_page import HtmlPage
        from .sign_in import SIGN_IN, sign_in

        page = HtmlPage(await self.transport.get(SIGN_IN, headers={"Accept": "text/html"}))
        cookie = _session(page.answer.headers)
        if cookie is None:
            raise Malformed("the sign-in page gives no session")

        async def send(request: Request) -> HtmlPage:
            return HtmlPage(
                await self.transport.post_form(request.path, dict(request.form or ()), headers={"Cookie": cookie})
            )

        try:
            answer = await sign_in(page, self.settings.email, self.settings.password, send)
        except NotLetIn as error:
            raise NotAllowed(error.message, hint=error.hint) from error
        except NotDone as error:
            raise Malformed(error.message, hint=error.hint) from error
        self._cookie = _session(answer.answer.headers)
        if self._cookie is None:
            raise NotAllowed("signing in gave no session", hint="are cookies kept on the way?")

    async def open_data(
        self, path: str, etag: str | None, columns: Collection[str] = exports.COMMENTS
    ) -> tuple[list[exports.Row] | None, str | None, str]:
        """One open-data file (0.30 and later): its rows, its ETag and its final path; no rows when it did not change.

        Raises:
            NotFound: the site has no such file.
            Malformed: something else came: the file is not made yet, or a page stands in front of it; or it is too large.
        """
        headers = {"If-None-Match": etag} if etag else None
        async with self.transport.download(path, headers=headers) as answer:
            if answer.status == 304:
                return None, etag, path
            if "csv" not in answer.media_type and "octet" not in answer.media_type:
                raise Malformed(f"{path}: no open data there (yet)")
            final = answer.url.removeprefix(self.transport.url).lstrip("/")
            rows = await asyncio.to_thread(exports.rows, path, answer.file, columns, self._most)
            exports.check(path, rows)
            return rows, answer.headers.get("etag"), final

    async def open_data_zip(self) -> dict[str, list[exports.Row]]:
        """The open-data files that are needed (below 0.30 only as one archive), by entity.

        Raises:
            NotFound: the site has no such archive.
            Malformed: something else came: it is not made yet, or a page stands in front of it; or it is too large.
        """
        path = "open-data/download"
        wanted = {"proposals": exports.PROPOSALS, "proposal_comments": exports.COMMENTS}
        async with self.transport.download(path) as answer:
            if "zip" not in answer.media_type:
                raise Malformed(f"{path}: no open data there (yet)")
            files = await asyncio.to_thread(exports.archive, path, answer.file, wanted, self._most)
            for rows in files.values():
                exports.check(path, rows)
            return files

    @property
    def _most(self) -> int:
        return self.settings.politeness.max_file_mb * 1_000_000


HIDDEN = frozenset({"UNAUTHORIZED_OBJECT_ERROR", "NOT_FOUND_ERROR"})
"""The platform's words for what is not shown, or not there (docs/platforms/decidim.md 1.3). Older releases say it by null alone."""
_NO_PLACE = "Coordinates."
"""In the one error that is no trouble at all: a proposal without a place (docs/platforms/decidim.md 1.7 Q1)."""


def doubtful(errors: Sequence[Any], *path: str | int) -> bool:
    """Whether a null at this path may mean something else than "not shown": it comes with an error that is not the word for that.

    Releases before 0.30 tell no path (docs/platforms/decidim.md 1.3): there such an error is about any null of the answer.
    """
    for error in errors:
        if not isinstance(error, dict):
            return True
        if _code(error) in HIDDEN or _NO_PLACE in str(error.get("message")):
            continue
        where = error.get("path")
        if isinstance(where, list):
            if where[: len(path)] == list(path) or list(path)[: len(where)] == where:
                return True
        else:
            return True
    return False


def _code(error: Any) -> str | None:
    code = inside(error, "extensions", "code")
    return code if isinstance(code, str) else None


def missing_fields(errors: list[Any]) -> set[str]:
    """The fields that static validation names as not there."""
    return {
        str(inside(error, "extensions", "fieldName"))
        for error in errors
        if isinstance(error, dict) and _code(error) == "undefinedField"
    }


def _session(headers: Mapping[str, str]) -> str | None:
    match = re.search(r"(_session_id|_decidim_session)=([^;,]+)", headers.get("set-cookie", ""))
    return f"{match[1]}={match[2]}" if match else None
