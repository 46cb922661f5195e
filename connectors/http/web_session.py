"""A browser's session with a site of forms, as CONSUL and Decidim both have it: pages are loaded, a form is sent once.

Knows no platform: who signs in where, and what an answer means, is told by each platform's own `web_session`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Generic, TypeVar

from ...core.clock import Clock
from ..contract.errors import MaybeDone, nothing_stored
from ..contract.exchange import Request, Response, Transport
from .html_page import HtmlPage
from .repeat import PATIENCE, ask_again

TOKEN = "‹authenticity_token›"
"""What only a page can know, until a form is sent: the token against forged requests."""
HTML = "text/html,application/xhtml+xml"
_UNDERSTOOD = frozenset({401, 403, 404, 406, 410, 422})
_Page = TypeVar("_Page", bound=HtmlPage)


class BrowserSession(Generic[_Page]):
    """Cookies over one transport; `headers` go with everything, as HTTP basic authentication must."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        page: Callable[[Response], _Page],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`page` reads an answer as the platform's kind of page."""
        self._page = page
        self.transport = transport
        self.clock = clock
        self.base = transport.url
        self._headers = dict(headers or {})

    def forget(self) -> None:
        """Start a new session."""
        self.transport.forget_cookies()

    async def load(self, path: str, params: Mapping[str, str] | None = None) -> _Page:
        """A page as it is; a redirect is not followed.

        Raises:
            NotDone, CannotDo: it cannot be had.
        """
        headers = {"Accept": HTML, **self._headers}
        async with nothing_stored():
            answer = await self.transport.get(path, params=params, headers=headers, redirects=False, allow=_UNDERSTOOD)
        return self._page(answer)

    async def send(self, request: Request, values: Mapping[str, str], *, without: str = "") -> _Page:
        """Send a planned write once, with what only the session knows. Raises: NotDone, MaybeDone."""
        whole = filled(request, values, without=without)
        sent = replace(whole, headers={**whole.headers, **self._headers})
        return self._page(await self.transport.submit(sent))

    async def send_again(self, request: Request, values: Mapping[str, str], *, patience: float = PATIENCE) -> _Page:
        """Send what changes nothing but the session, and send it again when its answer is lost.

        Raises:
            NotDone: no answer came back, or the site asks for more than `patience`.
        """
        return await ask_again(
            lambda: self.send(request, values), lambda seconds, _: self.clock.sleep(seconds), patience=patience
        )


def filled(request: Request, values: Mapping[str, str], *, without: str = "") -> Request:
    """The request as it goes out: placeholders replaced, fields whose names begin with `without` left out."""

    def fill(value: str) -> str:
        return values.get(value, value)

    form = tuple(
        (name, fill(value)) for name, value in request.form or () if not (without and name.startswith(without))
    )
    return replace(request, form=form, headers={name: fill(value) for name, value in request.headers.items()})


def unreadable(answer: Response, what: str, *, form: bool = True) -> MaybeDone:
    """An answer that says nothing we can trust.

    A 200 says that it was taken, whatever it is, and so does a redirect after a `form`, wherever it leads: it is never sent again by
    itself.
    """
    why = f"{what}: the answer (status {answer.status}) does not tell whether it is stored"
    return MaybeDone(why, accepted=answer.status == 200 or (form and 300 <= answer.status < 400))
