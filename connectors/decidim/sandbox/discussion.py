"""The sandbox's comments: trees that one deleted comment turns null, and what can be asked for by its class name.

docs/platforms/decidim.md 1.7 Q4 and Q5, 1.12.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ....core.text import plain_title
from ...testing.graphql_ruby.engine import FieldError, RequestFailed
from .model import Comment
from .mutations import Typed
from .values import stamp
from .whole import Organization

_ROWS = {
    "Decidim::Proposals::Proposal": "proposal",
    "Decidim::Debates::Debate": "debate",
    "Decidim::Budgets::Project": "project",
}


class Discussion:
    """The comments of one organization."""

    def __init__(self, interface: Organization) -> None:
        self._interface = interface
        self._sandbox = interface.sandbox

    def listed(self, comments: list[Comment], arguments: Mapping[str, Any]) -> list[Any]:
        """One level of comments, as a field shows it."""
        order = arguments.get("orderBy")
        if order in {"best_rated", "most_discussed"} and self._interface.line != "0.32":
            raise RequestFailed(500)
        single = arguments.get("singleCommentId")
        rows = [c for c in comments if not c.hidden and (single is None or str(c.id) == single)]
        self._sandbox.charge(self._sandbox.costs.comment * len(rows))
        if self._interface.checked:
            # A deleted comment is unauthorised in a list that may hold no null (docs/platforms/decidim.md 1.7 Q5).
            return [self._interface.gone("Comment", "unauthorized") if c.deleted else c for c in rows]
        return list(rows)

    def fields(self) -> dict[str, Callable[..., Any]]:
        """The resolvers of a comment."""
        return {
            "id": lambda c, _a, _c: c.id,
            "body": lambda c, _a, _c: c.body,
            "formattedBody": lambda c, _a, _c: f"<div><p>{plain_title(c.body)}</p></div>",
            "url": lambda c, _a, _c: f"{self._sandbox.address_of(c.target)}#comment_{c.id}",
            "createdAt": lambda c, _a, _c: stamp(c.created_at),
            "updatedAt": lambda c, _a, _c: stamp(c.created_at),
            "alignment": lambda c, _a, _c: c.alignment,
            "upVotes": lambda c, _a, _c: c.ups,
            "downVotes": lambda c, _a, _c: c.downs,
            "author": self._interface.author,
            "hasComments": lambda c, _a, _c: any(not r.hidden for r in c.children),
            "totalCommentsCount": lambda c, _a, _c: len(c.children),
            "comments": lambda c, a, _c: self.listed(c.children, a),
            "type": lambda _o, _a, _c: "Decidim::Comments::Comment",
        }

    def commentable(self, _root: Any, arguments: Mapping[str, Any], _context: Any) -> Any:
        """Anything by its class; 0.28.6 crashes at what does not exist."""
        own, kind = arguments["id"], arguments["type"]
        if arguments["locale"] not in self._sandbox.locales:
            if self._interface.at < 3:
                raise RequestFailed(500)
            raise FieldError(f"{arguments['locale']} is not a valid locale")
        self._sandbox.leak(arguments["locale"])
        number = int(own) if str(own).isdigit() else 0
        if kind == "Decidim::Comments::Comment":
            found: Any = self._sandbox.database.comments.get(number)
            if found is not None:
                self._sandbox.charge(self._sandbox.costs.comment)
                seen = not found.hidden and not (found.deleted and self._interface.checked)
                return Typed("Comment", found) if seen else self._interface.gone("Comment", "unauthorized")
        elif kind in _ROWS:
            found = self._sandbox.database.proposals[_ROWS[kind]].get(number)
            if found is not None and not found.draft and not found.deleted:
                self._sandbox.charge(self._sandbox.costs.single)
                if (found.hidden and self._interface.checked) or (
                    _ROWS[kind] == "project" and self._interface.version == "0.28.6"
                ):
                    # Projects are for signed-in people only there (docs/platforms/decidim.md 1.4).
                    return self._interface.gone(_ROWS[kind].title(), "unauthorized")
                return Typed(_ROWS[kind].title(), found)
        else:
            if self._interface.at < 3:
                raise RequestFailed(500)
            raise FieldError("Invalid commentable type")
        if self._interface.at < 3 and self._interface.version == "0.28.6":
            raise RequestFailed(500)
        return None
