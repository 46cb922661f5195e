"""What stands on CONSUL's pages: who is signed in, what is wrong with a form, which languages and proposals are there.

Only where something stands is understood, never the words of a message (docs/platforms/consul.md 8.2).
"""

import re
from functools import cached_property
from urllib.parse import urlsplit

from bs4 import BeautifulSoup

from ...core.markup import Unparsable, page_tree
from ..contract.errors import Malformed, NotDone
from ..contract.exchange import Response
from ..http.html_page import HtmlPage

SIGN_IN = "/users/sign_in"
_PERSON = re.compile(r"^/users/(\d+)(?:-[^/]*)?$")
_PASSWORD = re.compile(r"^/users/password(?:_expired)?(?:/|$)")
_LOCALE = re.compile(r"[?&]locale=([A-Za-z]{2,3}(?:-[A-Za-z]{2,8})?)(?:&|$)")
_WRONG = ".form-error.is-visible"


class SitePage(HtmlPage):
    """A page of a site that may live below a path (`RAILS_RELATIVE_URL_ROOT`): every path is told as if it did not.

    Links and redirects of such a site carry the prefix (docs/platforms/consul.md 10b); what does not is another application's.
    """

    def __init__(self, answer: Response, root: str) -> None:
        super().__init__(answer)
        self._root = root

    @cached_property
    def soup(self) -> BeautifulSoup:
        """The markup.

        Raises:
            NotDone: no parser can make sense of it.
        """
        try:
            return super().soup
        except Malformed as error:
            raise NotDone(error.message, hint=error.hint, status=error.status) from error

    @property
    def redirect(self) -> str | None:
        """The path it leads to, below the site's own; None: it leads nowhere."""
        found = super().redirect
        return found if found is None else self._below(found)

    @cached_property
    def paths(self) -> list[str]:
        """The paths that the page links to, below the site's own."""
        return [self._below(urlsplit(each).path) for each in self.links]

    def token(self, path: str | None = None) -> str | None:
        """As `HtmlPage.token`; `path` is below the site's own."""
        return super().token(path if path is None else f"{self._root}{path}")

    def _below(self, path: str) -> str:
        if self._root and (path == self._root or path.startswith(f"{self._root}/")):
            return path[len(self._root) :] or "/"
        return path if not self._root else f"//{path}"


def wants_sign_in(page: HtmlPage) -> bool:
    """Whether the session is over."""
    return page.location == SIGN_IN


def wants_password(page: HtmlPage) -> bool:
    """Whether the site lets the account do nothing before its password is changed (docs/platforms/consul.md 10b)."""
    return _PASSWORD.match(page.location) is not None


def person_of(page: SitePage) -> tuple[str, str] | None:
    """The number and the address of who is signed in; only right on pages that link to nobody else."""
    found = (_PERSON.match(path) for path in page.paths)
    return next(((match[1], match[0]) for match in found if match), None)


def errors_of(page: HtmlPage) -> str | None:
    """What the site says is wrong with a form; None when it complains about nothing, or the page cannot be understood."""
    try:
        complains = page.soup.select_one(f"#error_explanation, {_WRONG}") is not None
    except NotDone:
        return None
    if not complains:
        return None
    return "; ".join(page.texts(_WRONG))[:300] or "without saying which field"


def locales_of(page: HtmlPage) -> list[str]:
    """The languages that the page leads to; its own first."""
    places = [*page.links, *(str(each["value"]) for each in page.soup.find_all("option", value=True))]
    own = [page.language] if page.language else []
    return list(dict.fromkeys([*own, *(match[1] for each in places if (match := _LOCALE.search(each)))]))


def listed(page: HtmlPage) -> list[str]:
    """The numbers of the proposals on a list, in its order."""
    found = [str(each["id"]) for each in page.soup.find_all(id=re.compile(r"^proposal_\d+$"))]
    return list(dict.fromkeys(each.partition("_")[2] for each in found))


def draft_on(markup: str, own: str) -> bool | None:
    """Whether a proposal's page shows a draft, in place of its supports (docs/platforms/consul.md 10b); None: it is no such page."""
    try:
        soup = page_tree(markup)
    except Unparsable:
        return None
    if soup.find(id=f"proposal_{own}") is None:
        return None
    return soup.select_one(f"#proposal_{own}_votes .callout.primary") is not None
