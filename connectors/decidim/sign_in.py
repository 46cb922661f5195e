"""Signing in to Decidim as its own form does it (docs/platforms/decidim.md 4.4): for a writer's session, and to read where a site
forces everybody to sign in. How cookies are kept is the caller's.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..contract.errors import NotDone, NotLetIn, WrongCredentials
from ..contract.exchange import Request
from ..http.html_page import HtmlPage
from ..http.web_session import HTML

SIGN_IN = "/users/sign_in"


async def sign_in(
    page: HtmlPage, email: SecretStr, password: SecretStr, send: Callable[[Request], Awaitable[HtmlPage]]
) -> HtmlPage:
    """Fill in the form of the sign-in page and send it; returns the answer of a site that let us in.

    Raises:
        NotDone: the page holds no form, or something else than the site answered.
        WrongCredentials: the form again: the site does not take them, or locked the account, which it says in the same words.
        NotLetIn: the account is not let in for another reason.
    """
    form = page.form_with("user[password]")
    # From 0.32 on the address begins with a language: the page's own form knows it.
    path = urlsplit(str(form.get("action"))).path if form is not None else ""
    token = page.token(path)
    if form is None or token is None:
        raise NotDone("the sign-in page holds no form", hint="a proxy or a bot filter may stand in front of the site")
    fields = (
        ("user[email]", email.get_secret_value()),
        ("user[password]", password.get_secret_value()),
        ("user[remember_me]", "0"),
        ("authenticity_token", token),
    )
    answer = await send(Request("POST", path, form=fields, headers={"Accept": HTML}))
    if answer.redirect is None and answer.form_with("user[password]") is not None:
        raise wrong_credentials()
    if answer.redirect is None:
        raise NotDone(f"signing in was answered with status {answer.status} and no form", status=answer.status)
    if answer.redirect.rstrip("/").endswith(SIGN_IN):
        raise NotLetIn("signing in failed", hint="is the account confirmed?")
    return answer


def wrong_credentials() -> WrongCredentials:
    """What a site means that shows its form again; twenty failures lock the account for an hour (docs/platforms/decidim.md 4.4)."""
    return WrongCredentials(
        "signing in failed (`email` and `password`)",
        hint="check them; it is not tried again with these, as twenty failures lock the account for an hour",
    )
