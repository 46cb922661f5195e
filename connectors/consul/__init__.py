"""CONSUL Democracy (docs/platforms/consul.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.identity import Ref
from ...core.records import Record
from ..contract.reading import Connector, Context, Reader
from ..contract.writing import WriteContext, Writer
from .settings import ConsulSettings

VERSIONS = ("1.4.1", "2.1.1", "2.2.2", "2.5.1")


def _reader(context: Context) -> Reader:
    from .reader import (
        ConsulReader,  # what a configuration needs of a platform is loaded at once, the rest when it is used
    )

    return ConsulReader(context)


def _remap(context: Context, reference: Ref, raw: Mapping[str, Any]) -> Sequence[Record]:
    from .mapping import remap

    return remap(context, reference, raw)


def _sandbox(**options: Any) -> Any:
    from .sandbox import ConsulSandbox

    return ConsulSandbox(**options)


def _writer(context: WriteContext) -> Writer:
    from .writer import ConsulWriter

    return ConsulWriter(context)


CONNECTOR = Connector(
    platform="consul",
    settings=ConsulSettings,
    reader=_reader,
    kinds={
        "proposals": ("proposal", "investment", "debate"),
        "comments": ("comment",),
        "answers": ("milestone",),
        "categories": ("category", "tag"),
        "areas": ("geozone",),
        "votes": ("vote",),
    },
    versions=VERSIONS,
    tells_languages=False,
    writer=_writer,
    remap=_remap,
    sandbox=_sandbox,
)
