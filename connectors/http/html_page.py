"""A page as a browser's user sees it: its forms, fields, tokens, links and texts. Knows no platform and asks nothing."""

import re
from functools import cached_property
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag

from ...core.markup import Unparsable, page_tree
from ..contract.errors import Malformed
from ..contract.exchange import Response, place_of
from ..contract.values import whole

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_VALUE = frozenset({"submit", "button", "file"})


class HtmlPage:
    """One answer to a browser; its markup is parsed when it is first looked at, and once."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        self.status = answer.status

    @cached_property
    def soup(self) -> BeautifulSoup:
        """The markup.

        Raises:
            Malformed: no parser can make sense of it.
        """
        try:
            return page_tree(self.answer.text)
        except Unparsable as error:
            where = place_of("", self.answer.url)
            raise Malformed(f"{where}: the page cannot be read ({error})", status=self.status) from error

    # Where it leads

    @property
    def redirect(self) -> str | None:
        """The path it leads to, without host and query; None: it leads nowhere."""
        location = self.answer.headers.get("location")
        return urlsplit(location).path or "/" if location is not None and self.status in _REDIRECTS else None

    @property
    def location(self) -> str:
        """As `redirect`, empty where it leads nowhere."""
        return self.redirect or ""

    @property
    def links(self) -> list[str]:
        """Every address that the page links to, as it stands there."""
        return [str(each["href"]) for each in self.soup.find_all("a", href=True)]

    def offers(self, ending: str) -> bool:
        """Whether a link or a form leads to an address with this ending."""
        forms = [str(each["action"]) for each in self.soup.find_all("form", action=True)]
        return any(urlsplit(each).path.endswith(ending) for each in (*self.links, *forms))

    # Forms and their fields

    def form(self, own: str) -> dict[str, str] | None:
        """The fields of a form by its id: the values that a browser would send, unticked boxes left out."""
        found = self.soup.find("form", id=own)
        return _fields(found) if isinstance(found, Tag) else None

    def form_with(self, field: str) -> Tag | None:
        """The form that holds a field of this name."""
        found = self.field(field)
        return found.find_parent("form") if found is not None else None

    def field(self, name: str) -> Tag | None:
        """A field by its name."""
        return self.soup.select_one(f'[name="{name}"]')

    def names(self) -> list[str]:
        """The names of all fields."""
        return [str(each.get("name")) for each in self.soup.select("[name]")]

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Whether a field has such a name."""
        return any(pattern.fullmatch(name) for name in self.names())

    def values(self, name: str) -> list[str]:
        """What the fields of this name hold."""
        return [_value(each) for each in self.soup.select(f'[name="{name}"]') if each.name != "meta"]

    def longest(self, name: str) -> int | None:
        """How many characters a field takes by its own word; None where it says nothing."""
        found = self.field(name)
        value = str(found.get("maxlength") or "") if found is not None else ""
        return whole(value)

    def token(self, path: str | None = None) -> str | None:
        """The page's own token, which every form of it takes; where it has none, that of the form to `path`."""
        meta = self.soup.select_one('meta[name="csrf-token"]')
        if meta is not None and meta.get("content"):
            return str(meta["content"])
        for form in self.soup.find_all("form") if path is not None else ():
            field = form.select_one('[name="authenticity_token"]')
            if field is not None and urlsplit(str(form.get("action"))).path.rstrip("/") == str(path).rstrip("/"):
                return str(field.get("value"))
        return None

    # What it says

    @property
    def language(self) -> str:
        """Its own language, as its markup says; empty where that says nothing."""
        root = self.soup.find("html")
        return str(root.get("lang") or "") if isinstance(root, Tag) else ""

    def texts(self, selector: str) -> list[str]:
        """The texts of the elements that a CSS selector finds, each once."""
        return list(dict.fromkeys(each.get_text(" ", strip=True) for each in self.soup.select(selector)))


def _fields(form: Tag) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in form.find_all(["input", "textarea", "select"]):
        name, kind = str(field.get("name") or ""), str(field.get("type") or "")
        unticked = kind in {"checkbox", "radio"} and not field.has_attr("checked")
        if name and kind not in _NO_VALUE and not unticked:
            found[name] = _value(field)
    return found


def _value(field: Tag) -> str:
    if field.name == "textarea":
        # Browsers drop the line break that Rails writes behind the tag.
        return field.get_text().removeprefix("\n")
    if field.name == "select":
        chosen = field.find("option", selected=True)
        return str(chosen.get("value") or "") if isinstance(chosen, Tag) else ""
    return str(field.get("value") or "")
