"""Opening an instance: the one place where a reader or a writer is put together from its settings.

Knows no configuration: who asks, the key and the clock are given. Whoever is given a reader or a writer here asks as politely as its
platform needs, and the connections are closed at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from functools import partial
from importlib.metadata import version
from typing import Any

from ..core.clock import Clock
from ..core.privacy import pseudonymiser
from .contract.errors import CannotDo
from .contract.reading import Connector, Context, Reader
from .contract.settings import InstanceSettings
from .contract.writing import Refusals, WriteContext, Writer
from .http.pace import PACES, Paces
from .http.transport import HttpTransport
from .registry import resolve

OnWait = Callable[[str, float], None]
"""Told why and for how many seconds, whenever more than a moment is waited for the platform."""


def user_agent(operator: str, contact: str) -> str:
    """An honest User-Agent: who asks, and whom to write to."""
    who = " ".join(part for part in (operator, contact) if part)
    ascii_only = who.encode("ascii", "replace").decode("ascii")
    return f"civicsync/{version('civicsync')} (+{ascii_only or 'no contact configured'})"


def open_transport(
    settings: InstanceSettings,
    *,
    agent: str,
    clock: Clock,
    backend: Any = None,
    keep_cookies: bool | None = None,
    on_wait: OnWait | None = None,
    before_request: Callable[[], None] | None = None,
    connector: Connector | None = None,
    paces: Paces = PACES,
) -> HttpTransport:
    """A transport for one instance, as polite as its platform asks; to be closed by whoever asked for it.

    `backend`: an application that answers instead of the network (tests); `keep_cookies`: a session, whatever the platform's reading
    needs; `connector`: another one than `settings.platform` names.
    """
    connector = connector or resolve(settings.platform)
    return HttpTransport(
        settings.url,
        clock=clock,
        user_agent=agent,
        politeness=settings.politeness,
        requests_per_minute=connector.requests_per_minute,
        verify_tls=settings.verify_tls,
        keep_cookies=connector.keep_cookies if keep_cookies is None else keep_cookies,
        backend=backend,
        on_wait=on_wait,
        before_request=before_request,
        paces=paces,
    )


@contextlib.asynccontextmanager
async def open_reader(
    name: str,
    settings: InstanceSettings,
    *,
    secret: str | None,
    agent: str,
    clock: Clock,
    backend: Any = None,
    on_wait: OnWait | None = None,
    before_request: Callable[[], None] | None = None,
    connector: Connector | None = None,
    paces: Paces = PACES,
) -> AsyncGenerator[tuple[Reader, Context]]:
    """A reader of an instance and what it was given, closed at the end. `paces`: other ones than this process keeps per host.

    `secret` makes the pseudonyms; with None everybody is nobody, for whoever only looks and stores nothing.
    """
    connector = connector or resolve(settings.platform)
    async with open_transport(
        settings,
        agent=agent,
        clock=clock,
        backend=backend,
        on_wait=on_wait,
        before_request=before_request,
        connector=connector,
        paces=paces,
    ) as transport:
        context = context_of(name, settings, transport, secret=secret, clock=clock)
        yield connector.reader(context), context


@contextlib.asynccontextmanager
async def open_writer(
    name: str,
    settings: InstanceSettings,
    *,
    secret: str,
    agent: str,
    clock: Clock,
    backend: Any = None,
    on_wait: OnWait | None = None,
    before_request: Callable[[], None] | None = None,
    connector: Connector | None = None,
    refusals: Refusals | None = None,
) -> AsyncGenerator[tuple[Writer, WriteContext]]:
    """A writer of an instance and what it was given, closed at the end: one transport signs in and one never does.

    `refusals`: what is remembered of credentials that were not taken; without it that is forgotten at the end.

    Raises:
        CannotDo: this platform is only read.
    """
    connector = connector or resolve(settings.platform)
    if connector.writer is None:
        raise CannotDo(f"{name}: {settings.platform} is only read; nothing can be published there")
    opened = partial(
        open_transport,
        settings,
        agent=agent,
        clock=clock,
        backend=backend,
        on_wait=on_wait,
        before_request=before_request,
        connector=connector,
    )
    async with opened() as reading, opened(keep_cookies=True) as session:
        given = context_of(name, settings, reading, secret=secret, clock=clock)
        context = WriteContext(given, session, refusals or Refusals())
        yield connector.writer(context), context


def context_of(
    name: str, settings: InstanceSettings, transport: HttpTransport, *, secret: str | None, clock: Clock
) -> Context:
    """What a connector is given to read an instance."""
    pseudonym = _nobody if secret is None else pseudonymiser(secret, settings.named_before or name)
    return Context(name, settings, transport, pseudonym, clock, settings.names == "public")


def _nobody(_: str) -> str:
    return "0" * 32
