"""Opening an instance for writing: a writer with one transport that signs in and one that never does."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from ..config.model import Config
from ..connectors.contract.errors import CannotDo
from ..connectors.contract.reading import Context
from ..connectors.contract.writing import WriteContext, Writer
from ..connectors.registry import open_transport, resolve, user_agent
from ..core.clock import Clock
from ..core.privacy import pseudonymiser


@contextlib.asynccontextmanager
async def open_writer(
    config: Config,
    name: str,
    clock: Clock,
    backends: Mapping[str, Any] | None = None,
    on_wait: Callable[[str, float], None] | None = None,
) -> AsyncGenerator[tuple[Writer, WriteContext], None]:
    """A writer of an instance, closed at the end. `backends`: applications that answer instead of the network (tests); `on_wait` is told
    why and for how many seconds the platform is waited for.

    Raises:
        CannotDo: this platform is only read.
    """
    settings = config.instances[name]
    connector = resolve(settings.platform)
    if connector.writer is None:
        raise CannotDo(f"{name}: {settings.platform} is only read; nothing can be published there")
    agent = user_agent(config.operator.name, config.operator.contact)
    backend = (backends or {}).get(name)
    secret = config.privacy.key.get_secret_value()
    reading = open_transport(connector, settings, agent=agent, clock=clock, backend=backend)
    session = open_transport(
        connector, settings, agent=agent, clock=clock, backend=backend, keep_cookies=True, beside=reading
    )
    reading.on_wait = session.on_wait = on_wait
    context = Context(name, settings, reading, pseudonymiser(secret, name), clock, settings.names == "public")
    async with reading, session:
        yield connector.writer(WriteContext(context, session)), WriteContext(context, session)
