"""The requests that write to Your Priorities, as plans show them and as they are sent (docs/platforms/your-priorities.md 5).

Pure: nothing here asks or decides. Texts go as plain text, for the platform stores and shows them as typed.
"""

from typing import Any

import msgspec

from ...core.identity import split_ref
from ...core.records import State
from ..contract.exchange import Request
from ..contract.writing import AnswerDraft, Draft, LocalText
from . import dialects
from .api import HEADERS

NUMBER = "‹id›"
GROUP = "‹group›"
STATUS = "‹status›"
MARK = "civicsync"
"""The key of our marker in `publicPrivateData`."""
_STATUSES = {State.OPEN: 0, State.ACCEPTED: 2, State.REJECTED: -2, State.IN_PROGRESS: -1}
_ZOOM = 15


def status_of(state: State) -> int | None:
    """The official status for a state; None: there is no such one, and the status stays as it is."""
    return _STATUSES.get(state)


def create(group: str, draft: Draft, *, placed: bool, private: bool) -> Request:
    """A post. `location` must be there, as text, even when there is none (0.7)."""
    body: dict[str, Any] = {**_text(draft, placed=placed), "coverMediaType": "none"}
    body["categoryId"] = int(split_ref(draft.category)[1]) if draft.category is not None else ""
    if private:
        body["publicPrivateData"] = msgspec.json.encode({MARK: draft.marker}).decode()
    return Request("POST", dialects.post(group), json=body, headers=HEADERS)


def edit(own: str, draft: Draft, *, placed: bool) -> Request:
    """All that must be sent again; what people may have added since (a picture, a category that we do not map) stays."""
    body = _text(draft, placed=placed)
    if draft.category is not None:
        body["categoryId"] = int(split_ref(draft.category)[1])
    return Request("PUT", dialects.post(own), json=body, headers=HEADERS)


def _text(draft: Draft, *, placed: bool) -> dict[str, Any]:
    where = ""
    if placed and draft.latitude is not None and draft.longitude is not None:
        place = {"latitude": draft.latitude, "longitude": draft.longitude, "map_zoom": _ZOOM, "mapType": "roadmap"}
        where = msgspec.json.encode(place).decode()
    return {"name": draft.main.title, "description": draft.main.plain, "location": where}


def unvote(own: str) -> Request:
    """Takes our own automatic vote back (5.6)."""
    return Request("DELETE", f"{dialects.post(own)}/endorse", headers=HEADERS)


def delete(own: str) -> Request:
    """Deletes a post."""
    return Request("DELETE", dialects.post(own), headers=HEADERS)


def delete_blocked(group: str, own: str) -> Request:
    """Deletes a post that waits for a moderator: only moderation finds it (5.9)."""
    path = f"{dialects.group(group)}/{own}/post/delete/process_one_moderation_item"
    return Request("DELETE", path, headers=HEADERS)


def answer(own: str, draft: AnswerDraft, status: int | str) -> Request:
    """An official status with its text; everybody who voted gets an e-mail (5.8)."""
    body = {"official_status": status, "content": draft.texts[draft.locale].plain}
    return Request("POST", f"{dialects.post(own)}/status_change", json=body, headers=HEADERS)


def argue(group: str, own: str | int, text: LocalText) -> Request:
    """An argument for a post (5.7)."""
    post = int(own) if str(own).isascii() and str(own).isdigit() else own
    body = {"postId": post, "value": 1, "content": text.plain}
    return Request("POST", dialects.point(group), json=body, headers=HEADERS)
