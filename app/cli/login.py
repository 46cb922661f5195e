"""`civicsync login`: consent once, in a browser, to what civicsync may do as the service account (OAuth, Decidim)."""

import asyncio
import secrets
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import typer
from rich.text import Text

from ...connectors.contract.errors import ConnectorError
from ...connectors.open import open_transport, user_agent
from ...core.clock import Clock
from .common import EXIT_USAGE, chosen, configuration, fail, out
from .state import state

WAIT_SECONDS = 600
_PAGE = "<!doctype html><meta charset=utf-8><title>civicsync</title><p>{}</p>"


def run(
    instance: Annotated[str, typer.Argument(help="Which instance.")],
    port: Annotated[
        int, typer.Option("--port", min=1, max=65535, help="Where the browser comes back to on this machine.")
    ] = 8917,
) -> None:
    """Give civicsync the right to write as the service account; the site asks for consent in a browser, once."""
    from ...connectors.decidim import oauth
    from ...connectors.decidim.settings import DecidimSettings

    config = configuration()
    name = chosen(config, [instance])[0]
    settings = config.instances[name]
    if not isinstance(settings, DecidimSettings):
        fail(
            f"{name}: {settings.platform} knows no OAuth; its account's name and password are in the configuration",
            EXIT_USAGE,
        )
    if settings.oauth_client_id is None or settings.oauth_tokens is None:
        fail(
            f"{name}: set oauth_client_id, oauth_client_secret and oauth_tokens first (docs/howto/publish.md)",
            EXIT_USAGE,
        )
    back, expected, verifier = f"http://127.0.0.1:{port}/callback", secrets.token_urlsafe(16), oauth.new_verifier()
    out.print(
        Text(
            f"The application's redirect address must be {back}. Open this in a browser, signed in as the service account:"
        )
    )
    out.print(Text(oauth.oauth_login_url(settings, back, expected, verifier), style="cyan"), soft_wrap=True)
    code = _wait_for_code(port, expected)

    async def exchange() -> oauth.Tokens:
        agent, clock = user_agent(config.operator.name, config.operator.contact), Clock()
        async with open_transport(settings, agent=agent, clock=clock) as transport:
            return await oauth.oauth_exchange(transport, clock, settings, code, back, verifier)

    try:
        tokens = asyncio.run(exchange())
    except ConnectorError as error:
        fail(f"{name}: {error}")
    file = state.config_file.resolve().parent / Path(settings.oauth_tokens).expanduser()
    oauth.save_tokens(file, tokens)
    out.print(Text(f"done; the tokens are in {file}, which only you can read"), soft_wrap=True)


def _wait_for_code(port: int, expected: str) -> str:
    found: dict[str, str] = {}

    class Callback(BaseHTTPRequestHandler):
        """Takes the browser's one visit."""

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            right = secrets.compare_digest(query.get("state", [""])[0], expected)
            if right:
                found["code" if "code" in query else "error"] = query.get("code", query.get("error", ["refused"]))[0]
            body = _PAGE.format(
                "You may close this window." if right else "This is not the visit that was expected."
            ).encode()
            self.send_response(200 if right else 400)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """The address holds a code: it is logged nowhere."""

    try:
        server = HTTPServer(("127.0.0.1", port), Callback)
    except OSError as error:
        fail(f"cannot listen on port {port}: {error.strerror or error}; --port takes another one")
    clock = Clock()
    began = clock.monotonic()
    with server:
        server.timeout = 1.0
        while not found and clock.monotonic() - began < WAIT_SECONDS:
            server.handle_request()
    if "code" not in found:
        fail("the site did not give its consent" if found else f"no browser came within {WAIT_SECONDS // 60} minutes")
    return found["code"]
