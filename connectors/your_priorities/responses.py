"""What may be told on Your Priorities: official statuses with their text, and, only where the operator wants it, arguments.

Nothing here decides whether something may be said. Facts: docs/platforms/your-priorities.md 5.7, 5.8.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.identity import Ref
from ...core.ledger.marker import carries, said
from ...core.text import tidy
from ..contract.errors import CannotDo, MaybeDone, NotDone, nothing_stored
from ..contract.exchange import Request, Response
from ..contract.writing import AnswerDraft, LocalText
from . import dialects, group_rules, text_rules, write_requests
from .api import rows, table
from .lookup import CACHE_SECONDS, Lookup, ref_of
from .web_session import WebSession, row_of


class Responses:
    """Implements `CanAnswer` and `CanComment` of `connectors.contract.writing`."""

    def __init__(self, session: WebSession, lookup: Lookup) -> None:
        self.session = session
        self.lookup = lookup
        self.settings = session.settings

    # Official statuses

    def plan_answer(self, ref: Ref, answer: AnswerDraft) -> Sequence[Request]:
        """One request; where the state has no word there, the status stays as it is."""
        status = write_requests.status_of(answer.state)
        return [write_requests.answer(ref_of(ref), _said(answer), write_requests.STATUS if status is None else status)]

    async def has_answer(self, ref: Ref, answer: AnswerDraft) -> bool:
        """By the feed, which is written a little later than the text itself: so a doubtful absence is looked at twice (4.2).

        Raises:
            NotDone: the status is set, and the feed tells of no answer at all: whoever writes the feed may be down.
        """
        own = ref_of(ref)
        node = await self.lookup.there(own)
        wanted = write_requests.status_of(answer.state)
        if await self._told(own, answer):
            return True
        if wanted is not None and node.get("official_status") != wanted:
            return False
        await self.lookup.clock.sleep(CACHE_SECONDS)
        told = await self._told(own, answer)
        if told is None and wanted:
            raise NotDone(
                f"{ref} has the status of the answer, and the feed tells nothing of it",
                hint="the site's worker may be down: its queue must be worked off before anything can be told from the feed",
            )
        return told is True

    async def _told(self, own: str, answer: AnswerDraft) -> bool | None:
        """Whether the feed tells this answer; None: it tells none of anybody's."""
        text, any_told = _said(answer).texts[answer.locale].plain, False
        before: dict[str, str] = {}
        async with nothing_stored():
            while True:
                path = dialects.activities("posts", own)
                feed = table(await self.lookup.api.get(path, **before), path)
                listed = rows(feed.get("activities"), path)
                for one in listed:
                    change = one.get("PostStatusChange") if isinstance(one, dict) else None
                    there = tidy(str(change.get("content"))) if isinstance(change, dict) else ""
                    any_told = any_told or isinstance(change, dict)
                    if carries(there, answer.marker):
                        # The newest with our marker: an older wording of it is not what is to be said now.
                        return there.strip() == text.strip()
                oldest = feed.get("oldestProcessedActivityAt")
                if not listed or not isinstance(oldest, str) or before.get("beforeDate") == oldest:
                    return False if any_told else None
                before = {"beforeDate": oldest}

    async def answer(self, ref: Ref, answer: AnswerDraft) -> None:
        """As an admin of the group. Everybody who voted for the proposal gets an e-mail."""
        own = ref_of(ref)
        node = await self.lookup.there(own)
        group = str(node.get("group_id"))
        if not await self.session.administers(group):
            raise CannotDo(
                f"only an admin of group/{group} gives official answers there",
                hint="make the account one of its admins",
            )
        status = write_requests.status_of(answer.state)
        if status is None:
            now = node.get("official_status")
            status = now if isinstance(now, int) else 0
        sent = await self.session.send(write_requests.answer(own, _said(answer), status))
        await self._ok(sent, "the official answer")

    async def _ok(self, sent: Response, what: str) -> None:
        if sent.status != 200:
            raise await self.session.refused(sent, what)
        if sent.text.strip() != "OK":
            raise MaybeDone(f"{what} was answered with something else than OK")

    # Arguments

    def plan_comment(self, ref: Ref, text: LocalText) -> Sequence[Request]:
        """One argument."""
        self._may_argue()
        return [write_requests.argue(write_requests.GROUP, ref_of(ref), text_rules.said(text))]

    def _may_argue(self) -> None:
        if not self.settings.answers_as_arguments:
            raise CannotDo(
                "all that can be said below a proposal there is an argument for or against it, and an answer is neither",
                hint="make the account an admin of the group, or set `answers_as_arguments`",
            )

    async def has_comment(self, ref: Ref, marker: str, text: LocalText | None = None) -> bool:
        """Among the arguments of our account, in their latest wording (0.6)."""
        own, me = ref_of(ref), await self.session.own()
        path = dialects.points(own)
        async with nothing_stored():
            listed = await self.lookup.api.maybe(path, latestPointCreatedAt=dialects.EPOCH)
            if listed is None:
                raise CannotDo(f"{ref} is not there: deleted, or hidden by a moderator", status=401)
            found = rows(listed, path)
        told: list[tuple[int, str]] = []
        for one in found:
            user = one.get("User") if isinstance(one, dict) else None
            if isinstance(user, dict) and str(user.get("id")) == me and carries(_wording(one), marker):
                told.append((int(str(one.get("id"))), _wording(one)))
        return bool(told) and (text is None or said(max(told)[1]) == said(text_rules.said(text).plain))

    async def comment(self, ref: Ref, text: LocalText) -> None:
        """An argument for the proposal."""
        self._may_argue()
        own = ref_of(ref)
        node = await self.lookup.there(own)
        group = await self.lookup.group(str(node.get("group_id")))
        if group.settings.get("disableDebate") or group.settings.get("hideDebate"):
            raise CannotDo(f"group/{group.own} has no debate")
        text, longest = text_rules.said(text), group_rules.argument_limit(group)
        if longest is not None and len(text.plain) > longest:
            raise CannotDo(
                f"group/{group.own} takes arguments of at most {longest} characters, this has {len(text.plain)}"
            )
        await self.session.own()
        sent = await self.session.send(write_requests.argue(group.own, own, text))
        if sent.status != 200:
            raise await self.session.refused(sent, "the argument", "the account may have to join the group")
        made = row_of(sent)
        if str(made.get("post_id")) != own or made.get("content") != text.plain:
            raise MaybeDone("the site answered with an argument that is not what was sent")


def _wording(point: Mapping[str, Any]) -> str:
    found = point.get("PointRevisions")
    last = found[-1] if isinstance(found, list) and found and isinstance(found[-1], dict) else point
    return str(last.get("content"))


def _said(answer: AnswerDraft) -> AnswerDraft:
    texts = {answer.locale: text_rules.said(answer.texts[answer.locale])}
    return AnswerDraft(answer.state, answer.locale, texts, answer.marker)
