"""Your Priorities (docs/platforms/your-priorities.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.identity import Ref
from ...core.records import Record
from ..contract.reading import Connector, Context, Reader
from ..contract.writing import WriteContext, Writer
from .dialects import VERSIONS
from .settings import YourPrioritiesSettings


def _reader(context: Context) -> Reader:
    from .reader import YourPrioritiesReader  # what a configuration needs is loaded at once, the rest when it is used

    return YourPrioritiesReader(context)


def _remap(context: Context, reference: Ref, raw: Mapping[str, Any]) -> Sequence[Record]:
    from .mapping import remap

    return remap(context, reference, raw)


def _sandbox(**options: Any) -> Any:
    from .sandbox import YourPrioritiesSandbox

    return YourPrioritiesSandbox(**options)


def _writer(context: WriteContext) -> Writer:
    from .writer import YourPrioritiesWriter

    return YourPrioritiesWriter(context)


CONNECTOR = Connector(
    platform="your-priorities",
    settings=YourPrioritiesSettings,
    reader=_reader,
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
    remap=_remap,
    sandbox=_sandbox,
)
