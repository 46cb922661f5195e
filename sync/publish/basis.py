"""What a copy's text is made from, as one digest: while that stays the same, rendering it again would give the same text.

Everything that `Planner` hands to `render` and to the writer's `fit` is in it; what is left out would let a stale text wait. A writer that
does not say what its `fit` goes by (`TellsFitting`) has no digest, and its copies are rendered at every run.
"""

import hashlib
from importlib.metadata import version

import msgspec

from ...config.model import Config
from ...connectors.contract.errors import CannotDo
from ...connectors.contract.writing import Limits, TellsFitting, Writer
from ..render.render import VERSION, Site

_LENGTH = 32


class Digester:
    """Digests of what the copies of one route are made from."""

    def __init__(self, config: Config, name: str, writer: Writer, limits: Limits, site: Site, *more: object) -> None:
        """`site`: of the origins; `more`: whatever else decides what every copy says (JSON-able)."""
        self._common = _common(config, name, writer, limits, site, *more)

    def of(self, origin: bytes) -> str:
        """The digest for the copy of the origin with this one (`Origin.digest`); empty where there is none."""
        return "" if self._common is None else hashlib.sha256(self._common + origin).hexdigest()[:_LENGTH]


def _common(config: Config, name: str, writer: Writer, limits: Limits, site: Site, *more: object) -> bytes | None:
    if not isinstance(writer, TellsFitting):
        return None
    route = config.routes[name]
    try:
        fits_by = writer.fits_by(route.to.space)
    except CannotDo:
        return None
    settings = [config.instances[each].model_dump_json() for each in (route.source.instance, route.to.instance)]
    ours = [VERSION, version("civicsync"), name, route.model_dump_json(by_alias=True), *settings]
    return hashlib.sha256(msgspec.json.encode([ours, limits, site, fits_by, *more], order="sorted")).digest()
