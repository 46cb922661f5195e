"""Looking up on CONSUL what a writer made: by its own account's list, by the public list, by single records.

Reading only; whatever cannot be told now raises, it is never taken for "not there" (docs/platforms/consul.md 8.6).
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ...core.identity import Ref, split_ref
from ...core.ledger.marker import carries, claims_marker, said
from ...core.records import Answer, Proposal, State
from ..contract.errors import CannotDo, NotDone, TooLarge, nothing_stored
from ..contract.reading import Context
from ..contract.values import flat, inside
from ..contract.writing import Copy, Reading
from ..http.html_page import HtmlPage
from .api import Api
from .dialects import (
    DIALECTS,
    Dialect,
    Shape,
    comments_of_document,
    cursor_at,
    pages_document,
    written_by_document,
    written_by_pages,
)
from .mapping import Mapper, moment, nodes
from .pages import listed
from .settings import ConsulSettings
from .web_session import WebSession

PER_PAGE = 25
_ROOM = timedelta(hours=2)
"""The interface cuts times of creation to the hour."""
MAX_PAGES = 4000
_PART = 2000
"""Whole proposals that are asked for at once where all of them are more than one answer may be."""


@dataclass(frozen=True, slots=True)
class Written:
    """A proposal as the interface shows it."""

    own: str
    title: str
    text: str
    created_at: datetime | None
    author: str | None = None
    """Unknown where the author keeps his activity private."""
    supports: int = 0
    retired: bool = False


class Lookup:
    """Reads one site for a writer; never signs in on its own."""

    def __init__(self, reading: Context, settings: ConsulSettings) -> None:
        self.reading = reading
        self.settings = settings
        self._dialect: Dialect | None = None
        self._language: str | None = None
        self._once: dict[str, Written] = {}

    def api(self, locale: str | None) -> Api:
        """The interface in a language."""
        found = Api(self.reading, self.settings)
        found.locale = locale or found.locale
        return found

    async def dialect(self) -> Dialect:
        """Which interface answers; asked once."""
        if self._dialect is None:
            async with nothing_stored():
                self._dialect = await self.api(None).dialect()
        return self._dialect

    async def language(self) -> str:
        """The site's own language: that of its start page for who has no session; empty where it says none. Asked once."""
        if self._language is None:
            async with nothing_stored():
                self._language = await Api(self.reading, self.settings).language() or ""
        return self._language

    async def node(self, own: str, locale: str | None, *, milestones: bool = False) -> dict[str, Any] | None:
        """A whole proposal, drafts too; None when there is none for the public."""
        return (await self._nodes([own], locale, milestones=milestones))[own]

    async def _nodes(
        self, ids: Sequence[str], locale: str | None, *, milestones: bool = False
    ) -> dict[str, dict[str, Any] | None]:
        dialect = await self.dialect()
        shape = Shape("proposals", milestones=milestones and dialect is DIALECTS["C"])
        async with nothing_stored():
            return await self.api(locale).by_id(dialect, shape, ids)

    async def read(self, ref: Ref, locale: str | None) -> Reading | None:
        """How a proposal stands, mapped as the reader maps it."""
        node = await self.node(split_ref(ref)[1], locale, milestones=True)
        if node is None:
            return None
        mapper = Mapper(self.reading, locale or "und")
        async with nothing_stored():
            records = mapper.build(mapper.raw("proposals", node))
        proposal = next(record for record in records if isinstance(record, Proposal))
        answers = [record for record in records if isinstance(record, Answer) and record.kind == "milestone"]
        text = proposal.texts[0]
        # A milestone has no meaning of its own: that somebody answered is all it tells.
        answered = State.OTHER if answers else None
        return Reading(text.title, text.plain, answered, proposal.state is State.WITHDRAWN)

    async def written(self, ids: Sequence[str]) -> dict[str, Written | None]:
        """What these proposals say, by number; each is read once, since one look after another meets the same list."""
        asked = [own for own in ids if own not in self._once]
        fresh = await self._fresh(asked) if asked else {}
        self._once.update({own: each for own, each in fresh.items() if each is not None})
        return {own: self._once.get(own) for own in ids}

    async def _fresh(self, ids: Sequence[str]) -> dict[str, Written | None]:
        return {own: self._written(own, node) for own, node in (await self._nodes(ids, None)).items()}

    def _written(self, own: str, node: dict[str, Any] | None) -> Written | None:
        if node is None:
            return None
        text = "\n".join(str(node.get(name) or "") for name in ("summary", "description"))
        author = inside(node, "publicAuthor", "id")
        return Written(
            own,
            str(node.get("title") or ""),
            text,
            moment(node, "publicCreatedAt"),
            str(author) if author is not None else None,
            int(node.get("cachedVotesUp") or 0),
            bool(node.get("retiredAt")),
        )

    async def fresh(self, own: str) -> Written | None:
        """What a proposal says now, whatever was read before; None when there is none."""
        return (await self._fresh([own]))[own]

    async def marked(self) -> list[Written]:
        """All proposals of the site that carry something like a marker, newest first; drafts too.

        The interface has no order (docs/platforms/consul.md 3.2): more than one request is asked a second time, and both are believed.
        """
        dialect = await self.dialect()
        only = ("title", "summary", "description", "publicCreatedAt", "retiredAt", "cachedVotesUp")
        shape = Shape("proposals", only=only)
        pages, rows, found = shape.pages_per_request(dialect), dialect.page, dict[str, Written]()
        for _ in range(2):
            offset, requests, goes_on = 0, 0, True
            while goes_on:
                parts = [(f"p{i}", shape, offset + i * (rows or 0), rows) for i in range(pages)]
                async with nothing_stored():
                    try:
                        data = await self.api(None).ask(pages_document(dialect, parts), dialect)
                    except TooLarge:
                        if rows is not None:
                            raise
                        # A dialect without pages was asked for all of them, and how many there are was not known.
                        rows = _PART
                        continue
                for position in range(pages):
                    connection = data.get(f"p{position}")
                    for node in nodes(connection, dialect):
                        each = self._written(str(node.get("id")), node)
                        if each is not None and claims_marker(each.text):
                            found[each.own] = each
                    goes_on = bool(inside(connection, "pageInfo", "hasNextPage"))
                offset, requests = offset + pages * (rows or 0), requests + 1
            if requests == 1:
                break
        return sorted(found.values(), key=lambda each: -int(each.own))

    async def surely_public(self, session: WebSession, newest: datetime | None) -> set[str]:
        """Some proposals that are public for certain, from `newest` back: the public list never shows a draft.

        Two pages of it save a question for each of what the account wrote lately; what is not among them must be asked for.
        """
        found = set[str]()
        params = {"order": "created_at"}
        if newest is not None:
            # A day later, because the site's days are not ours.
            params["advanced_search[date_max]"] = (newest + timedelta(days=1)).date().isoformat()
        for number in (1, 2):
            page = await session.browser.load("/proposals", params | ({"page": "2"} if number > 1 else {}))
            ids = listed(page) if page.status == 200 else []
            found |= set(ids)
            if len(ids) < PER_PAGE:
                break
        return found

    async def is_draft(self, session: WebSession, own: str) -> bool:
        """Whether a proposal must still be published, by its own page, which everybody may read (docs/platforms/consul.md 10b).

        Raises:
            NotDone: that cannot be told now.
        """
        page = await session.browser.load(f"/proposals/{own}")
        page = await session.browser.load(page.location) if page.status == 301 else page
        if page.status != 200:
            raise NotDone(f"the page of proposal/{own} cannot be read now", status=page.status)
        return page.soup.select_one(f"#proposal_{own}_votes .callout.primary") is not None

    async def own_list(self, session: WebSession, address: str, since: datetime | None) -> AsyncGenerator[Written]:
        """Everything that the account of this page wrote, drafts too, newest first; back to `since`."""
        async for each in self._walk(session, address, {"filter": "proposals"}, since):
            yield each

    async def moderated(self, person: str, marker: str, *, besides: Collection[str] = ()) -> str | None:
        """The number of another proposal of this person that carries the marker, even if a moderator has hidden it meanwhile."""
        async with aclosing(self.ever_public(person)) as all_of_them:
            async for each in all_of_them:
                if each.own not in besides and carries(each.text, marker):
                    return each.own
        return None

    async def ever_public(self, person: str) -> AsyncGenerator[Written]:
        """What this person published, also what a moderator has hidden meanwhile; without titles.

        No list shows the latter; the interface does, as long as the person's activity is public (docs/platforms/consul.md 4.3).
        """
        dialect = await self.dialect()
        rows, pages, offset = dialect.page or 5000, written_by_pages(dialect), 0
        while True:
            async with nothing_stored():
                data = await self.api(None).ask(written_by_document(dialect, person, offset), dialect)
            goes_on = False
            for position in range(pages):
                connection = inside(data, "user", f"w{position}") or {}
                for node in nodes(connection, dialect):
                    yield Written(str(node.get("id")), "", str(node.get("description") or ""), None)
                goes_on = bool(inside(connection, "pageInfo", "hasNextPage"))
            if not goes_on:
                return
            offset += pages * rows

    async def public_list(self, session: WebSession, since: datetime) -> AsyncGenerator[Written]:
        """Everything that became public since, whoever wrote it, newest first."""
        # The day before, because the site's days are not ours. With a date the list keeps its featured proposals.
        day = (since - timedelta(days=1)).date().isoformat()
        params = {"advanced_search[date_min]": day, "order": "created_at"}
        async for each in self._walk(session, "/proposals", params, since):
            yield each

    async def _walk(
        self, session: WebSession, path: str, params: dict[str, str], since: datetime | None
    ) -> AsyncGenerator[Written]:
        seen: set[str] = set()
        for number in range(1, MAX_PAGES):
            page = await session.browser.load(path, params | ({"page": str(number)} if number > 1 else {}))
            ids = [own for own in self._checked(page, path) if own not in seen]
            if not ids:
                if number == 1:
                    await self._switched_on(path)
                return
            seen.update(ids)
            found = await self.written(ids)
            for own in ids:
                each = found[own]
                if each is None:
                    continue
                if since is not None and each.created_at is not None and each.created_at < since - _ROOM:
                    return
                yield each
        raise NotDone("the list of proposals does not end")

    async def _switched_on(self, path: str) -> None:
        """An empty list proves nothing while proposals are switched off: then even one's own page lists none (recording 755j)."""
        async with nothing_stored():
            _, features = await self.api(None).release()
        if "proposals" in features and features["proposals"] not in ("t", True):
            raise NotDone(f"{path} lists nothing: proposals are switched off on the site")

    def _checked(self, page: HtmlPage, path: str) -> list[str]:
        """The numbers on a page that really is the list.

        A page to sign in, an error, or the empty list that strangers see of a private account prove nothing
        (docs/platforms/consul.md 9): only a page for who is signed in does.
        """
        if page.status != 200 or not page.offers("/users/sign_out"):
            raise NotDone(f"{path} cannot be read as who we are now (status {page.status})", status=page.status)
        return listed(page)

    async def tag_name(self, own: str) -> str:
        """The name of a category or tag: a proposal is given its tags by name."""
        dialect = await self.dialect()
        try:
            async with nothing_stored():
                data = await self.api(None).ask(f'{{tag(id:"{own}"){{name}}}}', dialect)
        except NotDone as error:
            if error.status == 404:
                raise CannotDo(f"there is no category or tag {own} on the site") from error
            raise
        name = inside(data, "tag", "name")
        if not name:
            raise CannotDo(f"there is no category or tag {own} on the site")
        return str(name)

    async def has_comment(self, ref: Ref, marker: str, text: str | None = None) -> bool:
        """Whether a comment with this marker is there; with a text, whether the newest of them says that.

        Raises:
            CannotDo: comments on such a thing cannot be read.
        """
        kind, own = split_ref(ref)
        dialect = await self.dialect()
        collection = {"proposal": "proposals", "debate": "debates"}.get(kind)
        if collection is None:
            raise CannotDo(f"comments on {kind} cannot be looked up here")
        offset, rows, told = 0, dialect.page or 100, dict[int, str]()
        while True:
            async with nothing_stored():
                document = comments_of_document(dialect, [(collection, own, offset)], False)
                data = await self.api(None).ask(document, dialect)
            connection = inside(data, "t0", "comments")
            bodies = {int(str(node["id"])): str(node.get("body") or "") for node in nodes(connection, dialect)}
            told |= {own: body for own, body in bodies.items() if carries(body, marker)}
            if not inside(connection, "pageInfo", "hasNextPage"):
                return bool(told) and (text is None or said(told[max(told)]) == said(text))
            offset += rows

    async def has_milestone(
        self, own: str, locale: str, marker: str, texts: Collection[str] | None = None
    ) -> bool | None:
        """Whether a milestone with this marker is there; with texts, whether the newest of them says one of these.

        None where the interface has no milestones (A and B).
        """
        if await self.dialect() is not DIALECTS["C"]:
            return None
        offset, told = 0, dict[int, str]()
        while True:
            after = f', after:"{cursor_at(offset)}"' if offset else ""
            fields = "nodes{id description} pageInfo{hasNextPage}"
            document = f'query Told{{r:proposal(id:"{own}"){{milestones(first:25{after}){{{fields}}}}}}}'
            async with nothing_stored():
                data = await self.api(locale).ask(document, DIALECTS["C"])
            connection = inside(data, "r", "milestones")
            for each in flat(inside(connection, "nodes")):
                description = str(inside(each, "description") or "")
                if carries(description, marker):
                    told[int(str(inside(each, "id")))] = description
            if not inside(connection, "pageInfo", "hasNextPage"):
                return bool(told) and (texts is None or said(told[max(told)]) in set(map(said, texts)))
            offset += 25


def copy_at(base: str, own: str, locale: str | None, voice: str, *, complete: bool) -> Copy:
    """The copy with this number on the site at `base`."""
    return Copy(f"proposal/{own}", f"{base}/proposals/{own}", {"voice": voice, "locale": locale}, complete)
