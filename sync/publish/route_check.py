"""Whether both ends of a route can do what it asks: who we are there, what the space takes, what will not follow. Writes nothing."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from ...config.model import Config
from ...config.routes import Route
from ...connectors.contract.errors import ConnectorError, WrongCredentials
from ...connectors.contract.reading import Capability
from ...connectors.contract.writing import (
    CanAnswer,
    CanComment,
    CanEdit,
    CanFind,
    CanWithdraw,
    Limits,
    Standing,
    TellsRights,
    WriteContext,
    Writer,
)
from ...connectors.open import open_writer, user_agent
from ...core.clock import Clock
from ...core.ledger.ledger import Ledger
from ..credentials import Credentials
from .route_names import unknown_names


@dataclass(slots=True)
class RouteCheck:
    """What was found out about a route."""

    route: str
    error: str = ""
    hint: str = ""
    capabilities: list[Capability] = field(default_factory=list[Capability])
    warnings: list[str] = field(default_factory=list[str])

    @property
    def ok(self) -> bool:
        """Whether it can run at all."""
        return not self.error


def _writer(
    config: Config, instance: str, clock: Clock, backends: Mapping[str, Any] | None
) -> AbstractAsyncContextManager[tuple[Writer, WriteContext]]:
    return open_writer(
        instance,
        config.instances[instance],
        secret=config.privacy.key.get_secret_value(),
        agent=user_agent(config.operator.name, config.operator.contact),
        clock=clock,
        backend=(backends or {}).get(instance),
    )


async def check_route(
    config: Config, engine: Engine, name: str, clock: Clock, backends: Mapping[str, Any] | None = None
) -> RouteCheck:
    """Ask both ends; never raises for what a platform does."""
    route, found = config.routes[name], RouteCheck(name)
    try:
        async with _writer(config, route.to.instance, clock, backends) as (writer, context):
            standing = await _signed_in(config, engine, route.to.instance, writer, clock)
            if standing.account is not None:
                pseudonym = context.reading.pseudonym(standing.account)
                await asyncio.to_thread(Ledger(engine, clock).remember_account, route.to.instance, pseudonym)
            found.capabilities.extend(standing.capabilities)
            found.warnings.extend(standing.warnings)
            limits = await writer.limits(route.to.space, route.to.voice)
            found.capabilities.append(Capability(f"copies into {route.to.space}", True, _limits(limits)))
            answers = await _answers(writer, route.to.space)
            _abilities(route, writer, found, answers)
    except ConnectorError as error:
        found.error, found.hint = error.message, error.hint
    if route.follow.answers_to_origin:
        await _origin(config, engine, route, found, clock, backends)
    await asyncio.to_thread(_source, config, engine, route, found)
    return found


async def _signed_in(config: Config, engine: Engine, instance: str, writer: Writer, clock: Clock) -> Standing:
    """Sign in, also with what was refused before: whoever asks for a check is a person."""
    credentials = Credentials(config, Ledger(engine, clock))
    try:
        standing = await writer.check()
    except WrongCredentials as error:
        await asyncio.to_thread(credentials.remember, instance, error)
        raise WrongCredentials(f"{instance}: {error.message}", hint=error.hint, status=error.status) from error
    await asyncio.to_thread(credentials.forget, instance)
    return standing


async def _origin(
    config: Config, engine: Engine, route: Route, found: RouteCheck, clock: Clock, backends: Mapping[str, Any] | None
) -> None:
    try:
        async with _writer(config, route.source.instance, clock, backends) as (writer, _):
            await _signed_in(config, engine, route.source.instance, writer, clock)
            why = await _answers(writer, route.source.space)
            found.capabilities.append(Capability("answers back to the origin", not why, why))
    except ConnectorError as error:
        found.capabilities.append(Capability("answers back to the origin", False, error.message))


async def _answers(writer: Writer, space: str | None) -> str:
    """Why answers cannot be told there; empty: they can."""
    if not isinstance(writer, CanAnswer | CanComment):
        return "this platform cannot do that"
    return await writer.may_answer(space) if isinstance(writer, TellsRights) else ""


def _abilities(route: Route, writer: Writer, found: RouteCheck, answers: str) -> None:
    follow = route.follow
    for what, wanted, able, without in (
        ("edits follow", follow.edits, isinstance(writer, CanEdit), "the copy stays as it was made"),
        (
            "withdrawals follow",
            follow.withdrawals == "retract",
            isinstance(writer, CanWithdraw),
            "the copy stays; take it back by hand",
        ),
        (
            "answers follow",
            follow.answers_to_copies,
            not answers,
            "answers are not carried over",
        ),
        (
            "lost answers are looked up",
            True,
            isinstance(writer, CanFind),
            "a write whose answer is lost waits for a person",
        ),
    ):
        if wanted:
            why = answers if what == "answers follow" else "this platform cannot do that"
            found.capabilities.append(Capability(what, able, "" if able else f"{why}: {without}"))


def _limits(limits: Limits) -> str:
    parts = [f"title {limits.title[0]} to {limits.title[1]} characters"]
    if limits.body[1] < 1_000_000:
        parts.append(f"text at most {limits.body[1]:,} characters; longer ones are cut at a sentence, with a link")
    parts.append("all languages" if limits.many_locales else "one language")
    return "; ".join(parts)


def _source(config: Config, engine: Engine, route: Route, found: RouteCheck) -> None:
    source = route.source
    found.warnings.extend(unknown_names(engine, route))
    if route.author_names and config.instances[source.instance].names != "public":
        found.warnings.append(f"author_names has no effect: {source.instance} does not keep names (`names: public`)")
    if route.approval == "automatic" and route.source.where.older_than is None:
        found.warnings.append("automatic approval without `older_than`: spam is copied before anybody can remove it")
