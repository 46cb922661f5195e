"""Decidim (docs/platforms/decidim.md)."""

from typing import Any

from ..contract.reading import Connector
from .mapping import remap
from .reader import DecidimReader
from .settings import DecidimSettings

VERSIONS = ("0.27", "0.28.4", "0.28.6", "0.29", "0.30", "0.30.9", "0.31", "0.32")


def _sandbox(**options: Any) -> Any:
    from .sandbox import DecidimSandbox

    return DecidimSandbox(**options)


def _writer(context: Any) -> Any:
    from .writer import DecidimWriter

    return DecidimWriter(context)


CONNECTOR = Connector(
    platform="decidim",
    settings=DecidimSettings,
    reader=DecidimReader,
    kinds={
        "proposals": ("proposal", "project", "debate"),
        "comments": ("comment",),
        "answers": ("answer",),
        "categories": ("category", "taxonomy"),
        "areas": ("scope",),
    },
    versions=VERSIONS,
    requests_per_minute=95,
    remap=remap,
    writer=_writer,
    sandbox=_sandbox,
)
