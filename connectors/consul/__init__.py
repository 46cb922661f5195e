"""CONSUL Democracy (docs/platforms/consul.md)."""

from typing import Any

from ..contract.reading import Connector
from ..contract.writing import WriteContext, Writer
from .mapping import remap
from .reader import ConsulReader
from .settings import ConsulSettings

VERSIONS = ("1.4.1", "2.1.1", "2.2.2", "2.5.1")


def _sandbox(**options: Any) -> Any:
    from .sandbox import ConsulSandbox

    return ConsulSandbox(**options)


def _writer(context: WriteContext) -> Writer:
    from .writer import ConsulWriter

    return ConsulWriter(context)


CONNECTOR = Connector(
    platform="consul",
    settings=ConsulSettings,
    reader=ConsulReader,
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
    remap=remap,
    sandbox=_sandbox,
)
