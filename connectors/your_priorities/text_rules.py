"""A text as Your Priorities takes and shows it: plain, on one line where it is a title, and nothing in it that would run as HTML.

Every change is told (docs/platforms/your-priorities.md 2, 10).
"""

import re
from dataclasses import replace

from ...core.text import cut_at_word, plain_title, tidy
from ..contract.errors import CannotDo
from ..contract.writing import Draft, Fitted, LocalText

TITLE = 255
"""Characters of a name: the only length that the server knows, and answers 500 beyond it (2)."""
_MARKUP = re.compile(r"<(?=[a-zA-Z/!?])|&(?=#?\w{1,32};)")
_AS_TEXT = {"<": "‹", "&": "＆"}


def fit(draft: Draft) -> Fitted:
    """The draft as the platform takes it. Raises: CannotDo where it has no title."""
    changes: list[str] = []
    texts = {locale: _fit(text, changes) for locale, text in draft.texts.items()}
    return Fitted(replace(draft, texts=texts), tuple(dict.fromkeys(changes)))


def _fit(text: LocalText, changes: list[str]) -> LocalText:
    title, plain = plain_title(text.title), tidy(text.plain).strip()
    if title != text.title.strip() or plain != text.plain.strip():
        changes.append("control characters are left out, and the title is one line")
    if harmless(title) != title or harmless(plain) != plain:
        title, plain = harmless(title), harmless(plain)
        changes.append("what looks like HTML is written with ‹ and ＆, because the pages there would run it")
    if not title:
        raise CannotDo("it has no title")
    if len(title) > TITLE:
        title = cut_at_word(title, TITLE)
        changes.append(f"the title is longer than {TITLE} characters; it is shortened")
    return replace(text, title=title, plain=plain)


def harmless(value: str) -> str:
    """A text in which nothing is markup: the pages there show texts as HTML, as they are, once a link or an emoji is in them (10)."""
    return _MARKUP.sub(lambda found: _AS_TEXT[found[0]], value)


def said(text: LocalText) -> LocalText:
    """A response in which nothing is markup."""
    return replace(text, plain=harmless(tidy(text.plain).strip()))
