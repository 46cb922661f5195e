"""What may be told: no secret in any text, and nothing in it that a terminal would obey.

One edge for everything: the program's output, its logs, the messages of errors and what the journal keeps all pass `redact`. Secrets are
known by where they stand (the user of an address, `?password=`) and by their value (`conceal`, called for whatever the configuration
calls a secret). Nothing here is stored.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
SHORTEST = 4
"""A shorter value is not looked for: it would be found in every text. Where it stands it is hidden all the same."""

_concealed: dict[str, None] = {}
_longest_first: tuple[str, ...] = ()
"""One secret may begin like another."""

_WORDS = r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|authorization|signature"
_USER = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^\s/?#'\"]*)@")
# Not the separating sign alone: in prose "the password: it is wrong" is no secret.
_FIELD = re.compile(rf"(?P<name>(?<![A-Za-z0-9])[A-Za-z0-9_-]*(?:{_WORDS}))=(?P<value>[^\s&;'\"<>]+)", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<name>Bearer|Basic)\s+(?:[A-Za-z0-9+/]{6,}={1,2}|(?=[^\s'\"]*\d)[A-Za-z0-9+/=._~-]{8,})")

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, what turns the direction of writing, and halves of surrogates, which cannot be written."""


def conceal(*values: str) -> None:
    """From now on these values are hidden in whatever is told, also as an address or a form would write them."""
    global _longest_first
    for value in values:
        for form in (
            value,
            quote(value, safe=""),
            quote(value),
            quote_plus(value),
            unquote(value),
            *value.splitlines(),
        ):
            if len(form.strip()) >= SHORTEST:
                _concealed[form.strip()] = None
    _longest_first = tuple(sorted(_concealed, key=len, reverse=True))


def redact(text: str) -> str:
    """A text without secrets; the same object where it holds none."""
    for secret in _longest_first:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "://" in text and "@" in text:
        text = _USER.sub(rf"\g<scheme>{HIDDEN}@", text)
    if "=" in text:
        text = _FIELD.sub(rf"\g<name>={HIDDEN}", text)
    return _BEARER.sub(rf"\g<name> {HIDDEN}", text)


def visible(text: str) -> str:
    """A text whose control characters are shown as they are written in a program (`\\x1b`), so that no terminal obeys them."""
    return _OBEYED.sub(_escaped, text)


def visible_json(document: str) -> str:
    """A JSON document in which they are escaped, which keeps its meaning."""
    return _OBEYED_JSON.sub(lambda match: f"\\u{ord(match.group()):04x}", document)


_OBEYED_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def _escaped(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def forget_concealed(values: Iterable[str] | None = None) -> None:
    """Look for these values no longer (all of them if none is named): tests, and a configuration that is read anew."""
    global _longest_first
    for value in list(_concealed) if values is None else values:
        _concealed.pop(value, None)
    _longest_first = tuple(sorted(_concealed, key=len, reverse=True))
