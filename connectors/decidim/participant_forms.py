"""A participant's proposal by the site's own forms: draft, publish, edit, withdraw (docs/platforms/decidim.md 4.4, item 2).

The wizard of 0.27 and 0.28 leads from create over `compare`, later ones straight to `preview`; in all of them publishing straight after
create works, and publishing twice is harmless. Creating twice is not: it makes a second draft.
"""

import re
from collections.abc import Sequence

from ...core.ledger.marker import carries, claims_marker
from ..contract.errors import CannotDo, ConnectorError, ContentRefused, MaybeDone, NotDone
from ..contract.exchange import Request
from ..contract.writing import Draft, Limits, LocalText
from ..http.html_page import HtmlPage
from ..http.web_session import unreadable
from .pages import locales_of, words
from .places import Place, Places
from .text_rules import BODY_LEAST, TITLE
from .web_session import WebSession
from .write_requests import form_request

_TITLE = re.compile(r"proposal\[title\]")
_DRAFT = re.compile(r"/proposals/(\d+)/(?:compare|complete|preview|edit_draft)$")
_NAMES_TRIED = 12
_UNLIMITED = 1_000_000
_KEPT = ("proposal[documents][]", "proposal[photos][]", "proposal[attachments][]")
"""Files that somebody added: a form that does not name them deletes them."""


class ParticipantForms:
    """The participant's forms of one site."""

    def __init__(self, session: WebSession, places: Places) -> None:
        self.session = session
        self.places = places

    # What goes out

    def fields(self, place: Place, text: LocalText, draft: Draft, *, details: bool) -> tuple[tuple[str, str], ...]:
        """The fields of the form; `details`: category or taxonomies, scope and place are in this step."""
        found = [("proposal[title]", text.title), ("proposal[body]", self.places.body(place, text))]
        if details:
            found += detail_fields(draft, self.places)
        return tuple(found)

    def create_request(self, place: Place, draft: Draft) -> Request:
        """The first step."""
        late = self.places.dialect.release < (0, 29)
        fields = self.fields(place, draft.main, draft, details=not late)
        return form_request("POST", self.places.address(place.public, draft.locale), fields)

    def details_request(self, place: Place, draft: Draft, own: str) -> Request | None:
        """The second step of the old wizard, only where there is something that the first cannot take."""
        if self.places.dialect.release >= (0, 29) or not detail_fields(draft, self.places):
            return None
        path = self.places.address(f"{place.public}/{own}/update_draft", draft.locale)
        return form_request("PATCH", path, self.fields(place, draft.main, draft, details=True))

    def publish_request(self, place: Place, draft: Draft, own: str) -> Request:
        """The last step."""
        return form_request("POST", self.places.address(f"{place.public}/{own}/publish", draft.locale), ())

    def edit_request(self, place: Place, draft: Draft, own: str, kept: Sequence[tuple[str, str]] = ()) -> Request:
        """The whole text anew; what is left out is lost."""
        fields = (*self.fields(place, draft.main, draft, details=True), *kept)
        return form_request("PATCH", self.places.address(f"{place.public}/{own}", draft.locale), fields)

    def withdraw_request(self, place: Place, own: str, locale: str) -> Request:
        """Taking it back."""
        return form_request("PUT", self.places.address(f"{place.public}/{own}/withdraw", locale), ())

    # What it does

    async def limits(self, place: Place) -> Limits:
        """What the form takes.

        Raises:
            CannotDo: nothing can be proposed there, and why.
        """
        locale = self.places.locales[0]
        page = await self.session.open(self.places.address(f"{place.public}/new", locale))
        if page.redirect is not None and _DRAFT.search(page.redirect):
            page = await self.session.open(
                self.places.address(page.redirect, locale) if not self.places.prefixed else page.redirect
            )
        await self._welcome(page, place)
        shown = locales_of(page)
        if shown:
            main = self.places.locales[0]
            self.places.locales = [main, *(each for each in shown if each != main)]
        field = page.field("proposal[body]")
        rich = field is not None and field.name != "textarea"
        (self.places.rich.add if rich else self.places.rich.discard)(place.id)
        high = page.longest("proposal[body]") or _UNLIMITED
        return Limits(TITLE, (BODY_LEAST, high), sends="html" if rich else "plain", locales=tuple(self.places.locales))

    async def _welcome(self, page: HtmlPage, place: Place) -> None:
        if page.redirect is not None:
            why = await self.session.reason(page.redirect)
            raise CannotDo(
                f"the account may not propose in component/{place.id}{f': {why}' if why else ''}",
                hint="is creating open there, and does the component ask for a verification that the account lacks?",
            )
        if page.status == 404:
            raise CannotDo(f"component/{place.id} has no page for new proposals", hint="is it published?")
        if page.field("proposal[title]") is None:
            raise NotDone("the form for a new proposal did not come", hint="a proxy may stand in front of the site")

    async def draft(self, place: Place, locale: str, marker: str) -> str | None:
        """The id of our own draft with this marker; None: there is none.

        `/new` names one of the account's drafts, in no fixed order. Other drafts with a marker of ours are what failed attempts left:
        they are destroyed, so that the next question can be answered.

        Raises:
            NotDone: a draft that somebody wrote by hand stands in the way.
        """
        foreign: set[str] = set()
        for _ in range(_NAMES_TRIED):
            page = await self.session.open(self.places.address(f"{place.public}/new", locale))
            match = _DRAFT.search(page.redirect or "")
            if match is None:
                await self._welcome(page, place)
                return None
            text = await self._draft_text(place, locale, match[1])
            if carries(text, marker):
                return match[1]
            if claims_marker(text):
                await self.discard(place, locale, match[1])
            else:
                foreign.add(match[1])
        raise NotDone(
            f"the account has drafts in component/{place.id} that are not ours: {', '.join(sorted(foreign)) or 'many'}",
            hint="give civicsync an account of its own; publish or delete those drafts",
        )

    async def _draft_text(self, place: Place, locale: str, own: str) -> str:
        page = await self.session.open(self.places.address(f"{place.public}/{own}/edit_draft", locale))
        if page.field("proposal[body]") is None:
            raise NotDone(f"the draft {own} cannot be read now")
        return "\n".join([*page.values("proposal[title]"), *page.values("proposal[body]")])

    async def create(self, place: Place, draft: Draft) -> str:
        """A public proposal; returns its id."""
        opened = self.places.address(f"{place.public}/new", draft.locale)
        page = await self.session.open(opened)
        match = _DRAFT.search(page.redirect or "")
        if match is not None:
            # A draft blocks the form, not the creation: its page holds a token too.
            opened = self.places.address(f"{place.public}/{match[1]}/edit_draft", draft.locale)
            if carries(await self._draft_text(place, draft.locale, match[1]), draft.marker):
                return await self.finish(place, draft, match[1])
            page = await self.session.open(opened)
        else:
            await self._welcome(page, place)
        sent = await self.session.send(opened, self.create_request(place, draft), page)
        if not sent.sent:
            await self._welcome(sent.page, place)
            raise NotDone(f"creating in component/{place.id}: the form did not come")
        own = await self._draft_id(sent.page, place)
        page = await self._own_draft(place, draft, own)
        return await self.finish(place, draft, own, page)

    async def _own_draft(self, place: Place, draft: Draft, own: str) -> HtmlPage:
        """The page of the draft that the answer named. A redirect names an id; only the text tells whose it is."""
        what = f"creating in component/{place.id}"
        try:
            page = await self.session.open(self.places.address(f"{place.public}/{own}/edit_draft", draft.locale))
        except ConnectorError as error:
            raise MaybeDone(f"{what}: a draft is made and not yet published: {error.message}") from error
        if not any(carries(value, draft.marker) for value in page.values("proposal[body]")):
            raise MaybeDone(f"{what}: the answer does not name the draft that was made")
        return page

    async def _draft_id(self, page: HtmlPage, place: Place) -> str:
        match = _DRAFT.search(page.redirect or "")
        if match is not None:
            return match[1]
        await judge(self.session, page, f"creating in component/{place.id}", _TITLE)
        raise unreadable(page.answer, f"creating in component/{place.id}")

    async def finish(self, place: Place, draft: Draft, own: str, page: HtmlPage | None = None) -> str:
        """Publish a draft; repeating it is harmless. A draft is left behind where this fails, so nothing here is ever "not done"."""
        try:
            await self._finish(place, draft, own, page)
        except NotDone as error:
            raise MaybeDone(
                f"the draft {own} is made and not yet published: {error.message}", hint=error.hint
            ) from error
        except (CannotDo, ContentRefused):
            await self.discard(place, draft.locale, own)
            raise
        return own

    async def _finish(self, place: Place, draft: Draft, own: str, page: HtmlPage | None) -> None:
        details = self.details_request(place, draft, own)
        if details is not None:
            opened = self.places.address(f"{place.public}/{own}/edit_draft", draft.locale)
            sent = await self.session.send(opened, details, page)
            if sent.sent and not (sent.page.redirect or "").endswith("/preview"):
                await judge(self.session, sent.page, f"completing the draft {own}", _TITLE)
                raise unreadable(sent.page.answer, f"completing the draft {own}")
        preview = self.places.address(f"{place.public}/{own}/preview", draft.locale)
        sent = await self.session.send(preview, self.publish_request(place, draft, own), page)
        if not sent.sent:
            # It may be public already, by an earlier publishing whose answer was lost, or never have been ours.
            raise unreadable(sent.page.answer, f"publishing the draft {own}", form=False)
        if not (sent.page.redirect or "").endswith(f"/proposals/{own}"):
            await judge(self.session, sent.page, f"publishing the draft {own}", None)
            raise unreadable(sent.page.answer, f"publishing the draft {own}")

    async def discard(self, place: Place, locale: str, own: str) -> None:
        """Destroy a draft of ours; a failure leaves it, invisible."""
        preview = self.places.address(f"{place.public}/{own}/preview", locale)
        request = form_request("DELETE", self.places.address(f"{place.public}/{own}/destroy_draft", locale), ())
        try:
            await self.session.send(preview, request)
        except ConnectorError:
            return

    async def edit(self, place: Place, draft: Draft, own: str) -> None:
        """Replace the text, inside the site's edit window."""
        opened = self.places.address(f"{place.public}/{own}/edit", draft.locale)
        page = await self.session.open(opened)
        if page.redirect is not None or page.status != 200:
            await self._closed(page, own)
        kept = [(name, value) for name in _KEPT for value in page.values(name) if value]
        sent = await self.session.send(opened, self.edit_request(place, draft, own, kept), page)
        if not sent.sent:
            await self._closed(sent.page, own)
        if not (sent.page.redirect or "").endswith(f"/proposals/{own}"):
            await judge(self.session, sent.page, f"editing proposal/{own}", _TITLE)
            raise unreadable(sent.page.answer, f"editing proposal/{own}")

    async def _closed(self, page: HtmlPage, own: str) -> None:
        why = await self.session.reason(page.redirect) if page.redirect is not None else ""
        raise CannotDo(
            f"proposal/{own} cannot be edited any more{f': {why}' if why else ''}",
            hint="participants may edit for minutes only (the component's setting), and never after an answer",
        )

    async def withdraw(self, place: Place, own: str, locale: str) -> str:
        """Ask for it; the redirect says nothing, the caller looks. Returns what the site said."""
        opened = self.places.address(f"{place.public}/{own}", locale)
        sent = await self.session.send(opened, self.withdraw_request(place, own, locale))
        if not sent.sent:
            raise CannotDo(f"proposal/{own} has no page any more", hint="it may be hidden or deleted")
        if not (sent.page.redirect or "").endswith(f"/proposals/{own}"):
            await judge(self.session, sent.page, f"withdrawing proposal/{own}", None)
            raise unreadable(sent.page.answer, f"withdrawing proposal/{own}")
        return await self.session.reason(opened)


def detail_fields(draft: Draft, places: Places) -> list[tuple[str, str]]:
    """Category or taxonomy, scope, address and place as forms take them."""
    found: list[tuple[str, str]] = []
    if draft.category is not None:
        name = "proposal[taxonomies][]" if places.dialect.release >= (0, 30) else "proposal[category_id]"
        found.append((name, draft.category.partition("/")[2]))
    if draft.area is not None:
        name = "proposal[taxonomies][]" if places.dialect.release >= (0, 30) else "proposal[scope_id]"
        found.append((name, draft.area.partition("/")[2]))
    if draft.latitude is not None and draft.longitude is not None:
        found += [("proposal[latitude]", str(draft.latitude)), ("proposal[longitude]", str(draft.longitude))]
        if draft.address:
            # An address alone is looked up by the site, and refused if it is not found.
            found.append(("proposal[address]", draft.address))
    return found


async def judge(session: WebSession, page: HtmlPage, what: str, field: re.Pattern[str] | None) -> None:
    """Raise what an answer that is no success certainly means; return where it means nothing certain.

    Raises:
        Rejected: the form again, with what is wrong (200, from 0.32 on 422).
        CannotDo: sent to the start page, or not allowed.
    """
    if page.redirect is not None:
        if page.redirect.strip("/") in {"", *(f"{each}" for each in _locale_roots(page.redirect))}:
            why = await session.reason(page.redirect)
            raise CannotDo(f"{what} is not allowed{f': {why}' if why else ''}", hint="has the account the right to it?")
        return
    if page.status in {200, 422} and field is not None and page.has(field) and words(page):
        raise ContentRefused(f"{what}: {words(page)}", status=page.status)
    if page.status in {401, 403, 404}:
        raise CannotDo(f"{what} is not allowed (status {page.status})", hint="has the account the right to it?")


def _locale_roots(path: str) -> list[str]:
    bare = path.strip("/")
    return [bare] if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]{2,4})?", bare) else []
