"""What Decidim refuses or garbles in a text, put right, with a word for every change (docs/platforms/decidim.md 1.6, 4.1, 4.2).

Manners and lengths are asked of participants only; what a text refers to is rewritten in every form, in official texts, answers and
comments too. Our marker is never touched, an address only where the site would read it as one of its own rows. Asks nothing.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape, unescape
from urllib.parse import urlsplit

from ...core.text import cut_at_word, html_to_plain, plain_to_html
from ..contract.writing import LocalText
from .dialects import Dialect

TITLE = (15, 150)
BODY_LEAST = 15
DEFAULT_LONGEST = 500
_KEPT = re.compile(r"(https?://\S+|\[civicsync:[^\]]*\])")
_ADDRESS = re.compile(r"(?<![\"'=>])(https?://[^\s<]+)")
_MARKS = re.compile(r"([!?¡¿])[!?¡¿]+")
_MENTION = re.compile(r"(?<![\w@/])@(?=\w)")
_NUMBER = re.compile(r"~(?=\d)")
_TAG = re.compile(r"(<[^>]*>)")
_LINK = re.compile(r"<a\b[^>]*\bhref=\"([^\"]+)\"[^>]*>(.*?)</a>", re.DOTALL | re.IGNORECASE)
_PROPOSAL = re.compile(r"/proposals/\d+(?:$|[/?#])")
_SHOUT = re.compile(r"[^\W\d_]{2,}")
_AND = {"nl": "en", "en": "and", "de": "und", "fr": "et", "es": "y", "ca": "i", "it": "e", "pt": "e", "is": "og"}
_JOINER = "\u2060"
"""Invisible, and no part of a name: what stands behind it mentions nobody."""


def fitted(
    text: LocalText, locale: str, dialect: Dialect, *, rich: bool = False, host: str = ""
) -> tuple[LocalText, list[str]]:
    """The text as a participant may send it; `rich`: as HTML, whose manners are those of its words; `host`: the site's own."""
    changes: list[str] = []
    title = _title(text.title, locale, dialect, changes)
    if rich:
        html = _html(text.html, dialect, changes)
        return replace(text, title=title, html=_quiet_html(html, host, changes)), _named(changes, locale)
    plain = _body(text.plain, dialect, changes)
    return replace(text, title=title, plain=plain), _named(changes, locale)


def official(text: LocalText, locale: str, host: str) -> tuple[LocalText, list[str]]:
    """An official text: taken as it is, but for what it would refer to."""
    changes: list[str] = []
    title = _noted(text.title, _MENTION.sub(f"@{_JOINER}", text.title), _MENTIONS, changes)
    title = _noted(title, unnumbered(title), _NUMBERS, changes)
    return replace(text, title=title, html=_quiet_html(text.html, host, changes)), _named(changes, locale)


def quiet_plain(plain: str) -> str:
    """A comment's text in which no name and no number means somebody or something of the site."""
    return unnumbered(_outside(plain, lambda part: _MENTION.sub(f"@{_JOINER}", part)))


def quiet_html(html: str, host: str) -> str:
    """An answer's HTML in which nothing means a proposal of the site."""
    return _quiet_html(html, host, [])


def _quiet_html(html: str, host: str, changes: list[str]) -> str:
    html = _noted(html, _unlinked(html, host), _OWN_LINKS, changes)
    parts = _TAG.split(html)
    quiet = (_NUMBER.sub("%7E", part) if index % 2 else unnumbered(part) for index, part in enumerate(parts))
    return _noted(html, "".join(quiet), _NUMBERS, changes)


def unnumbered(text: str) -> str:
    """`~3` anywhere would become the site's proposal 3: a sign in between, in addresses its code (the same address)."""

    def kept(part: str) -> str:
        return part if part.startswith("[") else _NUMBER.sub("%7E", part)

    parts = _KEPT.split(text)
    return "".join(kept(part) if index % 2 else _NUMBER.sub(f"~{_JOINER}", part) for index, part in enumerate(parts))


def _unlinked(html: str, host: str) -> str:
    """Links to the site's own proposals as plain addresses: inside an `a` the public page drops them (docs/platforms/decidim.md 1.6)."""

    def plain(match: re.Match[str]) -> str:
        address, inner = unescape(match[1]), match[2]
        parts = urlsplit(address)
        if parts.netloc.lower() != host or not _PROPOSAL.search(parts.path):
            return match[0]
        words = html_to_plain(inner).strip()
        return escape(address, quote=False) if words in {"", address} else f"{inner}: {escape(address, quote=False)}"

    return _LINK.sub(plain, html) if host else html


def _named(changes: list[str], locale: str) -> list[str]:
    return [f"{each} ({locale})" for each in dict.fromkeys(changes)]


def _title(title: str, locale: str, dialect: Dialect, changes: list[str]) -> str:
    if dialect.release >= (0, 32):
        # The public page escapes titles again: these would show as code (docs/platforms/decidim.md 4.1).
        title = _noted(
            title,
            _without_ampersand(title, locale),
            "the title's & is written out: the site would show it as code",
            changes,
        )
        plain = re.sub(r"(?<!\w)@(?=\w)", "", title).replace("@", "(at)").replace("<", "‹").replace(">", "›")
        title = _noted(title, plain, "@, < and > in the title are replaced: the site would show them as code", changes)
    else:
        title = _noted(title, _MENTION.sub(f"@{_JOINER}", title), _MENTIONS, changes)
    title = _noted(title, unnumbered(title), _NUMBERS, changes)
    title = _mannered(title, dialect, "title", changes)
    if len(title) > TITLE[1]:
        title = _noted(title, cut_at_word(title, TITLE[1]), f"the title is cut to {TITLE[1]} characters", changes)
    return title


_MENTIONS = "@names are kept from meaning an account of the site"
_NUMBERS = "~ and a number are kept from meaning a proposal of the site"
_OWN_LINKS = "links to proposals of this site are written as addresses: the site would drop them"


def _body(plain: str, dialect: Dialect, changes: list[str]) -> str:
    angle = plain.replace("<", "‹").replace(">", "›") if "<" in plain else plain
    plain = _noted(plain, angle, "< and > in the text are replaced: the site would read them as HTML", changes)
    plain = _noted(plain, _outside(plain, lambda part: _MENTION.sub(f"@{_JOINER}", part)), _MENTIONS, changes)
    plain = _noted(plain, unnumbered(plain), _NUMBERS, changes)
    # Up to 0.28 the site looks at the manners of titles only (recordings 223 to 225).
    return _mannered(plain, dialect, "text", changes) if dialect.release >= (0, 29) else plain


def _html(html: str, dialect: Dialect, changes: list[str]) -> str:
    """The HTML as it is, unless its words must change: then they are sent without their formatting."""
    words = html_to_plain(html)
    quiet = _noted(words, _outside(words, lambda part: _MENTION.sub(f"@{_JOINER}", part)), _MENTIONS, changes)
    quiet = _mannered(quiet, dialect, "text", changes) if dialect.release >= (0, 29) else quiet
    if quiet == words:
        return html
    changes.append("the text's formatting is left out, as its words had to change")
    return _linked(plain_to_html(quiet))


def _linked(html: str) -> str:
    return _ADDRESS.sub(r'<a href="\1">\1</a>', html)


def _mannered(text: str, dialect: Dialect, what: str, changes: list[str]) -> str:
    text = _noted(
        text,
        _outside(text, lambda part: _MARKS.sub(r"\1", part)),
        f"the {what}'s repeated marks are made single",
        changes,
    )
    if _shouts(text, dialect):
        quiet = _outside(text, lambda part: _SHOUT.sub(_quiet, part))
        if _shouts(quiet, dialect):
            quiet = _outside(text, str.lower)
        text = _noted(text, quiet, f"the {what}'s capital letters are made small: the site takes only some", changes)
    if text[:1].islower():
        text = _noted(text, text[0].upper() + text[1:], f"the {what} begins with a capital letter", changes)
    return text


def _quiet(match: re.Match[str]) -> str:
    word = match[0]
    return word.lower() if word.isupper() else word


def _shouts(text: str, dialect: Dialect) -> bool:
    """Counted as the strictest release of a kind does: from 0.30 on half of the text, before a quarter."""
    caps = sum(1 for each in text if each.isupper())
    return bool(text) and (
        caps > 0 and caps >= len(text) // 2 if dialect.release >= (0, 30) else caps >= len(text) // 4
    )


def _outside(text: str, change: Callable[[str], str]) -> str:
    """Change everything but addresses and markers."""
    return "".join(part if index % 2 else change(part) for index, part in enumerate(_KEPT.split(text)))


def _without_ampersand(title: str, locale: str) -> str:
    word = _AND.get(locale.partition("-")[0])
    title = re.sub(r"(?<=\s)&(?=\s)", word, title) if word else title
    return title.replace("&", "+")


def _noted(before: str, after: str, change: str, changes: list[str]) -> str:
    if before != after:
        changes.append(change)
    return after
