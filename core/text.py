"""Citizens' text on the way in: HTML made safe, plain text beside it, control characters gone.

Nothing a citizen typed leaves this module able to run anywhere. What must not happen on the way in: truncation, translation, guessing
a language. On the way out a platform may take less: `cut_at_word` and `cut_at_sentence` are the only ways to shorten a text.
"""

import html as html_module
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import nh3

from .records import UNKNOWN_LOCALE, Text

_TAGS = {
    *("p", "br", "ul", "ol", "li", "strong", "em", "b", "i", "u", "s", "a", "h2", "h3", "h4", "h5", "h6"),
    *(
        "blockquote",
        "pre",
        "code",
        "hr",
        "div",
        "span",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "del",
        "sub",
        "sup",
    ),
}
_SANITISER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href", "title"}},
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel="noopener noreferrer nofollow",
    clean_content_tags={"script", "style"},
    strip_comments=True,
)
# C0/C1 controls but tab and line breaks; bidi marks, overrides and isolates, which can make a text read as another one;
# zero-width space, word joiner, BOM and invisible separators. Zero-width (non-)joiner stay: emoji and Persian need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ASCII_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 127))
_BLOCK_ENDS = frozenset(
    {"/p", "br", "/li", "/h1", "/h2", "/h3", "/h4", "/h5", "/h6", "/div", "/tr", "/blockquote", "hr"}
)
_BLOCK_BEGINS = frozenset(
    {"p", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "div", "table", "tr", "blockquote", "pre"}
)
_BEGIN = "\x01"
"""Stands where a block begins until it is known whether a line has ended there already; no text that was tidied holds it."""


@dataclass(slots=True)
class _Place:
    """Where canonical HTML may be: what each tag leads to from here, with what stands in its place in plain text."""

    tags: dict[str, "tuple[_Place, str]"] = field(default_factory=dict[str, "tuple[_Place, str]"])

    def holding(self, *tags: str, inside: "Callable[[], _Place]") -> "_Place":
        """With elements, each of which is closed before anything else."""
        for tag in tags:
            place = inside()
            self.tags[tag] = place, _BEGIN if tag in _BLOCK_BEGINS else ""
            place.tags[f"/{tag}"] = self, "\n" if f"/{tag}" in _BLOCK_ENDS else ""
        return self


def _line() -> _Place:
    place = _Place()
    place.tags["br"] = place, "\n"
    return place


def _marked() -> _Place:
    return _line().holding("strong", "em", "b", "i", "u", "s", inside=_line)


_CANONICAL = _marked().holding("p", "h2", "h3", "h4", inside=_marked)
_CANONICAL.holding("ul", "ol", inside=lambda: _Place().holding("li", inside=_marked))
"""HTML that the sanitiser would write exactly as it stands: these tags and no other one, none with an attribute, each closed where it
must be. The sanitiser is what this is tested against."""
_SPACES = re.compile(r"[ \t]{2,}|\t")
_BLANK_LINES = re.compile(r"\n{3,}")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&nbsp;": "\xa0", "&amp;": "&"}
"""What the sanitiser writes. `&amp;` is the last to be read, or `&amp;lt;` would become `<`."""
_OWN_ENTITIES = tuple(entity[1:] for entity in _ENTITIES)
_SENTENCE = re.compile(r"[.!?…](?=\s|$)|\n")


def tidy(value: str) -> str:
    """Line breaks as `\\n`; invisible characters that can deceive a reader removed."""
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    # Whatever is taken out below is not printable to Python either, and nearly every text is printable throughout.
    if value.replace("\n", "").replace("\t", "").isprintable():
        return value
    if value.isascii():
        # The table is far quicker than the pattern.
        return value.translate(_ASCII_CONTROLS)
    return _INVISIBLE.sub("", value.replace("\u2028", "\n").replace("\u2029", "\n"))


def storable(value: str) -> str:
    """A text that both databases take: PostgreSQL has no NUL, and half a surrogate pair is no character in any encoding."""
    return value if value.isascii() and "\0" not in value else _UNSTORABLE.sub("\ufffd", value)


def clean_html(value: str) -> str:
    """Safe HTML from any HTML fragment; a fragment without markup is returned escaped."""
    value = tidy(value)
    if "<" not in value and "&" not in value:
        # As the sanitiser itself writes them, so that cleaning twice changes nothing.
        value = value.replace(">", "&gt;") if ">" in value else value
        return value.replace("\xa0", "&nbsp;") if "\xa0" in value else value
    if _told(value) is not None:
        return value
    # Once more: an entity hides a character (`&#x202E;`) until the sanitiser has read it.
    return tidy(_SANITISER.clean(value))


def _told(value: str) -> str | None:
    """What canonical HTML says, its blocks as in `_without_tags`; None: it is for the sanitiser. One pass, cut where tags begin."""
    pieces = value.split("<")
    if value.count(">") != len(pieces) - 1 or "\xa0" in value or not _only_own_entities(value):
        return None
    place = _CANONICAL
    for position in range(1, len(pieces)):
        tag, closed, text = pieces[position].partition(">")
        led = place.tags.get(tag)
        if led is None or not closed:
            return None
        place, mark = led
        pieces[position] = mark + text
    return "".join(pieces) if place is _CANONICAL else None


def html_to_plain(safe: str) -> str:
    """The readable text of sanitised HTML, with line breaks where blocks begin and end (one where one ends and the next begins)."""
    if "<" in safe:
        # The sanitiser writes every tag in one way, so plain cutting is right, and far quicker than a pattern.
        safe = _without_tags(safe)
    return _in_lines(safe)


def _in_lines(safe: str) -> str:
    """Entities read, and blanks and breaks as in `html_to_plain`."""
    if "&" in safe:
        safe = _unescaped(safe)
    if "  " in safe or "\t" in safe:
        safe = _SPACES.sub(" ", safe)
    if "\n" in safe:
        if " \n" in safe or "\n " in safe:
            safe = "\n".join([line.strip(" ") for line in safe.split("\n")])
        if "\n\n\n" in safe:
            safe = _BLANK_LINES.sub("\n\n", safe)
    return safe.strip()


def _without_tags(safe: str) -> str:
    # Every `<` begins a tag and the next `>` ends it, also behind attributes, in which the sanitiser writes neither.
    pieces = safe.split("<")
    for position in range(1, len(pieces)):
        tag, _, text = pieces[position].partition(">")
        if tag in _BLOCK_ENDS:
            text = f"\n{text}"
        elif tag in _BLOCK_BEGINS:
            text = f"{_BEGIN}{text}"
        pieces[position] = text
    return _with_breaks("".join(pieces))


def _with_breaks(text: str) -> str:
    """A break where a block begins, unless a line ended right before it; where several begin at once, one."""
    *parts, last = text.split(_BEGIN)
    for position, part in enumerate(parts):
        if part or not position:
            ended = part.rstrip(" \t")
            parts[position] = ended if ended.endswith("\n") else f"{part}\n"
    return "".join(parts) + last


def _unescaped(text: str) -> str:
    """The characters that entities stand for. The sanitiser writes four of them; any other one is looked up."""
    if _only_own_entities(text):
        for entity, character in _ENTITIES.items():
            if entity in text:
                text = text.replace(entity, character)
        return text
    return tidy(html_module.unescape(text))


def _only_own_entities(text: str) -> bool:
    return "&" not in text or all(part.startswith(_OWN_ENTITIES) for part in text.split("&")[1:])


def plain_to_html(value: str) -> str:
    """Safe HTML from text that is known to be plain: escaped, paragraphs and line breaks kept."""
    value = tidy(value)
    if not value.strip():
        return ""
    escaped = html_module.escape(value, quote=False)
    paragraphs = [part.strip("\n") for part in re.split(r"\n{2,}", escaped)]
    return "".join(f"<p>{part.replace(chr(10), '<br>')}</p>" for part in paragraphs if part.strip())


def plain_title(value: str | None) -> str:
    """A title as one line of plain text, stored as typed (a title is never HTML); escape it where it is shown."""
    return " ".join(tidy(value or "").split())


def rich(locale: str | None, title: str | None, body: str | None, *, machine: bool = False) -> Text:
    """A text whose body is HTML as the platform stored it."""
    safe = tidy(body) if body else ""
    told = _told(safe) if "<" in safe else None
    if told is None:
        safe = clean_html(safe) if safe else ""
        plain = html_to_plain(safe)
    else:
        plain = _in_lines(_with_breaks(told))
    return Text(locale=locale or UNKNOWN_LOCALE, title=plain_title(title), html=safe, plain=plain, machine=machine)


def simple(locale: str | None, title: str | None, body: str | None, *, machine: bool = False) -> Text:
    """A text whose body is plain text as typed."""
    typed = tidy(body or "").strip()
    return Text(
        locale=locale or UNKNOWN_LOCALE,
        title=plain_title(title),
        html=plain_to_html(typed),
        plain=typed,
        machine=machine,
    )


def cut_at_word(text: str, limit: int) -> str:
    """At most `limit` characters, ending with … if anything was left out."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    space = kept.rfind(" ")
    return (kept[:space] if space > limit // 2 else kept).rstrip(" ,;:-") + "…"


def cut_at_sentence(text: str, limit: int) -> str:
    """At most `limit` characters, ending where a sentence ends; at a word where no sentence ends in the second half."""
    text = text.strip()
    if len(text) <= limit:
        return text
    ends = [match.end() for match in _SENTENCE.finditer(text[:limit])]
    if ends and ends[-1] > limit // 3:
        return text[: ends[-1]].strip()
    return cut_at_word(text, limit)
