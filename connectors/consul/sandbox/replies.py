"""The sandbox's supports and comments: JavaScript only, and stored even where the answer is 406 (docs/platforms/consul.md 8.2, 7 and 8)."""

import re

from ...testing.messages import Response
from .model import Row
from .visit import Visit, hash_of

BODY = 1000
_KINDS = {"Proposal": "proposal", "Debate": "debate", "Budget::Investment": "investment", "Poll": "poll"}


def support(visit: Visit, match: re.Match[str]) -> Response:
    """POST /proposals/<id>/vote: `value` is ignored, a second time changes nothing."""
    if visit.user is None:
        return visit.sign_in_first()
    row = visit.sandbox.database.tables["proposals"].by_id.get(int(match[1]))
    if row is None or row.hidden:
        return visit.error(404)
    if row["published_at"] is None or (visit.sandbox.verification and not visit.user["document"]):
        return visit.not_allowed()
    cast(visit, row, visit.user)
    return visit.script(f'$("#proposal_{row.id}_votes").html(""); App.Followable.update("proposal_{row.id}")')


def cast(visit: Visit, row: Row, voter: Row) -> None:
    """One support of one person; archived proposals take none."""
    sandbox = visit.sandbox
    heap = sandbox.database.tables["votes"]
    again = any(v.author == voter.id and v["votable"] == "proposal" and v["votable_id"] == row.id for v in heap.rows)
    if not sandbox.archived(row) and not again:
        values = {"votable": "proposal", "votable_type": "Proposal", "votable_id": row.id, "vote_flag": True}
        heap.add(Row(heap.next_id(), "vote", {}, voter.id, sandbox.clock(), values))
        row.values["cached_votes_up"] = (row["cached_votes_up"] or 0) + 1
    sandbox.database.tables["proposals"].touch(row)


def comment(visit: Visit) -> Response:
    """POST /comments: invalid ones are a 200 too."""
    if visit.user is None:
        return visit.sign_in_first()
    given = hash_of(visit.params, "comment")
    kind = _KINDS.get(str(given.get("commentable_type")))
    body = str(given.get("body") or "")
    if kind is None or kind == "poll" or not body.strip() or len(body) > BODY:
        if visit.accept == "html":
            return visit.error(500)
        return visit.script('App.Comments.display_error("Can\'t be blank")')
    own = str(given.get("commentable_id") or "")
    row = visit.sandbox.database.tables[f"{kind}s"].by_id.get(int(own)) if own.isdigit() else None
    if row is None or row.hidden:
        return visit.error(404)
    parent = str(given.get("parent_id") or "")
    above = next((c for c in visit.sandbox.database.comments_of(row) if str(c.id) == parent), None)
    if parent and above is None:
        return visit.error(404)
    new = _add(visit, row, body, above, visit.user)
    if given.get("as_administrator") == "1" and visit.role("administrator"):
        new.values["administrator"] = True
    if row.author is not None and row.author != visit.user.id:
        visit.sandbox.mail("comment on a proposal", row)
    return visit.script(
        f'App.Comments.add_comment("{new.id}", "<li id=\\"comment_{new.id}\\"></li>"); App.Comments.reset_form()'
    )


def _add(visit: Visit, row: Row, body: str, above: Row | None, author: Row) -> Row:
    database = visit.sandbox.database
    heap = database.tables["comments"]
    ancestry = "/".join(filter(None, (above["ancestry"], str(above.id)))) if above is not None else None
    kinds = {name: native for native, name in _KINDS.items()}
    values = {"commentable_type": kinds[row.kind], "commentable_id": row.id, "ancestry": ancestry}
    values |= {"cached_votes_up": 0, "cached_votes_down": 0}
    new = Row(heap.next_id(), "comment", {visit.locale: {"body": body}}, author.id, visit.sandbox.clock(), values)
    heap.add(new)
    database.children.setdefault((row.kind, row.id), []).append(new)
    database.count_comments(row)
    database.tables[f"{row.kind}s"].touch(row)
    return new


def hide_own(visit: Visit, match: re.Match[str]) -> Response:
    """PUT /comments/<id>/hide by its author or a moderator."""
    if visit.user is None:
        return visit.sign_in_first()
    found = visit.sandbox.database.tables["comments"].by_id.get(int(match[1]))
    if found is None or found.hidden:
        return visit.error(404)
    if found.author != visit.user.id and not visit.role("administrator", "moderator"):
        return visit.not_allowed()
    visit.sandbox.change("hide_comment", id=found.id)
    return visit.script(f'$("#comment_{found.id}").hide()')
