"""Webhooks, signed as https://www.standardwebhooks.com says: any of its libraries verifies them.

The transport is that of the platforms: polite, bounded, no redirect followed, its errors without a query.
"""

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ....config.alerts import Webhook, signing_bytes
from ....connectors.contract.errors import ConnectorError, NotDone, Throttled
from ....connectors.contract.exchange import Request, place_of
from ....connectors.contract.settings import Politeness
from ....connectors.http.transport import HttpTransport
from ....core.alerts.book import Notice
from ....core.alerts.outbox import GONE, LONGEST_PAUSE, Answer
from ....core.clock import Clock

_POLITENESS = Politeness(timeout=15, deadline=30, give_up_after=60, max_response_mb=1)
_REFUSED = frozenset({400, 413, 415, 422})
"""What a receiver says of one notice: another one may pass."""
_WORDS = {
    401: "it does not let us in (401): has its token or our secret changed?",
    403: "it does not let us in (403): has its token or our secret changed?",
    404: "there is nothing at that address (404)",
}


def payload(notice: Notice, operator: str) -> dict[str, Any]:
    """What is posted: `type`, `timestamp` and `data`, as the standard recommends."""
    data = {"id": notice.uid, "operator": operator, "title": notice.title, "text": notice.body}
    data |= {"answers": list(notice.answers), **notice.told}
    return {"type": f"civicsync.{notice.what}", "timestamp": notice.at.isoformat(), "data": data}


def signature(secret: str, uid: str, at: int, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{uid}.{at}.".encode() + body
    made = hmac.new(signing_bytes(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


async def post(
    settings: Webhook, notice: Notice, operator: str, agent: str, clock: Clock, backend: Any = None
) -> Answer:
    """Post one notice, once. `backend`: what answers instead of the network (tests)."""
    content = payload(notice, operator)
    signed_at = int(clock.now().timestamp())
    headers = {
        "webhook-id": notice.uid,
        "webhook-timestamp": str(signed_at),
        "webhook-signature": signature(
            settings.secret.get_secret_value(), notice.uid, signed_at, msgspec.json.encode(content)
        ),
    }
    parts = urlsplit(settings.url)
    site = f"{parts.scheme}://{parts.netloc}"
    async with HttpTransport(site, clock=clock, user_agent=agent, politeness=_POLITENESS, backend=backend) as transport:
        try:
            answer = await transport.submit(Request("POST", settings.url, json=content, headers=headers))
        except ConnectorError as error:
            if error.status is not None and 200 <= error.status < 300:
                return Answer(True)  # it took it, whatever it says beside that
            # Not even the path is told: tokens stand there, too.
            words = error.message.removeprefix(f"{place_of('POST', settings.url)}: ")
            if isinstance(
                error, Throttled
            ):  # for longer than a request may wait: the transport knows for how long, and keeps to it
                return Answer(False, words, wait=LONGEST_PAUSE.total_seconds())
            return Answer(False, words, wait=(error.wait or 0.0) if isinstance(error, NotDone) else 0.0)
    return _judged(answer.status, _asked(answer.headers.get("retry-after")))


def _judged(status: int, wait: float) -> Answer:
    if 200 <= status < 300:
        return Answer(True)
    if 300 <= status < 400:
        return Answer(False, f"it sends us elsewhere ({status}): write its final address into the configuration")
    if status == 410:
        return Answer(False, GONE, gone=True)
    if status in _REFUSED:
        return Answer(False, f"it refuses this notice ({status})", refused=True, wait=wait)
    return Answer(False, _WORDS.get(status, f"it answers with {status}"), wait=wait)


def _asked(value: str | None) -> float:
    return min(float(value), 86_400.0) if value is not None and value.strip().isdecimal() else 0.0
