"""What a connector's test needs to run its writer against its sandbox in one line: the twin of `harness.reading`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ...core.clock import Clock, FakeClock
from ..contract.reading import Connector
from ..contract.writing import WriteContext, Writer
from ..open import open_writer, user_agent
from .harness import TEST_KEY


@asynccontextmanager
async def writing(
    connector: Connector, backend: Any, *, url: str = "http://127.0.0.1:9", clock: Clock | None = None, **settings: Any
) -> AsyncGenerator[tuple[Writer, WriteContext], None]:
    """A writer to `backend` (a sandbox: its own instance block gives the settings) and the context it was given."""
    clock = clock or FakeClock()
    block = dict(backend.instance_block(url)) if hasattr(backend, "instance_block") else {"url": url}
    parsed = connector.settings.model_validate({"platform": connector.platform, **block, **settings})
    agent = user_agent("test", "test@example.org")
    async with open_writer(
        "test", parsed, secret=TEST_KEY, agent=agent, clock=clock, backend=backend, connector=connector
    ) as opened:
        yield opened
