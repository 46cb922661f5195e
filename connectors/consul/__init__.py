"""CONSUL Democracy (docs/platforms/consul.md)."""

from typing import Any

from ..contract import Connector
from .mapping import rebuild
from .reader import ConsulReader
from .settings import ConsulSettings

VERSIONS = ("1.4.1", "2.1.1", "2.2.2", "2.5.1")


def _sandbox(**options: Any) -> Any:
    from .sandbox import ConsulSandbox

    return ConsulSandbox(**options)


CONNECTOR = Connector(
    platform="consul",
    settings=ConsulSettings,
    reader=ConsulReader,
    versions=VERSIONS,
    rebuild=rebuild,
    sandbox=_sandbox,
)
