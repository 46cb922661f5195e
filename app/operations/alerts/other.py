"""Chats, pagers and a hundred other services, by Apprise: an extra, loaded only where a channel is configured."""

import importlib
import importlib.util
import logging
from typing import Any

from ....core.alerts.book import Notice
from ....core.alerts.outbox import Answer
from .aside import aside

MISSING = "it needs Apprise: pip install 'civicsync[apprise]'"
_WHOLE = 90.0


def installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("apprise") is not None


async def send(address: str, notice: Notice) -> Answer:
    """Send one notice to what an address of Apprise names, once."""
    if not installed():
        return Answer(False, MISSING)
    try:
        return await aside(lambda: _sent(address, notice), seconds=_WHOLE)
    except TimeoutError:
        return Answer(False, f"not done after {_WHOLE:.0f} s")


def _sent(address: str, notice: Notice) -> Answer:
    library: Any = importlib.import_module("apprise")
    log = logging.getLogger("apprise")
    log.propagate = False  # it writes addresses with their tokens
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    try:
        service = library.Apprise()
        if not service.add(address):
            return Answer(False, "Apprise does not know this kind of address")
        done = service.notify(title=f"[civicsync] {notice.title}", body=notice.body, body_format="text")
    except Exception as error:  # whatever one of its hundred services raises
        return Answer(False, f"Apprise failed ({type(error).__name__})")
    return Answer(True) if done else Answer(False, "the service did not take it")
