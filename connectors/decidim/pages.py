"""What stands on Decidim's pages: what is wrong with a form, what was done before, which languages there are.

Where something stands differs by release, and hidden complaints stand on every page (docs/platforms/decidim.md 4.4).
"""

import re

from ..http.html_page import HtmlPage

_CHOICE = re.compile(r"/locale\?locale=([A-Za-z]{2,3}(?:-[A-Za-z]{2,4})?)[\"'&]")
_TOLD = ":not([data-announcement], [data-announcement] *)"


def locales_of(page: HtmlPage) -> list[str]:
    """The site's languages as the page's own chooser offers them, this page's first; empty where it has none."""
    others: list[str] = _CHOICE.findall(page.answer.text)
    return list(dict.fromkeys([page.language, *others])) if others and page.language else []


def errors_of(page: HtmlPage) -> list[str]:
    """What the page says is wrong. A bare `span.form-error` is hidden and on every page."""
    return page.texts("small.form-error.is-visible")


def messages_of(page: HtmlPage) -> list[str]:
    """The site's messages about what was done before.

    Announcements are none: the banner of a lost connection stands, hidden, on every page (docs/platforms/decidim.md 1.12).
    """
    alerts = f"div.flash.alert{_TOLD}, p.flash__message{_TOLD}"
    return page.texts(alerts) or page.texts(f"div.flash__message{_TOLD}")


def words(page: HtmlPage) -> str:
    """Everything a page says is wrong, as one line."""
    return "; ".join(errors_of(page) or messages_of(page))[:300]
