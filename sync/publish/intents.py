"""From decisions to intents: what a plan wants is written into the ledger before anything is sent. Asks no platform."""

from typing import Any

from ...config.routes import Route
from ...core.ledger.bases import keep_bases
from ...core.ledger.ledger import SETTLED, Ledger, Publication, told
from ...core.ledger.states import FLAGGED, Lane, OperationKind, OperationState, PublicationState, Reason
from .decisions import Action, Decision, Plan

_MARKED = (Reason.FOREIGN_MARKER, Reason.DOUBTFUL_MARKER)
"""Somebody wrote what looks like a marker into the origin: a person looks, whatever the route says."""
_OPENED = {
    Action.HOLD: PublicationState.HELD,
    Action.REFUSE: PublicationState.REFUSED,
}


def write_plan(ledger: Ledger, route: Route, plan: Plan, *, first: bool) -> None:
    """All decisions of a plan into the ledger; what an earlier run only planned moves on, unless this one only plans as well."""
    if not (first and plans_first(route)):
        for op in ledger.operations(states=(OperationState.PLANNED,), route=plan.route):
            ledger.move(op, _begins(route, first=False))
    for each in plan.decisions:
        write_down(ledger, plan.route, route, each, first=first)
    keep_bases(ledger, plan.bases)


def write_down(ledger: Ledger, name: str, route: Route, decision: Decision, *, first: bool) -> None:
    """One decision into the ledger."""
    own = decision.publication or _opened(ledger, name, route, decision, first=first)
    if own is None:
        return
    state = OperationState.APPROVED if own.state is PublicationState.RELEASED else _begins(route, first=first)
    why = told(decision.reason, decision.why)
    match decision.action:
        case Action.CREATE:
            change = {"title": decision.title, **SETTLED}
            more, waits = _asked(decision, state)
            _intend(ledger, own, decision, waits, wanted=decision.why, change=change, **more)
        case Action.EDIT:
            # Found again, and other than its origin: nobody knows any more who changed which.
            doubtful = own.sent_hash is None and route.conflict != "origin_wins"
            asks = own.state is PublicationState.CONFLICT or doubtful
            more, waits = _asked(decision, state)
            if asks:
                more, waits = {**more, "error": decision.why}, OperationState.AWAITING_APPROVAL
            _intend(ledger, own, decision, waits, change={"title": decision.title}, **more)
        case Action.WITHDRAW:
            # Taking something back never waits for approval: the origin's author or moderator has decided.
            payload = {"reason": decision.why}
            ledger.intend(own, OperationKind.WITHDRAW, OperationState.APPROVED, payload=payload, notes=[decision.why])
        case Action.WITHDRAW_TWIN:
            _intend(ledger, own, decision, OperationState.APPROVED)
        case Action.ANSWER | Action.ANSWER_BACK:
            to = route.to.instance if decision.action is Action.ANSWER else route.source.instance
            _intend(ledger, own, decision, state, target_instance=to, older=decision.older)
        case Action.CONFIRM:
            hashed, payload = decision.payload_hash, decision.payload
            ledger.update_publication(
                own, event="compared", detail=decision.why, sent_hash=hashed, sent_payload=payload
            )
        case Action.CANCEL:
            _cancel(ledger, own, decision)
        case Action.GONE:
            ledger.cancel(own, Lane.TEXT, decision.reason, decision.why)
            ledger.update_publication(own, event="gone", detail=decision.why, state=PublicationState.GONE, **why)
        case Action.RETURNED:
            ledger.update_publication(
                own, event="returned", detail=decision.why, state=PublicationState.SENT, **SETTLED
            )
        case Action.FLAG | Action.REFUSE if decision.publication is not None:
            if decision.reason in FLAGGED:
                ledger.cancel(own, Lane.TEXT, decision.reason, decision.why)
            ledger.update_publication(own, event=decision.action, detail=decision.why, **why)
        case _:
            pass


def plans_first(route: Route) -> bool:
    """With approval required nothing is sent before a person said so, which is more than a plan-only run."""
    return route.first_run == "plan" and route.approval == "automatic"


def _begins(route: Route, *, first: bool) -> OperationState:
    if first and plans_first(route):
        return OperationState.PLANNED
    return OperationState.APPROVED if route.approval == "automatic" else OperationState.AWAITING_APPROVAL


def _asked(decision: Decision, state: OperationState) -> tuple[dict[str, Any], OperationState]:
    """What an operation says beside its text, and where it begins: with a person where its origin carries a marker."""
    if decision.reason not in _MARKED:
        return {}, state
    return {"reason_code": decision.reason, "error": decision.why}, OperationState.AWAITING_APPROVAL


def _opened(ledger: Ledger, name: str, route: Route, decision: Decision, *, first: bool) -> Publication | None:
    """The publication of a new decision; None when it has its copy already."""
    state = _OPENED.get(decision.action) or PublicationState(_begins(route, first=first).value)
    own = ledger.open_publication(
        state,
        route=name,
        origin_key=decision.origin,
        target_instance=route.to.instance,
        target_space=route.to.space,
        marker=decision.marker,
        title=decision.title,
    )
    if own.copy_key is not None:
        return None
    if decision.action in _OPENED:
        why = told(decision.reason, decision.why)
        ledger.update_publication(own, event=state, detail=decision.why, **why)
    return own


def _cancel(ledger: Ledger, own: Publication, decision: Decision) -> None:
    ledger.cancel(own, decision.lane, decision.reason, decision.why)
    if decision.reason is Reason.LEADS_ELSEWHERE:
        for lane in (Lane.ANSWER, Lane.ORIGIN):
            ledger.cancel(own, lane, decision.reason, decision.why)
    if decision.lane is not Lane.TEXT:
        return
    if own.copy_key is None:
        why = told(decision.reason, decision.why)
        ledger.update_publication(own, event="cancelled", detail=decision.why, state=PublicationState.CANCELLED, **why)
    elif (
        own.reason_code in {Reason.EDIT_REFUSED, Reason.LEFT_THERE, *FLAGGED} or own.state is PublicationState.CONFLICT
    ):
        ledger.update_publication(own, event="cancelled", detail=decision.why, **SETTLED)
    elif decision.reason is Reason.ORIGIN_BACK:
        # A note may have taken the place of its text already: the next plan looks at it again.
        ledger.update_publication(own, event="cancelled", detail=decision.why)


def _intend(ledger: Ledger, own: Publication, decision: Decision, state: OperationState, **more: Any) -> None:
    ledger.intend(
        own,
        OperationKind(decision.action.value),
        state,
        payload=decision.payload,
        payload_hash=decision.payload_hash,
        notes=list(decision.notes),
        **more,
    )
