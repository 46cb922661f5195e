"""Citizens' text on the way in: HTML made safe, plain text beside it, control characters gone.

Nothing a citizen typed leaves this module able to run anywhere. What must not happen on the way in: truncation, translation, guessing
a language. On the way out a platform may take less: `cut_at_word` and `cut_at_sentence` are the only ways to shorten a text.
"""

import html as html_module
import re

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
_BEGINS = re.compile(rf"(?:\n[ \t]*)?{_BEGIN}+")
_TAG = re.compile(r"<[^>]*>")
_AROUND_BREAKS = re.compile(r"[ \t]*\n[ \t]*")
_SPACES = re.compile(r"[ \t]{2,}|\t")
_BLANK_LINES = re.compile(r"\n{3,}")
_SENTENCE = re.compile(r"[.!?…](?=\s|$)|\n")


def tidy(value: str) -> str:
    """Line breaks as `\\n`; invisible characters that can deceive a reader removed."""
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    if value.isascii():
        # The table is far quicker than the pattern, and most texts need only this.
        return value.translate(_ASCII_CONTROLS) if _has_control(value) else value
    return _INVISIBLE.sub("", value.replace("\u2028", "\n").replace("\u2029", "\n"))


def storable(value: str) -> str:
    """A text that both databases take: PostgreSQL has no NUL, and half a surrogate pair is no character in any encoding."""
    return value if value.isascii() and "\0" not in value else _UNSTORABLE.sub("\ufffd", value)


def _has_control(value: str) -> bool:
    return not value.replace("\n", "").replace("\t", "").isprintable()


def clean_html(value: str) -> str:
    """Safe HTML from any HTML fragment; a fragment without markup is returned escaped."""
    value = tidy(value)
    if "<" not in value and "&" not in value:
        # As the sanitiser itself writes them, so that cleaning twice changes nothing.
        value = value.replace(">", "&gt;") if ">" in value else value
        return value.replace("\xa0", "&nbsp;") if "\xa0" in value else value
    # Once more: an entity hides a character (`&#x202E;`) until the sanitiser has read it.
    return tidy(_SANITISER.clean(value))


def html_to_plain(safe: str) -> str:
    """The readable text of sanitised HTML, with line breaks where blocks begin and end (one where one ends and the next begins)."""
    if "<" in safe:
        # The sanitiser writes every tag in one way, so plain replacing is right, and far quicker than a pattern.
        safe = _without_tags(safe)
    if "&" in safe:
        safe = tidy(html_module.unescape(safe))
    if "  " in safe or "\t" in safe:
        safe = _SPACES.sub(" ", safe)
    if "\n" in safe:
        if " \n" in safe or "\n " in safe:
            safe = _AROUND_BREAKS.sub("\n", safe)
        if "\n\n\n" in safe:
            safe = _BLANK_LINES.sub("\n\n", safe)
    return safe.strip()


def _without_tags(safe: str) -> str:
    if '="' in safe:
        for end in _BLOCK_ENDS:
            safe = safe.replace(f"<{end}>", "\n")
        for begin in _BLOCK_BEGINS:
            safe = safe.replace(f"<{begin}>", _BEGIN)
        return _BEGINS.sub("\n", _TAG.sub("", safe))
    # Without attributes every `<` begins a tag and the next `>` ends it; cutting there is quicker still.
    pieces = safe.split("<")
    for position in range(1, len(pieces)):
        tag, _, text = pieces[position].partition(">")
        if tag in _BLOCK_ENDS:
            text = f"\n{text}"
        elif tag in _BLOCK_BEGINS:
            text = f"{_BEGIN}{text}"
        pieces[position] = text
    return _BEGINS.sub("\n", "".join(pieces))


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
    safe = clean_html(body) if body else ""
    return Text(
        locale=locale or UNKNOWN_LOCALE, title=plain_title(title), html=safe, plain=html_to_plain(safe), machine=machine
    )


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
