"""Decidim (docs/platforms/decidim.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...core.identity import Ref
from ...core.records import Record
from ..contract.reading import Connector, Context, Reader
from .settings import DecidimSettings

VERSIONS = ("0.27", "0.28.4", "0.28.6", "0.29", "0.30", "0.30.9", "0.31", "0.32")


def _reader(context: Context) -> Reader:
    from .reader import (
        DecidimReader,  # what a configuration needs of a platform is loaded at once, the rest when it is used
    )

    return DecidimReader(context)


def _remap(context: Context, reference: Ref, raw: Mapping[str, Any]) -> Sequence[Record]:
    from .mapping import remap

    return remap(context, reference, raw)


def _sandbox(**options: Any) -> Any:
    from .sandbox import DecidimSandbox

    return DecidimSandbox(**options)


def _writer(context: Any) -> Any:
    from .writer import DecidimWriter

    return DecidimWriter(context)


CONNECTOR = Connector(
    platform="decidim",
    settings=DecidimSettings,
    reader=_reader,
    kinds={
        "proposals": ("proposal", "project", "debate"),
        "comments": ("comment",),
        "answers": ("answer",),
        "categories": ("category", "taxonomy"),
        "areas": ("scope",),
    },
    versions=VERSIONS,
    requests_per_minute=95,
    remap=_remap,
    writer=_writer,
    sandbox=_sandbox,
)
