"""The comments that a public page names: the only list that still answers where a deleted comment stands (docs/platforms/decidim.md 1.12).

It names the withheld ones too, as placeholders; texts are better asked of the interface.
"""

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from ..contract.errors import ConnectorError, Throttled
from .api import Api

_PLACE = re.compile(r"data-decidim-comments=(\"[^\"]*\"|'[^']*')")
_NAMED = re.compile(r"data-comment-id=\\*[\"'](\d{1,18})\b|\bid=\\*[\"']comment_(\d{1,18})\b")
_DATED = re.compile(r"\bdatetime=\\*[\"']")
_CALLED = re.compile(r"\}\s*\)?\s*\(\s*\)\s*\)?\s*;?\s*$")
_SCRIPT = {"Accept": "text/javascript", "X-Requested-With": "XMLHttpRequest"}


@dataclass(frozen=True, slots=True)
class Named:
    """The comments at the first level of a page's thread: all ids, and those of which only a placeholder is left (it has no date)."""

    ids: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()


async def named_on_page(api: Api, path: str) -> Named | None:
    """What a page's thread names; None where the page does not tell.

    Raises:
        Throttled: the site wants to be left alone.
    """
    try:
        page = await api.transport.get(path, headers={"Accept": "text/html"})
        place = place_of_thread(page.text)
        if place is None:
            return None
        params = {"commentable_gid": place, "root_depth": "0", "order": "older", "after": "0"}
        # The address has no locale, whatever the page's own says.
        script = await api.transport.get("/comments", params=params, headers=_SCRIPT)
    except Throttled:
        raise
    except ConnectorError:
        return None
    if "javascript" not in script.media_type or is_cut(script.text):
        return None
    return named_in(script.text)


def is_cut(script: str) -> bool:
    """Whether a thread's script, which is one call of a function, ends in the middle: a comment may then lack its date, or be missing."""
    return script.lstrip().startswith("(function") and _CALLED.search(script) is None


def named_in(script: str) -> Named:
    """The comments that a thread's script names: what stands between a comment's last mention and the next comment is its own."""
    places: dict[str, tuple[int, int]] = {}
    for match in _NAMED.finditer(script):
        own = match[1] or match[2]
        places[own] = (places.get(own, match.span())[0], match.end())
    starts = sorted(places.items(), key=lambda each: each[1])
    if not starts:
        return Named()
    ends = [begin for _, (begin, _) in starts[1:]] + [len(script)]
    dated = {own for (own, (_, begin)), end in zip(starts, ends, strict=True) if _DATED.search(script, begin, end)}
    return Named(frozenset(places), frozenset(places) - dated)


def place_of_thread(html: str) -> str | None:
    """The name that the page's script uses for what is commented."""
    match = _PLACE.search(html)
    if match is None:
        return None
    try:
        told: Any = json.loads(unescape(match[1][1:-1]))
    except ValueError:
        return None
    place = told.get("commentableGid") if isinstance(told, dict) else None
    return place if isinstance(place, str) and place else None
