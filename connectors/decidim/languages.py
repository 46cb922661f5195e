"""In which language a Decidim is asked for comments: `commentable` takes only one that the site offers now (docs/platforms/decidim.md 1.3).

Nothing that is kept depends on it, so it is the site's own, and never what the configuration would like to read. The interface lists no
languages: those of the names of its spaces are tried in turn, at last that of the start page.
"""

from collections.abc import Callable, Sequence
from typing import Any

from ..contract.errors import Malformed, Unreachable
from ..contract.values import inside
from .api import Api

_OTHERS = 4
"""So many other languages are tried where a release that crashes at a wrong one crashes: it crashes for other reasons, too."""


class Languages:
    """Of one site, in one pull."""

    def __init__(self, api: Api, offered: Sequence[str]) -> None:
        """`offered`: what the site is thought to offer, the likeliest first."""
        self.api = api
        self._left = list(dict.fromkeys(offered))
        self._refused: list[str] = []
        self._taken = False
        self._looked = False

    async def ask(self, document: Callable[[str], str]) -> tuple[dict[str, Any], list[Any]]:
        """Data and errors of a document, in the first language that the site takes.

        Raises:
            Malformed: it takes none. And whatever `Api.ask` raises.
        """
        while True:
            if not self._left and not self._looked:
                self._looked = True
                told = await self.api.language()
                self._left = [told] if told is not None and told not in self._refused else []
            if not self._left:
                raise Malformed(f"the site takes none of the languages {', '.join(self._refused) or '(none is known)'}")
            spoken = document(self._left[0])
            try:
                data, errors = await self.api.ask(spoken)
            except Unreachable as error:
                if self._taken or error.status is None or "locale:" not in spoken:
                    raise
                data, errors = await self._another(document, error)
            if not any(_refused(error) for error in errors):
                self._taken = self._taken or "locale:" in spoken
                return data, errors
            self._refused.append(self._left.pop(0))

    async def _another(self, document: Callable[[str], str], failure: Unreachable) -> tuple[dict[str, Any], list[Any]]:
        """Up to 0.28 a wrong language is a failure of the server like any other: it was the language if another one is answered."""
        for locale in self._left[1 : 1 + _OTHERS]:
            try:
                answer = await self.api.ask(document(locale))
            except Unreachable:
                continue
            self._left = [locale, *(each for each in self._left if each != locale)]
            return answer
        raise failure


def _refused(error: Any) -> bool:
    return inside(error, "extensions", "code") is None and "valid locale" in str(inside(error, "message"))
