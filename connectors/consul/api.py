"""Asking CONSUL: one place for its answers' traps (404 for a whole batch, errors with status 200, drafts in the public list).

Knows no records and no database; `reader.py` decides what to ask.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.identity import Ref
from ..contract.errors import (
    ConnectorError,
    Interface,
    Malformed,
    NotAllowed,
    NotFound,
    NotThisPlatform,
    Unreachable,
)
from ..contract.exchange import Response
from ..contract.reading import Context
from ..contract.values import identity, inside
from .dialects import ALIVE, DIALECTS, FINGERPRINT, SINGULAR, Dialect, Shape, by_id_document, ids_per_request
from .mapping import normal
from .settings import ConsulSettings

_LISTED = re.compile(r'id="proposal_(\d+)"')
_OFFERED = re.compile(r"[?&;]locale=([A-Za-z]{2,3}(?:-[A-Za-z]{2,8})?)\b")
_LANGUAGE = re.compile(r"<html[^>]*\slang=[\"']([A-Za-z-]{2,12})[\"']")


def authorization(settings: ConsulSettings) -> dict[str, str]:
    """The header of HTTP basic authentication, where a site has that in front of everything."""
    if not (settings.basic_auth_user and settings.basic_auth_password):
        return {}
    pair = f"{settings.basic_auth_user.get_secret_value()}:{settings.basic_auth_password.get_secret_value()}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def of_this_alone(error: ConnectorError) -> bool:
    """Whether what was asked may be to blame, and not the site: an error in the answer, a 404, a server or its gateway that gives up."""
    return error.status in {200, 404} or (error.status is not None and error.status >= 500)


class Spoiled(Malformed):
    """A GraphQL answer with an error in it; `data` is what came beside, with nulls where something is wrong."""

    def __init__(self, message: str, data: dict[str, Any]) -> None:
        super().__init__(message, status=200)
        self.data = data


class Api:
    """One CONSUL installation. `locale` is sent with every request, so that no cookie decides the language."""

    def __init__(self, context: Context, settings: ConsulSettings) -> None:
        self.transport = context.transport
        self.locale: str | None = settings.locales[0] if settings.locales else None
        self._headers = authorization(settings)
        self.broken: set[Ref] = set()
        """What the server failed on although it was asked for alone."""
        self.too_large: set[str] = set()
        """Collections that are asked for in parts from now on: all of them at once were more than one answer may be."""

    async def release(self) -> tuple[str, Mapping[str, Any]]:
        """The release and the switched-on processes (docs/platforms/consul.md 0).

        Raises:
            NotThisPlatform: no CONSUL answers there.
        """
        try:
            answer = await self.transport.get("consul.json", headers={"Accept": "application/json", **self._headers})
            found = answer.json()
        except NotAllowed as error:
            if error.status != 401:
                raise
            hint = "a staging site? set basic_auth_user and basic_auth_password"
            raise NotAllowed(error.message, hint=hint, status=401) from error
        except (NotFound, Malformed) as error:
            raise NotThisPlatform(f"{self.transport.url}/consul.json is not CONSUL's: {error.message}") from error
        if not isinstance(found, dict) or not isinstance(found.get("release"), str):
            raise NotThisPlatform(f"{self.transport.url}/consul.json names no release")
        features = found.get("features")
        return found["release"], features if isinstance(features, dict) else {}

    async def dialect(self) -> Dialect:
        """Which interface answers; a fork may keep an old release number, so the interface itself is asked."""
        data = await self.ask(FINGERPRINT, DIALECTS["B"])
        root = inside(data, "__schema", "queryType", "name")
        if root == "QueryType":
            return DIALECTS["A"]
        return DIALECTS["C" if data.get("__type") else "B"]

    async def languages(self) -> tuple[str | None, list[str]]:
        """The language of the start page, which is the one that answers come in, and those that it offers."""
        try:
            answer = await self.transport.get("/", headers=self._headers, allow=frozenset({401, 403, 404}))
        except ConnectorError:
            return None, []
        match = _LANGUAGE.search(answer.text[:5000])
        return match[1] if match else None, list(dict.fromkeys(_OFFERED.findall(answer.text)))

    async def language(self) -> str | None:
        """The language of the start page, which is the one that answers come in."""
        return (await self.languages())[0]

    async def ask(self, document: str, dialect: Dialect) -> dict[str, Any]:
        """The data of one document.

        Raises:
            Interface: a field is not there; the instance was upgraded or is a fork.
            Spoiled: any other error: no partial answer is believed, unless the caller knows what the holes in it mean.
            NotFound: in B and C, one of the ids is not there.
        """
        params = {"locale": self.locale} if self.locale else None
        answer = await self.transport.graphql(
            "graphql", document, params=params, headers=self._headers, variables_as_text=dialect.variables_as_text
        )
        if answer.errors:
            first = answer.errors[0]
            code = inside(first, "extensions", "code")
            if code in {"undefinedField", "argumentNotAccepted"}:
                raise Interface("the interface has changed since it was probed", hint="`civicsync check` looks again")
            text = str(first.get("message"))[:200] if isinstance(first, dict) else "unknown error"
            raise Spoiled(
                f"GraphQL answered with an error: {text}", answer.data if isinstance(answer.data, dict) else {}
            )
        if not isinstance(answer.data, dict):
            raise Malformed("GraphQL answered without data")
        return answer.data

    async def pages(self, document: str, dialect: Dialect) -> dict[str, Any]:
        """The data of a document of lists, where a null is a row that the server fails on (`mapping.page_of`). Raises as `ask`."""
        try:
            return await self.ask(document, dialect)
        except Spoiled as error:
            if not any(error.data.values()):
                raise
            return error.data

    async def by_id(
        self, dialect: Dialect, shape: Shape, ids: Sequence[str], budget: str | None = None
    ) -> dict[str, dict[str, Any] | None]:
        """Single records; None where there is none for the public. A batch that fails is halved until the culprit is alone.

        What the server fails on, alone and without its author too, is left out of the answer and named in `broken`.
        """
        found: dict[str, dict[str, Any] | None] = {}
        size = ids_per_request(dialect, shape)
        batches = [(list(ids[start : start + size]), shape) for start in range(0, len(ids), size)]
        up = False
        while batches:
            batch, asked = batches.pop()
            try:
                data = await self.ask(by_id_document(dialect, asked, batch, budget), dialect)
            except (NotFound, Unreachable, Spoiled) as error:
                if not of_this_alone(error):
                    raise
                up = up or await self.is_up(dialect, budget if shape.collection == "investments" else None)
                half = len(batch) // 2
                if half:
                    batches += [(batch[:half], asked), (batch[half:], asked)]
                elif error.status == 404:
                    found[batch[0]] = None
                elif not asked.anonymous:
                    batches.append((batch, replace(asked, anonymous=True)))
                else:
                    self.broken.add(f"{SINGULAR[shape.collection]}/{batch[0]}")
                continue
            rows = data.get("budget") if shape.collection == "investments" else data
            for position, each in enumerate(batch):
                self._take(found, each, rows, position, dialect, f"{SINGULAR[shape.collection]}/{each}")
        return found

    def _take(
        self,
        found: dict[str, dict[str, Any] | None],
        own: str,
        rows: Any,
        position: int,
        dialect: Dialect,
        reference: Ref,
    ) -> None:
        """One record of an answer. Only null is the word for what is not shown; anything else but the record itself tells nothing."""
        node = rows.get(f"r{position}", rows) if isinstance(rows, dict) else rows
        if isinstance(node, dict) and identity(node) == own:
            found[own] = normal(node, dialect)
        elif node is None and rows is not None:
            found[own] = None
        else:
            self.broken.add(reference)

    async def one_by_one(self, dialect: Dialect, shape: Shape, ids: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        """Single records in as few requests as there are, without looking for the culprit where one is not there.

        Raises:
            NotFound: one of them is not there (B and C).
        """
        found: dict[str, dict[str, Any] | None] = {}
        size = ids_per_request(dialect, shape)
        for start in range(0, len(ids), size):
            batch = ids[start : start + size]
            data = await self.ask(by_id_document(dialect, shape, batch), dialect)
            for position, each in enumerate(batch):
                self._take(found, each, data, position, dialect, f"{SINGULAR[shape.collection]}/{each}")
        return found

    async def is_up(self, dialect: Dialect, budget: str | None = None) -> bool:
        """True: the interface itself answers, and below this budget. A 404 may also mean a wrong tenant (docs/platforms/consul.md 10).

        Raises:
            NotAllowed: the interface is switched off, or the budget is not published any more.
        """
        try:
            await self.ask(ALIVE if budget is None else f'{{budget(id:"{budget}"){{id}}}}', dialect)
        except NotFound as error:
            if budget is not None:
                raise NotAllowed(f"budget/{budget} is not published any more", status=error.status) from error
            raise NotAllowed(
                "the GraphQL interface is not there any more", hint="was it switched off, or is the host wrong?"
            ) from error
        return True

    async def listed(self, page: int, filters: Mapping[str, str]) -> list[str] | None:
        """The ids on a page of the public list with these filters, as often as they stand there; None when it cannot be read."""
        params = {**filters, **({"page": str(page)} if page > 1 else {})}
        headers = {"Accept": "text/html", **self._headers}
        try:
            answer = await self.transport.get("proposals", params=params, headers=headers)
        except (NotFound, NotAllowed):
            return None
        return _LISTED.findall(answer.text)

    async def page_of(self, own: str) -> Response:
        """The public page of a proposal, whatever its status."""
        headers = {"Accept": "text/html", **self._headers}
        return await self.transport.get(f"proposals/{own}", headers=headers, allow=frozenset({401, 403, 404}))
