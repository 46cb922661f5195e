"""The administrator's forms: official proposals in all languages, and official answers (docs/platforms/decidim.md 4.4, items 3 and 5).

Creating says nothing of the id, and nothing guards against a second one: the caller looks for the marker before and after.
"""

import re
from collections.abc import Mapping, Sequence

from ..contract.errors import CannotDo, ContentRefused, NotDone
from ..contract.exchange import Request
from ..contract.writing import Draft, Limits, LocalText
from ..http.html_page import HtmlPage
from ..http.web_session import unreadable
from .pages import words
from .participant_forms import detail_fields, judge
from .places import Place, Places
from .text_rules import TITLE
from .web_session import WebSession
from .write_requests import form_request

_TITLE = re.compile(r"proposal\[title_(\w+)\]")
_ANSWER = re.compile(r"proposal_answer\[answer_(\w+)\]")
_STATE = re.compile(r"proposal_answer\[internal_state\]")
_FILES = ("proposal[attachment][title]", "proposal[add_attachments][]")
"""Empty fields that the form must not lack: without the first, releases up to 0.30 answer 500."""
_KEPT = ("proposal[documents][]", "proposal[photos][]", "proposal[attachments][]")


class AdminForms:
    """The administrator's pages of one site."""

    def __init__(self, session: WebSession, places: Places) -> None:
        self.session = session
        self.places = places

    # What goes out

    def fields(self, draft: Draft, files: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """All languages at once; what is left out is cleared."""
        found: list[tuple[str, str]] = []
        for locale, text in draft.texts.items():
            suffix = locale.replace("-", "__")
            found += [(f"proposal[title_{suffix}]", text.title), (f"proposal[body_{suffix}]", text.html)]
        found += detail_fields(draft, self.places)
        found.append(("proposal[created_in_meeting]", "0"))
        return (*found, *((name, "") for name in files))

    def usual_files(self) -> Sequence[str]:
        """The empty fields of a release, before its form was seen."""
        return _FILES[1:] if self.places.prefixed else _FILES[:1]

    def create_request(self, place: Place, draft: Draft, files: Sequence[str] | None = None) -> Request:
        """A new official proposal."""
        fields = self.fields(draft, self.usual_files() if files is None else files)
        return form_request("POST", self.places.address(place.office, draft.locale), fields)

    def edit_request(
        self,
        place: Place,
        draft: Draft,
        own: str,
        files: Sequence[str] | None = None,
        kept: Sequence[tuple[str, str]] = (),
    ) -> Request:
        """The whole proposal anew."""
        fields = (*self.fields(draft, self.usual_files() if files is None else files), *kept)
        return form_request("PATCH", self.places.address(f"{place.office}/{own}", draft.locale), fields)

    def answer_request(
        self, place: Place, own: str, state: str, texts: Mapping[str, LocalText], locale: str
    ) -> Request:
        """The official answer."""
        fields = [("proposal_answer[internal_state]", state)]
        for each, text in texts.items():
            fields.append((f"proposal_answer[answer_{each.replace('-', '__')}]", text.html))
        path = self.places.address(f"{place.office}/{own}/proposal_answers/{own}", locale)
        return form_request("PATCH", path, fields)

    # What it does

    async def limits(self, place: Place) -> Limits:
        """What the form takes: the languages are those that it has fields for.

        Raises:
            CannotDo: the account is no administrator there, or official proposals are off.
        """
        page = await self._form(place, "new", _TITLE)
        found = dict.fromkeys(match[1].replace("__", "-") for name in page.names() if (match := _TITLE.fullmatch(name)))
        if found:
            main = (
                self.places.locales[0] if self.places.locales and self.places.locales[0] in found else next(iter(found))
            )
            self.places.locales = [main, *(each for each in found if each != main)]
        return Limits(TITLE, (1, 1_000_000), sends="html", many_locales=True, locales=tuple(self.places.locales))

    async def _form(self, place: Place, step: str, field: re.Pattern[str]) -> HtmlPage:
        page = await self.session.open(self.places.address(f"{place.office}/{step}", self.places.locales[0]))
        if page.redirect is not None:
            why = await self.session.reason(page.redirect)
            raise CannotDo(
                f"the account may not do this in component/{place.id}{f': {why}' if why else ''}",
                hint="official proposals must be enabled in the component, and the account must manage it",
            )
        if page.status in {401, 403, 404}:
            raise CannotDo(
                f"the account is no administrator of component/{place.id} (status {page.status})",
                hint="make the service account an administrator, or publish `as: participant`",
            )
        if not page.has(field):
            raise NotDone("the administrator's form did not come", hint="a proxy may stand in front of the site")
        return page

    async def create(self, place: Place, draft: Draft) -> None:
        """Make it; nobody says which id it got."""
        what = f"creating in component/{place.id}"
        page = await self._form(place, "new", _TITLE)
        files = [name for name in _FILES if page.field(name) is not None]
        opened = self.places.address(f"{place.office}/new", self.places.locales[0])
        sent = await self.session.send(opened, self.create_request(place, draft, files or None), page)
        await self._judge(sent.page, sent.sent, place, what)

    async def edit(self, place: Place, draft: Draft, own: str) -> None:
        """Replace it."""
        what = f"editing proposal/{own}"
        page = await self._form(place, f"{own}/edit", _TITLE)
        files = [name for name in _FILES if page.field(name) is not None]
        kept = [(name, value) for name in _KEPT for value in page.values(name) if value]
        opened = self.places.address(f"{place.office}/{own}/edit", self.places.locales[0])
        sent = await self.session.send(opened, self.edit_request(place, draft, own, files or None, kept), page)
        await self._judge(sent.page, sent.sent, place, what)

    async def _judge(self, page: HtmlPage, sent: bool, place: Place, what: str) -> None:
        if sent and (page.redirect or "").endswith("/manage/proposals"):
            return
        if not sent and page.redirect is None:
            raise NotDone(f"{what}: the form did not come", status=page.status)
        await judge(self.session, page, what, _TITLE)
        if sent:
            raise unreadable(page.answer, what)
        raise NotDone(f"{what}: the form did not come")

    async def answered_texts(self, place: Place, own: str) -> dict[str, str]:
        """What the answer form holds in each language, published or not."""
        page = await self._form(place, own, _STATE)
        found = {match[1].replace("__", "-"): name for name in page.names() if (match := _ANSWER.fullmatch(name))}
        return {locale: "\n".join(page.values(name)) for locale, name in found.items()}

    async def answer(self, place: Place, own: str, state: str, texts: Mapping[str, LocalText], locale: str) -> None:
        """Give the answer; giving it again tells everybody again."""
        what = f"answering proposal/{own}"
        page = await self._form(place, own, _STATE)
        opened = self.places.address(f"{place.office}/{own}", locale)
        sent = await self.session.send(opened, self.answer_request(place, own, state, texts, locale), page)
        page = sent.page
        if sent.sent and (page.redirect or "").endswith("/manage/proposals"):
            return
        if sent.sent and page.status in {200, 422} and page.has(_STATE) and words(page):
            raise ContentRefused(f"{what}: {words(page)}", status=page.status)
        await judge(self.session, page, what, None)
        raise unreadable(page.answer, what) if sent.sent else NotDone(f"{what}: the form did not come")
