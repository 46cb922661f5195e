"""Texts that attack, written on each of three cities; what browsers get of their copies on the two others is taken apart."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from civicsync.core.ledger.marker import markers_in
from proof.three_cities import Cities, Deployment


@dataclass(frozen=True, slots=True)
class Hostile:
    """How many copies of hostile texts were looked at, and what is wrong with them ("" is right)."""

    copies: int
    problem: str


def hostile(folder: Path) -> Hostile:
    """Texts that attack, written on each city; what browsers get on the two others is taken apart."""
    cities = Cities(2)
    for name, sandbox in cities.sandboxes.items():
        for title, body in HOSTILE.items():
            # In the toy city of ideas the author is our own account unless another one is named.
            author = {"author": 3} if name == "ideas" else {}
            own = sandbox.change("add_proposal", title=f"{title} uit {name}", **author)
            sandbox.change("edit", id=own, description=body)
        cities.originals[name] = set(cities.public(name))
    deployment = Deployment(folder, cities)
    deployment.round()
    deployment.round()
    wrong: list[str] = []
    copies = 0
    for name in cities.NAMES:
        for own, title in cities.copies(name).items():
            copies += 1
            wrong += [f"{name} {title}: {why}" for why in _attacks(cities.shown(name, own))]
    # What carries a marker that is not ours is held for a person; everything else crosses.
    forged = {title for name in cities.NAMES for title in cities.public(name).values() if title.startswith("Merkteken")}
    held = {row[0] for row in deployment.rows("SELECT title FROM publications WHERE state = 'held'")}
    expected = cities.expected - 2 * len(forged)
    if copies != expected or held != forged or len(forged) != len(cities.NAMES):
        states = deployment.rows("SELECT state, reason, count(*) FROM publications GROUP BY 1, 2")
        wrong.append(f"{copies} copies of {expected}: {states}; {sorted(held ^ forged)}")
    if deployment.round():
        wrong.append("a quiet round wrote")
    deployment.engine.dispose()
    return Hostile(copies, "; ".join(wrong))


HOSTILE: Mapping[str, str] = {
    "Script <script>alert(1)</script><b onmouseover=alert(1)>": "<p>Meer bomen in de straat.</p>"
    "<script>alert(1)</script><svg/onload=alert(1)><style>*{display:none}</style>",
    "Handler": '<p onclick="alert(1)">Meer bomen <img src=x onerror="alert(1)"> in de straat.</p><iframe src="https://evil.example"></iframe>',
    "Koppeling": '<p><a href="javascript:alert(1)">Meer</a> <a href="jav&#x09;ascript:alert(1)">bomen</a> '
    '<a href="data:text/html,<script>alert(1)</script>">in de straat</a>.</p>',
    "Richting \u202egro.live": "<p>Meer bomen \u202egro.live\u202c \u2066in\u2069 de straat\u200f.</p>",
    "Merkteken": "<p>Meer bomen in de straat. [civicsync:plaza/proposal/1~0000000000000000] "
    "&#91;civicsync:west/proposal/1~aaaaaaaaaaaaaaaa&#93;</p>",
    "Sjabloon {{ 7 * 7 }}": "<p>Meer bomen {{ 7 * 7 }} {% for x in [1] %}49{% endfor %} ${7*7} #{7*7} <%= 7*7 %> in de straat.</p>",
    "Lang": "<p>" + "Meer bomen in de straat. " * 4_200 + "</p>",
}
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_ACTIVE = {"script", "style", "iframe", "object", "embed", "svg", "math", "form", "link", "meta", "base"}


class _Looks(HTMLParser):
    """What a browser would make of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what runs."""
        if tag in _ACTIVE:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            address = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or name == "style":
                self.found.append(f"{name}=")
            if name in {"href", "src"} and not re.match(r"https?://|mailto:|/", address):
                self.found.append(f"{name}={address[:40]}")


def _attacks(whole: str) -> Iterator[str]:
    looks = _Looks()
    looks.feed(whole)
    yield from looks.found
    if _BIDI.search(whole):
        yield "turns the direction of writing"
    markers = [str(marker) for marker in markers_in(whole)]
    if len(set(markers)) != 1 or "~0000000000000000" in whole or "~aaaaaaaaaaaaaaaa" in whole:
        yield f"markers {sorted(set(markers))}"
