"""The sandbox's open data: CSV with `;`, columns by name, times in UTC (docs/platforms/decidim.md 5)."""

import csv
import io
from html import escape
from typing import Any

from ...testing.sandbox.city import PRIVATE
from .model import Comment, Proposal
from .whole import Whole


def _written(rows: list[dict[str, Any]]) -> bytes:
    if not rows:
        return b"\n"
    columns = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, delimiter=";", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _guarded(value) for name, value in row.items()})
    return buffer.getvalue().encode()


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value


def _public(sandbox: Whole, kind: str = "proposal") -> list[Proposal]:
    rows = sandbox.database.proposals[kind].values()
    return [row for row in rows if sandbox.is_public(row)]


def proposals_csv(sandbox: Whole) -> bytes:
    """Published, not hidden, amendments and withdrawn ones included."""
    rows: list[dict[str, Any]] = []
    for row in _public(sandbox):
        line: dict[str, Any] = {"id": row.id, "author/id": row.author or "", "author/name": f"{PRIVATE} {row.author}"}
        line |= {f"title/{locale}": text for locale, (text, _) in row.title.items()}
        line["component/id"] = row.component.id
        line["is_amend"] = "true" if row.amends is not None else "false"
        line["original_proposal/url"] = sandbox.address_of(row.amends) if row.amends is not None else ""
        rows.append(line)
    return _written(rows)


_CLASSES = {"proposal": "Decidim::Proposals::Proposal", "debate": "Decidim::Debates::Debate"}


def comments_csv(sandbox: Whole, kind: str = "proposal") -> bytes:
    """All comments that are neither hidden nor deleted, of public proposals or debates; of projects there is no such file."""
    rows: list[dict[str, Any]] = []
    for row in _public(sandbox, kind):
        for comment in row.all_comments:
            if comment.hidden or comment.deleted:
                continue
            above = comment.parent
            rows.append(
                {
                    "id": comment.id,
                    "created_at": comment.created_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
                    "body": comment.body,
                    "locale": "nl",
                    "author/id": comment.author,
                    "author/name": f"{PRIVATE} {comment.author}",
                    "alignment": comment.alignment,
                    "depth": comment.depth,
                    "commentable_id": above.id if above else row.id,
                    "commentable_type": "Decidim::Comments::Comment" if above else _CLASSES[kind],
                    "root_commentable_url": f"https://toy.example{sandbox.address_of(row)}",
                }
            )
    return _written(rows)


def thread_script(comments: list[Comment]) -> str:
    """One level of a thread as the page's script has it: withheld ones are placeholders with their number only."""
    shown: list[str] = []
    for comment in comments:
        mark = "comment__moderated" if comment.hidden else "comment__deleted" if comment.deleted else "comment"
        text = "" if comment.hidden or comment.deleted else comment.body
        when = "" if comment.hidden or comment.deleted else f'<time datetime="{comment.created_at.isoformat()}"></time>'
        shown.append(
            f'<div id="comment_{comment.id}" class="{mark}" data-comment-id="{comment.id}">{when}<p>{escape(text)}</p></div>'
        )
    escaped = "".join(shown).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'(function() {{\n  Decidim.addComments("{escaped}");\n}})();'
