"""What a connector's test needs to run its reader against its sandbox in one line, in-process, in no time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ...core.clock import Clock, FakeClock
from ...core.privacy import pseudonymiser
from ..contract.reading import Connector, Context, Reader
from ..registry import open_transport, user_agent

TEST_KEY = "0123456789abcdef" * 4


@asynccontextmanager
async def reading(
    connector: Connector, backend: Any, *, url: str = "http://127.0.0.1:9", clock: Clock | None = None, **settings: Any
) -> AsyncGenerator[tuple[Reader, Context], None]:
    """A reader of `backend` (a sandbox: its own instance block gives the settings) and the context it was given."""
    clock = clock or FakeClock()
    block = (
        dict(backend.instance_block(url))
        if hasattr(backend, "instance_block")
        else {"platform": connector.platform, "url": url}
    )
    parsed = connector.settings.model_validate({**block, **settings})
    agent = user_agent("test", "test@example.org")
    async with open_transport(connector, parsed, agent=agent, clock=clock, backend=backend) as transport:
        context = Context("test", parsed, transport, pseudonymiser(TEST_KEY, "test"), clock, parsed.names == "public")
        yield connector.reader(context), context
