"""A draft as CONSUL takes and shows it: lengths, and the few tags that its pages keep (docs/platforms/consul.md 4.5, 8.2).

What would silently disappear on the page is turned into something that stays; every change is told.
"""

from dataclasses import replace

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from ...core.markup import tree
from ...core.text import cut_at_word
from ..contract.errors import CannotDo
from ..contract.writing import Draft, Fitted, LocalText

TITLE = (4, 80)
BODY = 6000
SUMMARY = 200
_KEPT = frozenset({"p", "ul", "ol", "li", "strong", "em", "u", "s", "a", "h2", "h3"})
_RENAMED = {"b": "strong", "i": "em", "del": "s", "h1": "h2", "h4": "h3", "h5": "h3", "h6": "h3"}
_BLOCKS = frozenset({"div", "blockquote", "pre", "table", "tr", "section"})
_INLINE = frozenset({"strong", "em", "u", "s"})


def fit(draft: Draft) -> Fitted:
    """The draft within CONSUL's limits.

    Raises:
        CannotDo: the text is longer than the site takes even without formatting.
    """
    changes: list[str] = []
    texts = {locale: _fit(text, changes) for locale, text in draft.texts.items()}
    return Fitted(replace(draft, texts=texts), tuple(dict.fromkeys(changes)))


def _fit(text: LocalText, changes: list[str]) -> LocalText:
    title = " ".join(text.title.replace("\x00", "").split())
    if len(title) > TITLE[1]:
        title = cut_at_word(title, TITLE[1])
        changes.append(f"the title is longer than {TITLE[1]} characters; it is shortened")
    if len(title) < TITLE[0]:
        title = title.ljust(TITLE[0], ".") if title else "...."
        changes.append(f"the title is shorter than {TITLE[0]} characters; dots are added")
    html = text.html.replace("\x00", "")
    shown = _shown(html)
    if _tags(shown) != _tags(html):
        changes.append("formatting that the site does not show is written as paragraphs, lists and emphasis")
    if len(shown) > BODY:
        shown = _shown(html, plain=True)
        changes.append("emphasis is left out, so that the whole text fits")
    if len(shown) > BODY:
        raise CannotDo(f"the text has {len(shown)} characters, the site takes {BODY}")
    summary = " ".join((text.summary or text.plain).replace("\x00", "").split())
    summary = cut_at_word(summary, SUMMARY) or title
    return replace(text, title=title, html=shown, plain=text.plain.replace("\x00", ""), summary=summary)


def _shown(html: str, *, plain: bool = False) -> str:
    """Only the tags that the site's pages keep."""
    soup = tree(html)
    for tag in soup.find_all(True):
        if tag.name in _RENAMED:
            tag.name = _RENAMED[tag.name]
        elif tag.name in _BLOCKS:
            tag.name = "p"
    for tag in soup.find_all("br"):
        _break(soup, tag)
    for tag in soup.find_all(True):
        if tag.name not in _KEPT or (plain and tag.name in _INLINE):
            if tag.name in {"td", "th", "hr"}:
                tag.insert_after(NavigableString(" "))
            tag.unwrap()
            continue
        tag.attrs = {"href": tag["href"]} if tag.name == "a" and tag.get("href") else {}
    for tag in soup.find_all("p"):
        # A paragraph within a paragraph, or around a list, is no HTML: what is inside stands for itself.
        if tag.find(["p", "ul", "ol", "h2", "h3"]) is not None:
            tag.unwrap()
        elif not tag.get_text(strip=True):
            tag.decompose()
    return str(soup)


def _tags(html: str) -> list[str]:
    """The tags of a text in their order: attributes that nobody sees are nothing to tell of."""
    return [tag.name for tag in tree(html).find_all(True)]


def _break(soup: BeautifulSoup, tag: Tag) -> None:
    parent = tag.parent
    if parent is None or parent.name != "p":
        tag.replace_with(NavigableString(" "))
        return
    rest = soup.new_tag("p")
    for each in list(tag.next_siblings):
        rest.append(each.extract())
    parent.insert_after(rest)
    tag.decompose()
