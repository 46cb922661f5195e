"""What stands on CONSUL's pages: who is signed in, what is wrong with a form, which languages and proposals are there.

Only where something stands is understood, never the words of a message (docs/platforms/consul.md 8.2).
"""

import re
from urllib.parse import urlsplit

from ..http.html_page import HtmlPage

SIGN_IN = "/users/sign_in"
_PERSON = re.compile(r"^/users/(\d+)(?:-[^/]*)?$")
_LOCALE = re.compile(r"[?&]locale=([A-Za-z]{2,3}(?:-[A-Za-z]{2,8})?)(?:&|$)")
_WRONG = ".form-error.is-visible"


def wants_sign_in(page: HtmlPage) -> bool:
    """Whether the session is over."""
    return page.location == SIGN_IN


def person_of(page: HtmlPage) -> tuple[str, str] | None:
    """The number and the address of who is signed in; only right on pages that link to nobody else."""
    found = (_PERSON.match(urlsplit(link).path) for link in page.links)
    return next(((match[1], match[0]) for match in found if match), None)


def errors_of(page: HtmlPage) -> str | None:
    """What the site says is wrong with a form; None when it complains about nothing."""
    if page.soup.select_one(f"#error_explanation, {_WRONG}") is None:
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
