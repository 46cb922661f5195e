"""Carrying out one operation: intent, effect, verdict; and finding out what became of a write whose answer was lost.

An operation is claimed (`sending`) and committed before anything goes out. Certain failures go back into the queue; uncertain ones
become `unknown` and are looked up on the platform; only what is proven absent is sent again. What the platform's own answer accepted is
never sent again by itself: where it cannot be found, a person looks. Nothing here decides what is published.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ...connectors.contract.errors import (
    CannotDo,
    ConnectorError,
    ContentRefused,
    MaybeDone,
    NotDone,
    NotLetIn,
    platform_failed,
)
from ...connectors.contract.writing import (
    AnswerDraft,
    CanAnswer,
    CanComment,
    CanEdit,
    CanFind,
    Copy,
    Draft,
    KeepsText,
    Reading,
    Writer,
)
from ...core.identity import Ref
from ...core.ledger import restored
from ...core.ledger.ledger import SETTLED, DuplicateCopy, Ledger, Operation, Publication, copy_columns, told
from ...core.ledger.marker import carries
from ...core.ledger.states import OperationKind, OperationState, PublicationState, Reason, refusal_of
from ...core.records import UNKNOWN_LOCALE
from ..origins import Origin, load_origins, loss
from ..render import phrases
from ..render.render import alike, answer_of, draft_of, fingerprint, hash_of, payload_of, prints, shown, why_not_sent
from .decisions import copy_of, editing, note_for, sent_as, withdrawal_text, withdrawing

_FOREIGN = "the platform named a copy that belongs to another proposal; it is looked up"
_BELIEVED = (2, 5)
"""After so many times a refusal of a text, or of the account or space, is believed: one alone may be the answer to another request."""
_SLOW = 30.0
"""Seconds that a platform is left alone which asks to slow down without a word for how long."""
_FIRST_LOOK = timedelta(minutes=1)
"""After this an answer that was lost is looked up again: most of what is stored late is there by then (measured: 40 seconds)."""
_SOON = timedelta(minutes=5)
"""For so long after an edit that was lost, what stands there is the old text or ours: nobody else was as quick."""
_LONGEST = timedelta(hours=1)
"""The longest distance between two look-ups."""
_NEVER_WENT_OUT = (Reason.NOT_SENT, Reason.ASKED_AGAIN, Reason.HALF_MADE)
"""Why a create is sent once more of which no earlier attempt can be on its way."""
_OUTAGE = timedelta(days=1)
"""For so long a platform that does not answer at all may keep a look-up waiting, before a person is asked."""
_NOT_OF_THE_TEXT = (Reason.TWINS, Reason.ANSWER_REFUSED)
"""What a person is asked about a copy that has nothing to do with what it says: an edit settles none of it."""
_AWAY = (PublicationState.GONE, PublicationState.WITHDRAWN)
_NOTE_TRIES = 3
"""After so many attempts what is taken back goes without the note that should take the place of its text first."""
_SHOWN = 4
"""So often a change is made whose effect is not shown."""
_SKEW = timedelta(minutes=10)
"""Clocks of platforms differ from ours: a copy is looked for from this much before its first sending."""


Ended = OperationState | None
"""The state in which an operation ended; None: somebody else has it."""


@dataclass(slots=True)
class SendingCounts:
    """What one run did to its targets."""

    sent: dict[str, int] = field(default_factory=dict[str, int])
    refused: int = 0
    failed: int = 0
    unknown: int = 0
    looked_up: int = 0
    """Lost answers of which the platform told what became of them."""
    conflicts: int = 0

    def add(self, kind: OperationKind) -> None:
        """One more that was confirmed."""
        self.sent[kind] = self.sent.get(kind, 0) + 1


class Conflict(Exception):
    """Somebody changed or removed the copy; the text says what."""

    def __init__(self, reason: Reason, why: str, there: Reading | None = None) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why
        self.there = there


@dataclass(frozen=True, slots=True)
class Job:
    """An operation with the publication it belongs to and where it writes."""

    operation: Operation
    publication: Publication
    space: Ref
    conflict: str = "manual"
    twins: str = "ask"
    configured: bool = True
    """False: its route is not there any more, so nothing is sent for it."""
    just_lost: bool = False
    """It was sent a moment ago and its answer was lost: what is there may be what it made."""


class Sender:
    """Writes to one instance through one writer."""

    def __init__(self, ledger: Ledger, writer: Writer, *, settle: timedelta, attempts: int) -> None:
        """`settle`: for so long after it was sent a write whose answer was lost may still be stored."""
        self.ledger = ledger
        self.writer = writer
        self.settle = settle
        self.attempts = attempts
        self.counts = SendingCounts()
        self.unread: dict[str, datetime] = {}
        """The publications whose copies could not be read just after they were written, and when."""
        self._just_looked_up: set[int] = set()
        """What this run has asked for already."""
        self.trouble: str = ""
        """The newest failure of the platform itself, for the breaker; never one thing's trouble, nor the account's."""
        self.not_let_in: NotLetIn | None = None
        """The account was not let in, in answer to the newest request."""
        self.asked: float | None = None
        """Seconds for which the platform asked to be left alone, in answer to the newest request."""

    # Sending ----------------------------------------------------------------------------------------------------------

    async def send(self, job: Job, found: Copy | None = None) -> Ended:
        """Carry out an approved operation; returns the state it ended in, or None when somebody else has it."""
        now = self.ledger.clock.now()
        op = job.operation
        claimed = await self._move(
            op,
            OperationState.SENDING,
            attempts=op.attempts + 1,
            first_sent_at=op.first_sent_at or now,
            last_sent_at=now,
            not_before=None,
        )
        if claimed is None:
            return None
        again = op.kind is OperationKind.CREATE and op.first_sent_at is not None
        again = again and op.reason_code not in _NEVER_WENT_OUT and op.id not in self._just_looked_up
        half = op.reason_code is Reason.HALF_MADE
        lost = op.reason_code is Reason.HARMLESS and now - (op.last_sent_at or now) <= _SOON and _went_out(op)
        job = replace(job, operation=claimed, just_lost=lost)
        self._listen()
        try:
            if (again or half) and found is None and isinstance(self.writer, CanFind):
                # An earlier attempt may have been stored since somebody said: send it again.
                found = await self._find(job)
            if half and found is None:
                raise MaybeDone("its draft was there, and is not found now")
            return await self._carry_out(job, found)
        except Conflict as error:
            return await self._conflict(job, error)
        except NotLetIn as error:
            self.not_let_in = error
            return await self._later(job, error)  # not this text's fault
        except (CannotDo, ContentRefused) as error:
            return await self._refused(job, error, found)
        except NotDone as error:
            return await self._later(job, error)
        except ConnectorError as error:
            # Whatever else went wrong went wrong somewhere in the middle: only the platform knows what is stored.
            return await self._unknown(job, Reason.ANSWER_LOST, error)
        except DuplicateCopy:
            return await self._unknown(job, Reason.NAMED_ANOTHER, MaybeDone(_FOREIGN, accepted=True))

    def _listen(self) -> None:
        """Forget what the platform said to the request before."""
        self.trouble, self.asked, self.not_let_in = "", None, None

    async def _move(self, operation: Operation, state: OperationState, **values: Any) -> Operation | None:
        """The ledger blocks; the loop, and with it the heartbeat of the lease, must not."""
        return await asyncio.to_thread(partial(self.ledger.move, operation, state, **values))

    async def _carry_out(self, job: Job, found: Copy | None) -> Ended:
        _need_copy(job)
        match job.operation.kind:
            case OperationKind.CREATE:
                if found is not None and found.complete:
                    return await self._made(job, found)
                draft = draft_of(job.operation.payload or {})
                if why := why_not_sent(draft):
                    return await self._refuse(job, why, Reason.NOT_ONE_MARKER)
                return await self._made(job, await self.writer.create(job.space, draft, found))
            case OperationKind.EDIT:
                return await self._edit(job)
            case OperationKind.WITHDRAW:
                return await self._withdraw(job)
            case OperationKind.WITHDRAW_TWIN:
                return await self._withdraw_twins(job)
            case _:
                return await self._answer(job)

    async def _made(self, job: Job, copy: Copy) -> Ended:
        reading = await self._reading(copy)
        if reading is not None and not carries(reading.plain, job.publication.marker):
            # Somebody else's text, or another copy: what the answer names is not what was just made.
            why = f"the platform answered with {copy.ref}, which does not carry the marker of this copy"
            raise MaybeDone(why, accepted=True)
        there = {**_there(job, copy, reading), "sent_at": self.ledger.clock.now()}
        if copy.twins:
            there |= told(Reason.TWINS, twins_told(copy.ref, copy.twins))
        if reading is None:
            self.unread[job.publication.id] = self.ledger.clock.now()
        ended = await self._done(job, there, detail=copy.url or copy.ref)
        if ended is not None and copy.twins:
            await self._mend_twins(job, copy.twins)
        return ended

    async def _mend_twins(self, job: Job, twins: Sequence[Ref]) -> None:
        """As the route's rule says: the first one stays and the others are taken back, or a person is asked."""
        if job.twins == "keep_first":
            own = await asyncio.to_thread(self.ledger.publication, job.publication.id)
            await asyncio.to_thread(withdraw_twins, self.ledger, own or job.publication, twins)

    async def look_again(self, job: Job) -> None:
        """Whether an earlier attempt of a create that was sent more than once was stored after all.

        Raises:
            ConnectorError: it cannot be told now.
        """
        own = job.publication
        if not isinstance(self.writer, CanFind) or own.remote_ref is None or not own.sent_payload:
            return
        since = (job.operation.first_sent_at or job.operation.created_at) - _SKEW
        copy = await self.writer.find(job.space, draft_of(own.sent_payload), since)
        others = [ref for ref in (copy.ref, *copy.twins) if ref != own.remote_ref] if copy is not None else []
        if others and await asyncio.to_thread(tell_twins, self.ledger, own, others):
            await self._mend_twins(job, others)

    async def _withdraw_twins(self, job: Job) -> Ended:
        """Take back what carries the marker of a copy beside it, of our own account and as it stands now; the copy stays."""
        own, text, kept = job.publication, withdrawal_text(job.publication), list[str]()
        for reference in (job.operation.payload or {}).get("refs", ()):
            twin = replace(copy_of(own), ref=reference, url="")
            reading = await self.writer.read(twin)
            if reference == own.remote_ref or reading is None or reading.withdrawn:
                continue
            if not carries(reading.plain, own.marker):
                kept.append(f"{reference} says something else by now and stays")
                continue
            await self._text_stays(job, twin)
            await withdrawing(self.writer).withdraw(job.space, twin, text)
        why = "; ".join(kept)
        settled = SETTLED if own.reason_code is Reason.TWINS and not kept else None
        return await self._done(job, settled, detail=why or "the copy that was made first stays")

    async def _withdraw(self, job: Job) -> Ended:
        """Take back the copy, and what else of ours carries its marker: a late draft, a twin that nobody has decided about.

        Once the copy is taken back nothing of the others' trouble says that it is not: a person is told, and what a pull sees of them is
        taken back as well.
        """
        own, reason = job.publication, (job.operation.payload or {}).get("reason", "")
        others, left = await self._others(job), await self._take_back(job, copy_of(own))
        why = told(left[0], f"{reason}; {left[1]}") if left is not None else None
        if others is None and own.reason_code is Reason.TWINS:
            why = why or told(Reason.TWINS, own.reason)
        for other in others or ():
            try:
                left = await self._take_back(job, other)
                note = f"{reason}; {other.ref}, too: {left[1]}" if left is not None else ""
                why = why or (told(left[0], note) if left is not None else None)
            except ConnectorError as error:
                why = told(Reason.TWINS, f"{reason}; {other.ref} carries its marker, too, and stays: {error.message}")
        return await self._done(job, why or SETTLED)

    async def _take_back(self, job: Job, copy: Copy) -> tuple[Reason, str] | None:
        """Take back one text; why something of it is left, if something is."""
        own = job.publication
        stays = await self._text_stays(job, copy)
        try:
            text = withdrawal_text(own, text_stays=bool(stays), locale=None if own.sent_payload else self._locale(own))
            await withdrawing(self.writer).withdraw(job.space, copy, text)
        except NotLetIn:
            raise
        except CannotDo as error:
            # What the origin's author or moderator took away must not go on standing elsewhere.
            if not isinstance(self.writer, CanEdit):
                raise
            if stays != "":  # the note does not stand there yet
                note = self._note(job, copy)
                if note is not None:
                    await self._replace(job, copy, note)
                elif not await self._note_stands(copy):
                    raise
            return Reason.REPLACED_BY_NOTE, f"its text was replaced by a note, because: {error.message}"
        reading = await self._reading(copy)
        if reading is not None and not reading.withdrawn:
            self._doubt(job, "the platform confirmed that the copy is taken back, and still shows it")
        return (Reason.TEXT_STAYS, f"its text stays readable there, because: {stays}") if stays else None

    async def _others(self, job: Job) -> list[Copy] | None:
        """What else of ours carries the marker of a copy that is taken back, where there is a reason to look; None: it cannot be told.

        What was sent once and confirmed has no twin but one that a pull sees.
        """
        own, writer = job.publication, self.writer
        if not isinstance(writer, CanFind) or not await self._doubted(own):
            return []
        draft = sent_as(own, copy_of(own), None if own.sent_payload else self._locale(own))
        if draft is None:
            return None
        since = min(own.sent_at or own.created_at, own.created_at) - _SKEW
        found: list[Copy] = []
        try:
            first = await writer.find(job.space, draft, since)
            for reference in (first.ref, *first.twins) if first is not None else ():
                other = replace(copy_of(own), ref=reference, url="")
                reading = await writer.read(other) if reference != own.remote_ref else None
                if reading is not None and not reading.withdrawn and carries(reading.plain, own.marker):
                    found.append(other)
        except NotLetIn:
            raise
        except ConnectorError as error:
            if error.status == 429:
                wait = error.wait if isinstance(error, NotDone) else None
                raise NotDone(error.message, status=429, wait=wait) from error
            return None
        return found

    async def _doubted(self, own: Publication) -> bool:
        """Whether there may be another text with its marker: it was sent again or looked up, or two were seen."""
        if own.reason_code is Reason.TWINS:
            return True
        sent = partial(self.ledger.operations, states=[OperationState.SENT], publication=own.id)
        made = await asyncio.to_thread(sent)
        return any(op.kind is OperationKind.CREATE and (op.attempts > 1 or op.lookups) for op in made)

    def _note(self, job: Job, copy: Copy) -> Draft | None:
        """What stands in place of a text; None where nobody knows any more in which language the copy is."""
        own = job.publication
        return note_for(own, copy, self.writer, None if own.sent_payload else self._locale(own))

    async def _replace(self, job: Job, copy: Copy, note: Draft) -> None:
        """Put the note in place of a text. The ledger knows it before: if the origin comes back, the copy does not say what it did."""
        own = job.publication
        if copy.ref == own.remote_ref:
            payload = payload_of(note)
            known = {"sent_hash": hash_of(payload), "sent_payload": payload}
            event = partial(self.ledger.update_publication, own, event="a note takes the place of its text", **known)
            if own.sent_hash != known["sent_hash"]:
                await asyncio.to_thread(event)
        await editing(self.writer).edit(job.space, copy, note)

    def _origin(self, own: Publication) -> Origin | None:
        return load_origins(self.ledger.engine, [own.origin_key]).get(own.origin_key)

    def _locale(self, own: Publication) -> str | None:
        origin = self._origin(own)
        return origin.locale if origin is not None and origin.locale != UNKNOWN_LOCALE else None

    async def _note_stands(self, copy: Copy) -> bool:
        reading = await self._reading(copy)
        return reading is not None and phrases.is_note(reading.title, reading.plain)

    async def _text_stays(self, job: Job, copy: Copy) -> str | None:
        """Where what is taken back stays readable, a note takes the place of its text first.

        Returns:
            nothing said ("") where the note stands there now, else why not; None where no text will be readable or is now.
        """
        if not (isinstance(self.writer, KeepsText) and self.writer.keeps_text_when_withdrawn):
            return None
        if await self.writer.read(copy) is None:
            return None  # a moderator has hidden it, and what is shown again is taken back again
        note = self._note(job, copy)
        if note is None or not isinstance(self.writer, CanEdit):
            return "what it says is not known any more"
        try:
            await self._replace(job, copy, note)
        except NotLetIn:
            raise
        except (CannotDo, ContentRefused) as error:
            return error.message
        except (NotDone, MaybeDone) as error:
            if error.status == 429 or job.operation.attempts < _NOTE_TRIES:
                raise
            return error.message  # that it is taken back must not wait for that
        return ""

    def _doubt(self, job: Job, why: str) -> None:
        """What a platform confirms and does not show is asked again, harmlessly; a few times, for pages may be old for a while."""
        if job.operation.attempts < _SHOWN:
            raise MaybeDone(why)

    async def _edit(self, job: Job) -> Ended:
        own, op = job.publication, job.operation
        draft = draft_of(op.payload or {})
        copy = copy_of(own)
        before = await self.writer.read(copy)
        seen = self._unchanged(job, draft, before)
        if why := why_not_sent(draft):
            return await self._refuse(job, why, Reason.NOT_ONE_MARKER)
        if before is not None:
            # Only what went out over a text that was compared can stand there in its place.
            there = there_of(before, (op.there or {}).get("shown_to", "")) | {"sent_over": True}
            await asyncio.to_thread(self.ledger.note_there, op, there)
        after = await editing(self.writer).edit(job.space, copy, draft)
        reading = await self._reading(after)
        if reading is not None and fingerprint(reading.title, reading.plain) == seen and seen not in prints(draft):
            self._doubt(job, "the platform confirmed the new text, and still shows the old one")
        if reading is None:
            self.unread[own.id] = self.ledger.clock.now()
        return await self._done(job, _there(job, after, reading))

    def _unchanged(self, job: Job, draft: Draft, before: Reading | None) -> str:
        """The fingerprint of what stands there, which is what we wrote, or what a person was shown when it was approved.

        Raises:
            Conflict: it is something else.
        """
        own, op = job.publication, job.operation
        if before is None:
            raise Conflict(Reason.COPY_GONE, "the copy is not there any more: a moderator may have removed it")
        seen = fingerprint(before.title, before.plain)
        ours = [draft, *([draft_of(own.sent_payload)] if own.sent_payload else [])]
        known = {own.copy_print}.union(*map(prints, ours))
        # Where nothing is known of what it said, a person was asked before it was planned.
        remembered = own.copy_print is not None or own.sent_payload is not None
        same = shown(before.title, before.plain) & known or (_went_out(op) and alike(draft, before.title, before.plain))
        changed = remembered and not job.just_lost and not same
        there = op.there or {}
        approved = op.decided_by is not None and there.get("shown_to") and there.get("print") == seen
        if changed and job.conflict != "origin_wins" and not approved:
            raise Conflict(Reason.COPY_CHANGED, "somebody changed the copy on its platform", before)
        return seen

    async def compare(self, job: Job) -> None:
        """Before a person is asked about an edit: what stands on the platform is noted, and a conflict is one from then on.

        Raises:
            ConnectorError: it cannot be told now.
        """
        before = await self.writer.read(copy_of(job.publication))
        try:
            self._unchanged(job, draft_of(job.operation.payload or {}), before)
        except Conflict as error:
            if job.operation.reason_code is not error.reason or before is None:
                await self._conflict(job, error)
                return
        if before is not None:
            await asyncio.to_thread(self.ledger.note_there, job.operation, there_of(before))

    async def _answer(self, job: Job) -> Ended:
        if job.operation.kind is OperationKind.ANSWER and job.publication.state in _AWAY:
            why = "the copy is not there any more"
            await self._move(job.operation, OperationState.CANCELLED, reason=Reason.COPY_GONE, sentence=why)
            return OperationState.CANCELLED
        answer = answer_of(job.operation.payload or {})
        if why := why_not_sent(answer):
            return await self._refuse(job, why, Reason.NOT_ONE_MARKER)
        if await self._may_be_removed(job) and not await self._told(job, answer):
            why = (
                "it is older than the copy's coming back into the ledger, and is not there: it may have been removed there; "
                "`review approve` tells it, `review reject` leaves it"
            )
            return await self._ask_a_person(job.operation, Reason.OLDER_THAN_FOUND, why, decided_by=None)
        return await self._done(job, None, detail=await self._tell(job, answer))

    async def _may_be_removed(self, job: Job) -> bool:
        """Whether an answer may have been told before the ledger was lost, and a moderator may have removed it since."""
        op = job.operation
        if not op.older or op.decided_by is not None:
            return False
        done = partial(self.ledger.operations, states=[OperationState.SENT], publication=job.publication.id)
        made = [each.last_sent_at for each in await asyncio.to_thread(done) if each.kind is OperationKind.CREATE]
        lost = await asyncio.to_thread(restored.last_lost_until, self.ledger)
        # What this ledger made since it was lost or restored cannot have been answered before.
        return not any(at is not None and (lost is None or at > lost) for at in made)

    async def _told(self, job: Job, answer: AnswerDraft) -> bool:
        """Whether an answer is there, officially or as a comment."""
        ref = _answered(job)
        if isinstance(self.writer, CanAnswer):
            try:
                if await self.writer.has_answer(ref, answer):
                    return True
            except NotLetIn:
                raise
            except CannotDo:
                pass
        return isinstance(self.writer, CanComment) and await self._commented(self.writer, job, answer)

    async def _commented(self, writer: CanComment, job: Job, answer: AnswerDraft) -> bool:
        # Only what was told before can stand there in other words; at first the marker is enough, whatever the platform makes of the text.
        before = partial(self.ledger.operations, states=[OperationState.SENT], publication=job.publication.id)
        again = any(op.lane is job.operation.lane for op in await asyncio.to_thread(before))
        return await writer.has_comment(_answered(job), answer.marker, answer.texts[answer.locale] if again else None)

    async def _tell(self, job: Job, answer: AnswerDraft) -> str:
        ref = _answered(job)
        refused = "this platform takes neither official answers nor comments of ours"
        if isinstance(self.writer, CanAnswer):
            try:
                if await self.writer.has_answer(ref, answer):
                    return "it was there already"
                await self.writer.answer(ref, answer)
            except NotLetIn:
                raise
            except CannotDo as error:
                refused = error.message
            else:
                return "as an official answer"
        if not isinstance(self.writer, CanComment):
            raise CannotDo(refused)
        if await self._commented(self.writer, job, answer):
            return "it was there already"
        await self.writer.comment(ref, answer.texts[answer.locale])
        return f"as a comment ({refused})"

    async def _reading(self, copy: Copy) -> Reading | None:
        """How the copy looks now; a failure here changes nothing about what was written."""
        try:
            return await self.writer.read(copy)
        except ConnectorError:
            return None

    # How it ended -----------------------------------------------------------------------------------------------------

    async def _done(self, job: Job, change: dict[str, Any] | None, detail: str = "") -> Ended:
        op = job.operation
        if await self._move(op, OperationState.SENT, change=change, detail=detail, payload=None) is None:
            return None
        self.counts.add(op.kind)
        return OperationState.SENT

    async def _refuse(self, job: Job, why: str, reason: Reason | None = None) -> Ended:
        reason = reason or refusal_of(job.operation.kind)
        sentence = f"the edit was refused: {why}" if reason is Reason.EDIT_REFUSED else why
        self.counts.refused += 1
        change = told(reason, sentence)
        await self._move(job.operation, OperationState.REFUSED, reason=reason, sentence=why, change=change)
        return OperationState.REFUSED

    async def _refused(self, job: Job, error: CannotDo | ContentRefused, found: Copy | None) -> Ended:
        """A refusal is believed after a look: it may be the answer to another request, and the copy may be there all the same."""
        create = job.operation.kind is OperationKind.CREATE
        if not create and job.operation.attempts < _BELIEVED[0]:
            return await self._once_more(job, str(error))  # changes may be repeated harmlessly
        if not create or found is not None or not isinstance(self.writer, CanFind):
            return await self._refuse(job, str(error))
        try:
            copy = await self._find(job)
            if copy is not None:
                if not copy.complete:
                    copy = await self.writer.create(job.space, draft_of(job.operation.payload or {}), copy)
                return await self._made(job, copy)
        except NotLetIn as lost:
            return await self._unknown(job, Reason.ANSWER_LOST, lost)
        except (CannotDo, ContentRefused) as again:
            error = again
        except ConnectorError as lost:
            return await self._unknown(job, Reason.ANSWER_LOST, lost)
        except DuplicateCopy:
            return await self._unknown(job, Reason.NAMED_ANOTHER, MaybeDone(_FOREIGN, accepted=True))
        believed = _BELIEVED[0] if isinstance(error, ContentRefused) else _BELIEVED[1]
        if job.operation.attempts < believed:
            return await self._once_more(job, str(error))
        return await self._refuse(job, str(error))

    async def _once_more(self, job: Job, why: str) -> Ended:
        await self._move(
            job.operation,
            OperationState.APPROVED,
            reason=Reason.ASKED_AGAIN,
            sentence=why,
            event=f"{job.operation.kind}: refused, asked once more",
            not_before=self.ledger.clock.now() + timedelta(seconds=2),
        )
        return OperationState.APPROVED

    async def _later(self, job: Job, error: NotDone | NotLetIn) -> Ended:
        op, now = job.operation, self.ledger.clock.now()
        why, asked = (str(error), None) if isinstance(error, NotLetIn) else (error.message, error.wait)
        self.counts.failed += 1
        if error.status == 429:
            # Nothing was tried, and nothing else that goes there would be taken now.
            self.asked = asked if asked is not None else _SLOW
            op = replace(op, attempts=op.attempts - 1)
        elif platform_failed(error):
            self.trouble = why
        if isinstance(error, NotLetIn):
            op = replace(op, attempts=op.attempts - 1)  # nothing was tried: it waits until the account is let in
        if op.attempts >= self.attempts:
            why = f"tried {op.attempts} times: {why}; `review approve` tries again"
            return await self._ask_a_person(op, Reason.TRIED_OFTEN, why, attempts=0)
        wait = self.asked or asked or min(2.0**op.attempts, 60.0)
        await self._move(
            op,
            OperationState.APPROVED,
            reason=Reason.NOT_SENT,
            sentence=why,
            event=f"{op.kind}: not sent",
            attempts=op.attempts,
            not_before=now + timedelta(seconds=wait),
        )
        return OperationState.APPROVED

    async def _ask_a_person(self, op: Operation, reason: Reason, why: str, **values: Any) -> Ended:
        change = told(reason, why) if op.kind is OperationKind.CREATE else None
        state = OperationState.AWAITING_APPROVAL
        await self._move(op, state, reason=reason, sentence=why, change=change, **values)
        return state

    async def _unknown(self, job: Job, reason: Reason, error: ConnectorError) -> Ended:
        op = job.operation
        self.trouble = error.message if platform_failed(error) else ""
        self.counts.unknown += 1
        accepted = op.accepted_at
        if accepted is None and isinstance(error, MaybeDone) and error.accepted:
            accepted = self.ledger.clock.now()
        now = self.ledger.clock.now()
        await self._doubtful(op, reason, error.message, accepted_at=accepted, lookups=0, last_sent_at=now)
        return OperationState.UNKNOWN

    async def _doubtful(self, op: Operation, reason: Reason, why: str, **values: Any) -> None:
        await self._move(
            op,
            OperationState.UNKNOWN,
            reason=reason,
            sentence=why,
            change=told(reason, why) if op.kind is OperationKind.CREATE else None,
            not_before=self.ledger.clock.now() + self._step,
            **values,
        )

    async def _conflict(self, job: Job, error: Conflict) -> Ended:
        op, why = job.operation, f"{error.why}; the copy is left as it is"
        self.counts.conflicts += 1
        change = told(error.reason, why)
        state = OperationState.AWAITING_APPROVAL
        if error.reason is Reason.COPY_GONE or job.conflict == "target_wins":
            state = OperationState.CANCELLED
            change["sent_hash"] = op.payload_hash
        there = there_of(error.there) if error.there is not None else None
        more = {"there": there, "decided_by": None} if state is OperationState.AWAITING_APPROVAL else {}
        await self._move(op, state, reason=error.reason, sentence=why, event="conflict", change=change, **more)
        return state

    # What became of it ------------------------------------------------------------------------------------------------

    async def orphan(self, job: Job) -> None:
        """An operation that a killed process left in `sending`: nobody knows what became of it."""
        await self._doubtful(
            job.operation, Reason.PROCESS_ENDED, "the process that was sending it ended before the answer came"
        )

    async def resolve(self, job: Job, *, anyway: bool = False) -> Ended:
        """Ask the platform what became of an unknown operation; returns its new state (`unknown` if that cannot be told yet).

        `anyway`: also before its time, because something else is about to be made there.
        """
        self._listen()
        op = job.operation
        if op.lookups and not self._due(op) and not anyway:
            return OperationState.UNKNOWN  # it was asked already; the distances grow
        self._just_looked_up.add(op.id)
        try:
            if op.kind is OperationKind.CREATE:
                return await self._resolve_create(job)
            if op.kind in {OperationKind.ANSWER, OperationKind.ANSWER_BACK}:
                return await self._resolve_answer(job)
            change = await self._seen_soon(job) if op.kind is OperationKind.EDIT else None
            return await self._again(job, Reason.HARMLESS, "repeating it is harmless", change)
        except ConnectorError as error:
            if error.status == 429:
                self.asked = (error.wait if isinstance(error, NotDone) else None) or _SLOW
                return OperationState.UNKNOWN
            self.not_let_in = error if isinstance(error, NotLetIn) else None
            self.trouble = error.message if platform_failed(error) else ""
            return await self._cannot_tell(op, str(error))
        except DuplicateCopy:
            return await self._cannot_tell(op, "two publications claim the same copy")

    @property
    def _step(self) -> timedelta:
        """The shortest distance between two look-ups."""
        return min(_FIRST_LOOK, self.settle)

    def _due(self, op: Operation) -> bool:
        """Whether the time for its next look-up has come."""
        return op.not_before is None or self.ledger.clock.now() >= op.not_before

    def _settled_at(self, op: Operation) -> datetime:
        """From when on it cannot be stored any more: before that it may still arrive, for a server goes on after its client has left."""
        return (op.last_sent_at or op.first_sent_at or op.created_at) + self.settle

    async def _seen_soon(self, job: Job) -> dict[str, Any] | None:
        """How a copy looks soon after an edit whose answer was lost: the old text or ours, in whatever form the platform gave it.

        Later it may be a moderator's, and only the words can tell.

        Raises:
            ConnectorError: it cannot be told now.
        """
        op, own = job.operation, job.publication
        late = self.ledger.clock.now() - (op.last_sent_at or op.created_at) > _SOON
        if own.remote_ref is None or late or not _went_out(op):
            return None
        reading = await self.writer.read(copy_of(own))
        return {"copy_print": fingerprint(reading.title, reading.plain)} if reading is not None else None

    async def look_once_more(self, own: Publication) -> None:
        """How a copy looks that could not be read after it was written; a moderator's change is told by that from then on.

        Later than soon, only what says what was sent is taken for ours.

        Raises:
            ConnectorError: it cannot be told now.
        """
        reading = await self.writer.read(copy_of(own))
        soon = self.ledger.clock.now() - self.unread[own.id] <= _SOON
        ours = prints(draft_of(own.sent_payload)) if own.sent_payload else set[str]()
        if reading is not None and (soon or shown(reading.title, reading.plain) & ours):
            seen = {"copy_print": fingerprint(reading.title, reading.plain)}
            await asyncio.to_thread(partial(self.ledger.update_publication, own, event="looked after", **seen))

    async def _resolve_create(self, job: Job) -> Ended:
        op = job.operation
        if not isinstance(self.writer, CanFind):
            return await self._cannot_tell(op, "this platform cannot be asked what our account wrote")
        copy = await self._find(job)
        if copy is None:
            return await self._absent(job, Reason.PROVEN_ABSENT, "it was looked up and is not there", SETTLED)
        self.counts.looked_up += 1
        if copy.complete:
            return await self._made(job, copy)
        half = await self._move(op, OperationState.APPROVED, reason=Reason.HALF_MADE, event="create: half made")
        wanted = job.configured and loss(await asyncio.to_thread(self._origin, job.publication)) is None
        if half is not None and wanted:
            # At once: some platforms keep one draft of an account, which the next copy would take.
            return await self.send(replace(job, operation=half), copy)
        return OperationState.APPROVED if half is not None else None

    async def _resolve_answer(self, job: Job) -> Ended:
        """Given twice, an answer is two public texts, and tells everybody again."""
        _need_copy(job)
        answer = answer_of(job.operation.payload or {})
        if await self._told(job, answer):
            self.counts.looked_up += 1
            return await self._done(job, None, detail="it is there")
        return await self._absent(job, Reason.PROVEN_ABSENT, "it was looked up and is not there", None)

    async def _absent(self, job: Job, reason: Reason, why: str, change: dict[str, Any] | None) -> Ended:
        """It was not found: it is sent again once it was absent twice, the second time when it cannot arrive any more.

        What the platform had accepted is never sent again without a person.
        """
        op = job.operation
        if not self._due(op):
            if not op.lookups:
                await self._looked_up(op, op.not_before)
            return OperationState.UNKNOWN
        settled = self.ledger.clock.now() >= self._settled_at(op)
        if op.accepted_at is None and settled and (op.lookups or not self.settle):
            return await self._again(job, reason, why, change)
        if op.accepted_at is None or not settled or op.lookups + 1 < self.attempts:
            return await self._look_later(op)
        why = (
            f"the platform accepted it at {op.accepted_at:%Y-%m-%d %H:%M} UTC, and {op.lookups + 1} look-ups did not find it: look there; "
            "`review approve` sends it again, `review reject` leaves it"
        )
        return await self._ask_a_person(op, Reason.ACCEPTED_NOT_FOUND, why, not_before=None)

    async def _cannot_tell(self, op: Operation, why: str) -> Ended:
        """A look-up that fails is asked again, each time after a longer while, and in the end a person is."""
        if not self._due(op):
            return OperationState.UNKNOWN
        first = op.first_sent_at or op.created_at
        waits = (
            self.trouble != "" and self.ledger.clock.now() - first < _OUTAGE
        )  # the platform is down: it will come back
        arrives = self.ledger.clock.now() < self._settled_at(op)
        if waits or arrives or op.lookups + 1 < self.attempts:
            return await self._look_later(op)
        why = (
            f"its answer was lost, and {op.lookups + 1} look-ups could not tell whether it is there ({why}): look there; "
            "`review approve` sends it again, `review reject` leaves it"
        )
        return await self._ask_a_person(op, Reason.CANNOT_TELL, why, not_before=None)

    async def _look_later(self, op: Operation) -> Ended:
        now, settled = self.ledger.clock.now(), self._settled_at(op)
        later = now + min(self._step * 2 ** min(op.lookups + 1, 10), _LONGEST)
        await self._looked_up(op, min(later, settled) if now < settled else later)
        return OperationState.UNKNOWN

    async def _looked_up(self, op: Operation, again: datetime | None) -> None:
        await self._move(
            op,
            OperationState.UNKNOWN,
            reason=op.reason_code,
            sentence=op.error,
            event=f"{op.kind}: looked up",
            lookups=op.lookups + 1,
            not_before=again,
        )

    async def _find(self, job: Job) -> Copy | None:
        op = job.operation
        assert isinstance(self.writer, CanFind)
        since = (op.first_sent_at or op.created_at) - _SKEW
        copy = await self.writer.find(job.space, draft_of(op.payload or {}), since)
        if copy is None or not copy.withdrawn:
            return copy
        # The copy that was taken back before a person had it made anew is not the one that is looked for.
        taken_back = self.ledger.operations(states=(OperationState.SENT,), publication=job.publication.id)
        return None if any(each.kind is OperationKind.WITHDRAW for each in taken_back) else copy

    async def _again(self, job: Job, reason: Reason, why: str, change: dict[str, Any] | None) -> Ended:
        op = job.operation
        if op.attempts >= self.attempts:
            why = f"{why}, but it was tried {op.attempts} times; `review approve` tries again"
            return await self._ask_a_person(op, Reason.TRIED_OFTEN, why, event=f"{op.kind}: {why}", not_before=None)
        event = f"{op.kind}: {why}"
        await self._move(
            op, OperationState.APPROVED, reason=reason, sentence=why, event=event, change=change, not_before=None
        )
        return OperationState.APPROVED


def _went_out(op: Operation) -> bool:
    """Whether an edit was sent over what was compared before; without that, what stands there is not its doing."""
    return bool((op.there or {}).get("sent_over"))


def _need_copy(job: Job) -> None:
    """What was meant for a copy that a person has made anew waits until the new one is there.

    Raises:
        NotDone: it is not.
    """
    without = {OperationKind.CREATE, OperationKind.ANSWER_BACK}
    if job.publication.remote_ref is None and job.operation.kind not in without:
        raise NotDone("the copy that it is for is not there any more, and its new one not yet")


def _answered(job: Job) -> Ref:
    """What an answer is told at."""
    back = job.operation.kind is OperationKind.ANSWER_BACK
    return job.publication.origin_key.partition("/")[2] if back else copy_of(job.publication).ref


def twins_told(first: Ref, others: Iterable[Ref]) -> str:
    """That there is more than one copy, for a person to decide."""
    return f"its marker stands in {first} and also in {', '.join(others)}: decide there which one stays"


def tell_twins(ledger: Ledger, own: Publication, others: Iterable[Ref]) -> bool:
    """Tell a person once that other texts carry the marker of a copy; returns whether it was news. Blocks."""
    why = twins_told(own.remote_ref or "", others)
    if any(event["detail"] == why for event in ledger.events(own.id)):
        return False
    ledger.update_publication(own, event="twins", detail=why, **told(Reason.TWINS, why))
    return True


def withdraw_twins(ledger: Ledger, own: Publication, twins: Sequence[Ref]) -> None:
    """Write down that these go and the copy stays (`twins: keep_first`). Blocks."""
    why = f"{', '.join(twins)} carried the marker of {own.remote_ref}, which was made first"
    payload = {"refs": list(twins)}
    ledger.intend(own, OperationKind.WITHDRAW_TWIN, OperationState.APPROVED, payload=payload, notes=[why])


def there_of(reading: Reading, shown_to: str = "") -> dict[str, Any]:
    """What stands on the platform, as an operation keeps it for whoever decides."""
    seen = fingerprint(reading.title, reading.plain)
    return {"title": reading.title, "plain": reading.plain, "print": seen, "shown_to": shown_to}


def _there(job: Job, copy: Copy, reading: Reading | None) -> dict[str, Any]:
    """What the ledger keeps of a copy that says what it was told to say."""
    own, op = job.publication, job.operation
    stays = op.kind is OperationKind.EDIT and own.reason_code in _NOT_OF_THE_TEXT
    return {
        **({} if stays else SETTLED),
        **copy_columns(own.target_instance, copy.ref, copy.url or own.url or "", copy.how),
        "sent_hash": op.payload_hash,
        "sent_payload": op.payload,
        "copy_print": fingerprint(reading.title, reading.plain) if reading is not None else None,
    }
