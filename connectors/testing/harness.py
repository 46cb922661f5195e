"""What a connector's test needs to run its reader against its sandbox in one line, in-process, in no time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ...core.clock import Clock, FakeClock
from ..contract.reading import Connector, Context, Reader
from ..open import open_reader, user_agent

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
    async with open_reader(
        "test", parsed, secret=TEST_KEY, agent=agent, clock=clock, backend=backend, connector=connector
    ) as opened:
        yield opened
