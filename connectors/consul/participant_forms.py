"""CONSUL's public forms for a proposal: create a draft, publish it, change it, retire it (docs/platforms/consul.md 8.2, 8.3).

One form is loaded for one post; 302 alone is no success and 406 no failure. Nothing here looks a lost answer up.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from ...core.identity import split_ref
from ..contract.errors import CannotDo, ContentRefused, MaybeDone, NotDone, WriteError
from ..contract.writing import Copy, Draft, Limits
from ..http.html_page import HtmlPage
from ..http.web_session import TOKEN
from . import text_rules, write_requests
from .lookup import copy_at
from .pages import errors_of, locales_of, wants_sign_in
from .web_session import WebSession, after_accepted, page_token
from .write_requests import EditForm

_PROPOSAL = re.compile(r"^/proposals/(\d+)(?:[-/]|$)")
_BLOCK = re.compile(r"^proposal\[translations_attributes\]\[(\d+)\]\[locale\]$")
_PLACE = "proposal[map_location_attributes]"


class ParticipantForms:
    """The forms of one site, as the account of `login` gets them."""

    def __init__(self, session: WebSession) -> None:
        self.session = session

    async def form(self, locale: str | None) -> HtmlPage:
        """The form for a new proposal."""
        return await self._page("/proposals/new", locale, "new_proposal")

    async def _page(self, path: str, locale: str | None, own: str) -> HtmlPage:
        """A page with a form that only its author gets. Raises: CannotDo, NotDone."""
        page = await self.session.authors_page(path, {"locale": locale} if locale else None)
        if page.status == 302:
            self.session.forget()  # the session may be somebody else's; whoever asks again asks with a new one
            raise await self._not_allowed(path)
        if page.status == 403:
            raise CannotDo("proposals are switched off on the site", status=403)
        if page.status == 404:
            raise CannotDo("the proposal is not there any more", hint="a moderator may have hidden it", status=404)
        if page.form(own) is None:
            raise NotDone(f"{path} shows no form (status {page.status})", status=page.status)
        return page

    async def _not_allowed(self, path: str) -> CannotDo:
        """Why a form of a proposal is not shown: it is another's, or its author may not change it any more."""
        own = _PROPOSAL.match(path)
        if own is not None and path.endswith("/edit") and (await self._created(own[1])).status == 200:
            # Only its author is shown that page: so it is the supports (docs/platforms/consul.md 8.2, 5).
            return CannotDo(
                "the proposal has more supports than the site lets an author change it with",
                hint="the limit is a setting of the site, `max_votes_for_proposal_edit`",
            )
        return CannotDo(
            "the account may not do that with this proposal: only its author may",
            hint="is the document of `management` that of the account of `login`?",
        )

    async def create(self, draft: Draft, page: HtmlPage, values: Mapping[str, str], loaded: float) -> Copy:
        """Send the form that came at the moment `loaded`; what is made is a draft, which only its author sees."""
        await self.session.wait(loaded)
        request = write_requests.create(draft, self.session.base)
        token = {TOKEN: page_token(page, request.path)}
        answer = await self.session.browser.send(
            request, {**values, **token}, without=left_out(page.form("new_proposal") or {})
        )
        made = _PROPOSAL.match(answer.location) if answer.status == 302 else None
        if made is None:
            raise not_made(self.session, answer, back="/proposals/new")
        return copy_at(self.session.base, made[1], draft.locale, "participant", complete=False)

    async def publish(self, copy: Copy) -> Copy:
        """Publish a draft that exists. From here on every failure leaves something behind: it is "maybe done"."""
        own = split_ref(copy.ref)[1]
        with after_accepted(f"the draft {copy.ref} is made, but not published"):
            page = await self._created(own)
            if page.status in {302, 404}:
                raise CannotDo("the draft is not there any more, or it is not ours", status=page.status)
            if page.status != 200:
                raise NotDone(f"the page of the draft cannot be read (status {page.status})", status=page.status)
            if page.offers("/publish"):
                request = write_requests.publish(own, self.session.base)
                answer = await self.session.browser.send(request, {TOKEN: page_token(page, request.path)})
                if not _leads_to(answer, own):
                    # A second time is refused (docs/platforms/consul.md 8.2, 4): then it was public already.
                    await self._is_public(own, answer.status)
        return Copy(copy.ref, copy.url, copy.how)

    async def _created(self, own: str) -> HtmlPage:
        """The page that follows creating: it offers to publish as long as the proposal is a draft."""
        return await self.session.authors_page(f"/proposals/{own}/created")

    async def _is_public(self, own: str, status: int) -> None:
        page = await self._created(own)
        if page.status != 200 or page.offers("/publish"):
            raise MaybeDone(
                f"proposal/{own} is a draft still: publishing was answered with status {status}", status=status
            )

    async def is_draft(self, own: str) -> bool:
        """Whether a proposal of ours still must be published. Raises: NotDone where that cannot be told now."""
        page = await self._created(own)
        if page.status != 200:
            raise NotDone(f"the page of proposal/{own} cannot be read now", status=page.status)
        return page.offers("/publish")

    async def edit(self, own: str, draft: Draft, had: Collection[str] | None) -> None:
        """Replace the texts, one form for each language; the place is kept.

        `had`: the languages that it was written in before, of which the draft's are left; None: nobody knows, so every one is looked at.

        Raises:
            MaybeDone: also where one language is changed and a further one is not; repeating it is harmless.
        """
        languages = list(draft.texts)
        for position, locale in enumerate(languages):
            try:
                there = await self._edit(own, draft, locale)
            except WriteError as error:
                if not position or isinstance(error, MaybeDone):
                    raise
                raise MaybeDone(
                    f"the text in {locale} is not changed, those before it are: {error.message}",
                    hint=error.hint,
                    status=error.status,
                ) from error
            # What is left over is taken away after what is said: they stand behind, and their turn comes.
            languages += [each for each in (there if had is None else had) if each not in languages]

    async def _edit(self, own: str, draft: Draft, locale: str) -> Sequence[str]:
        """Returns in which languages there may be a text, as the form says."""
        page = await self._page(f"/proposals/{own}/edit", locale, f"edit_proposal_{own}")
        loaded = self.session.clock.monotonic()
        form = page.form(f"edit_proposal_{own}") or {}
        blocks = _blocks(form)
        # Without the translation interface a form shows the language of its page alone.
        there = [each[1] for each in blocks if each[2]] if len(blocks) > 1 else locales_of(page)
        if locale not in draft.texts and not any(each[1] == locale and each[2] for each in blocks):
            return there
        request = write_requests.edit(own, draft, locale, self.session.base, _edit_form(form, locale))
        await self.session.wait(loaded)
        token = {TOKEN: page_token(page, request.path)}
        answer = await self.session.browser.send(request, token, without=left_out(form))
        back = f"/proposals/{own}/edit"
        if not _leads_to(answer, own) or answer.location == back:
            raise not_made(self.session, answer, back=back)
        return there

    async def retire(self, own: str, wanted: str | None, reason: str) -> bool:
        """Take it back, in the language of its copy or the first it has; false: a draft, which stays one, as nobody sees it."""
        created = await self._created(own)
        if created.status == 200 and created.offers("/publish"):
            return False
        page = await self._page(f"/proposals/{own}/retire_form", wanted, f"edit_proposal_{own}")
        there = _written(page, own, wanted)
        # Without the translation interface a form shows the language of its page alone; after a lost ledger nobody knows the copy's.
        for locale in locales_of(page) if wanted is None and not there else ():
            page = await self._page(f"/proposals/{own}/retire_form", locale, f"edit_proposal_{own}")
            there = _written(page, own, locale)
            if there:
                break
        if not there:
            raise CannotDo("the proposal has no text in the language of its copy", hint="somebody changed its language")
        _, locale, translation, _ = there[0]
        request = write_requests.retire(own, locale, reason, self.session.base, translation or "")
        answer = await self.session.browser.send(request, {TOKEN: page_token(page, request.path)})
        if not _leads_to(answer, own):
            raise not_made(self.session, answer, back=f"/proposals/{own}/retire_form")
        return True


def limits_of(page: HtmlPage) -> Limits:
    """What the form for a new proposal takes by its own word, and the languages that the site has."""
    blocks = _blocks(page.form("new_proposal") or {})
    # The language of a block that is in use is the one that the site speaks to us.
    locales = [each[1] for each in blocks if each[3]] + locales_of(page) + [each[1] for each in blocks]

    def longest(field: str, most: int) -> int:
        own = page.longest(f"proposal[translations_attributes][0][{field}]")
        return most if own is None else min(most, own)

    return Limits(
        title=(text_rules.TITLE[0], longest("title", text_rules.TITLE[1])),
        body=(0, longest("description", text_rules.BODY)),
        summary=longest("summary", text_rules.SUMMARY),
        sends="html",
        many_locales=True,
        locales=list(dict.fromkeys(locales)),
    )


def refuse_unsuitable(page: HtmlPage, locale: str, locales: Iterable[str]) -> None:
    """Raises: CannotDo where the form has no place for a text in `locale`, or in the further `locales`.

    The site itself would store any language, even one that it never shows (docs/platforms/consul.md 8.2, 3).
    """
    form = page.form("new_proposal") or {}
    offered = {each[1] for each in _blocks(form)}
    missing = [each for each in locales if each not in offered | set(locales_of(page))]
    if missing or locale not in offered:
        raise CannotDo(f"the site does not offer the language {', '.join(missing) or locale}")
    if "proposal[responsible_name]" in form:
        raise CannotDo(
            "the site asks for the name of a person who is responsible", hint="verify the account there by document"
        )


def left_out(form: Mapping[str, str]) -> str:
    """How the fields begin that a form does not have: a site without maps has none for a place."""
    return "" if f"{_PLACE}[latitude]" in form else _PLACE


def _leads_to(answer: HtmlPage, own: str) -> bool:
    """Whether an answer leads to a page of this very proposal, as every success does."""
    found = _PROPOSAL.match(answer.location) if answer.status == 302 else None
    return found is not None and found[1] == own


def not_made(session: WebSession, answer: HtmlPage, *, back: str = "") -> Exception:
    """What an answer means that is no success. `back`: where the site leads who was too quick for its captcha.

    Only what the site is known to answer when it stored nothing is believed (docs/platforms/consul.md 8.2); all else may be done.
    """
    errors = errors_of(answer) if answer.status in {200, 422} else None
    if errors is not None:
        return ContentRefused(f"the site refused the proposal: {errors}")
    if wants_sign_in(answer):
        session.forget()
        return NotDone("the session ended before the form was sent")
    if answer.status == 302 and answer.location in {back, "/"}:
        return NotDone("the site took the form for a robot's (sent too soon, or twice), or the account may not do that")
    if answer.status == 422:
        session.forget()
        return NotDone("the site refused the token of its own form", hint="are cookies kept on the way?", status=422)
    if answer.status == 403:
        return CannotDo("proposals are switched off on the site", status=403)
    if answer.status in {400, 401, 404}:
        return NotDone(f"the site answered with status {answer.status} to a proposal", status=answer.status)
    where = f" and led to {answer.location}" if answer.location else ""
    return MaybeDone(
        f"the site answered with status {answer.status}{where} to a proposal",
        status=answer.status,
        accepted=answer.status in {200, 302},
    )


def _written(page: HtmlPage, own: str, locale: str | None) -> list[tuple[str, str, str | None, bool]]:
    """The blocks of a form for a proposal in which there is a text, in this language or in any."""
    blocks = _blocks(page.form(f"edit_proposal_{own}") or {})
    return [each for each in blocks if each[2] and locale in (None, each[1])]


def _blocks(form: Mapping[str, str]) -> list[tuple[str, str, str | None, bool]]:
    """The blocks of texts in a form: index, language, id of the translation if there is one, whether it is in use.

    With the translation interface there is one for each language, in an order that says nothing (docs/platforms/consul.md 8.2, 3).
    """
    found: list[tuple[str, str, str | None, bool]] = []
    for name, value in form.items():
        match = _BLOCK.match(name)
        if match:
            stem = f"proposal[translations_attributes][{match[1]}]"
            own = form.get(f"{stem}[id]") or None
            found.append((match[1], value, own, form.get(f"{stem}[_destroy]") != "true"))
    return found


def _edit_form(form: Mapping[str, str], locale: str) -> EditForm:
    """The id of the translation in this language, and the place as the form holds it."""
    block = next((each for each in _blocks(form) if each[1] == locale), None)
    if block is None:
        raise CannotDo(f"the site does not offer the language {locale}")
    place = tuple(
        (name, value) for name, value in form.items() if name.startswith(_PLACE) and not name.endswith("[id]")
    )
    return EditForm(block[2], place if all(value for _, value in place) else ())
