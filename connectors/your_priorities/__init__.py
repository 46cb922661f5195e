"""Your Priorities (docs/platforms/your-priorities.md)."""

from typing import Any

from ..contract.reading import Connector
from ..contract.writing import WriteContext, Writer
from .dialects import VERSIONS
from .mapping import remap
from .reader import YourPrioritiesReader
from .settings import YourPrioritiesSettings


def _sandbox(**options: Any) -> Any:
    from .sandbox import YourPrioritiesSandbox

    return YourPrioritiesSandbox(**options)


def _writer(context: WriteContext) -> Writer:
    from .writer import YourPrioritiesWriter

    return YourPrioritiesWriter(context)


CONNECTOR = Connector(
    platform="your-priorities",
    settings=YourPrioritiesSettings,
    reader=YourPrioritiesReader,
    kinds={
        "proposals": ("proposal",),
        "comments": ("point",),
        "answers": ("status_change",),
        "categories": ("category",),
    },
    versions=VERSIONS,
    # The platform has no limit of its own; robots.txt asks for one request a second, and the pause after each answer
    # (politeness.pause, as long as the answer took) keeps near it without making a toy instance on loopback wait.
    requests_per_minute=None,
    keep_cookies=True,
    writer=_writer,
    remap=remap,
    sandbox=_sandbox,
)
