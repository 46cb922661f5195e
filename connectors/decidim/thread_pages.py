"""The comments that a public page names: the only list that still answers where a deleted comment stands (docs/platforms/decidim.md 1.12).

It names the withheld ones too, as placeholders; texts are better asked of the interface.
"""

import json
import re
from html import unescape
from typing import Any

from ..contract.errors import ConnectorError, Throttled
from .api import Api

_PLACE = re.compile(r"data-decidim-comments=(\"[^\"]*\"|'[^']*')")
_NAMED = re.compile(r"data-comment-id=\\*[\"'](\d{1,18})\b|\bid=\\*[\"']comment_(\d{1,18})\b")
_SCRIPT = {"Accept": "text/javascript", "X-Requested-With": "XMLHttpRequest"}


async def named_on_page(api: Api, path: str) -> set[str] | None:
    """The ids of the comments at the first level of a page's thread, public or withheld; None where the page does not tell.

    Raises:
        Throttled: the site wants to be left alone.
    """
    try:
        page = await api.transport.get(path, headers={"Accept": "text/html"})
        place = _place(page.text)
        if place is None:
            return None
        params = {"commentable_gid": place, "root_depth": "0", "order": "older", "after": "0"}
        # The address has no locale, whatever the page's own says.
        script = await api.transport.get("/comments", params=params, headers=_SCRIPT)
    except Throttled:
        raise
    except ConnectorError:
        return None
    if "javascript" not in script.media_type:
        return None
    return {match[1] or match[2] for match in _NAMED.finditer(script.text)}


def _place(html: str) -> str | None:
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
