"""OAuth with Decidim: consent once with a browser, then tokens that are renewed (docs/platforms/decidim.md 4.3).

The tokens live in a file that only its owner can read; they never reach a log, an exception or a repr. Every call with one needs the
header `X-JWT-AUD` too: without it the caller is nobody.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from ...core.clock import Clock
from ..contract.errors import Malformed, MaybeDone, NotDone, NotLetIn
from ..contract.exchange import Request, Transport
from .settings import DecidimSettings

SCOPES = "user api:read api:write"
_EARLY = 300.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """A pair of tokens; `expires` as seconds of the epoch."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    expires: float


def new_verifier() -> str:
    """A secret that only the one who asked for consent knows (PKCE)."""
    return secrets.token_urlsafe(48)


def oauth_login_url(settings: DecidimSettings, redirect_uri: str, state: str, verifier: str) -> str:
    """Where a person consents, signed in as the service account.

    Raises:
        NotLetIn: the application is not configured.
    """
    client, _ = _client(settings)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": client,
        "redirect_uri": redirect_uri,
        "response_type": "code",
        "scope": SCOPES,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{settings.url}/oauth/authorize?{urlencode(query)}"


async def oauth_exchange(
    transport: Transport, clock: Clock, settings: DecidimSettings, code: str, redirect_uri: str, verifier: str
) -> Tokens:
    """The tokens for the code that the consent page gave; save them with `save_tokens`.

    Raises:
        NotLetIn: the site does not take the code, or the application is not configured.
        NotDone: it does not answer now.
    """
    more = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
    return await _tokens(transport, clock, settings, "authorization_code", more)


async def oauth_refresh(transport: Transport, clock: Clock, settings: DecidimSettings, tokens: Tokens) -> Tokens:
    """A new pair; the old refresh token is used up.

    Raises:
        NotLetIn: consent is needed again.
        NotDone: the site does not answer now.
    """
    if tokens.refresh is None:
        raise NotLetIn("the OAuth token has expired", hint="`civicsync login` asks for consent again")
    return await _tokens(transport, clock, settings, "refresh_token", {"refresh_token": tokens.refresh})


async def _tokens(
    transport: Transport, clock: Clock, settings: DecidimSettings, grant: str, more: Mapping[str, str]
) -> Tokens:
    client, secret = _client(settings)
    form = (("grant_type", grant), *more.items(), ("client_id", client), ("client_secret", secret))
    try:
        answer = await transport.submit(Request("POST", "oauth/token", form=form))
        body: Any = answer.json()
    except (MaybeDone, Malformed) as error:
        raise NotDone(f"no OAuth token came: {error.message}", status=error.status) from None
    if answer.status != 200 or not isinstance(body, dict) or not body.get("access_token"):
        raise NotLetIn(
            f"the site gives no OAuth token (status {answer.status})",
            hint="`civicsync login` asks for consent again; are client id and secret right?",
        )
    lasts = float(body.get("expires_in") or 7200)
    refresh = body.get("refresh_token")
    return Tokens(str(body["access_token"]), str(refresh) if refresh else None, clock.now().timestamp() + lasts)


def _client(settings: DecidimSettings) -> tuple[str, str]:
    if settings.oauth_client_id is None or settings.oauth_client_secret is None:
        raise NotLetIn(
            "no OAuth application is configured",
            hint="the system administrator makes one; set oauth_client_id and oauth_client_secret",
        )
    return settings.oauth_client_id, settings.oauth_client_secret.get_secret_value()


def save_tokens(path: Path, tokens: Tokens) -> None:
    """Write the file at once and for its owner only, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode({"access": tokens.access, "refresh": tokens.refresh, "expires": tokens.expires}))
    beside.replace(path)


def load_tokens(path: Path) -> Tokens:
    """The tokens of a file.

    Raises:
        NotLetIn: there are none, or they cannot be read.
    """
    try:
        body = msgspec.json.decode(path.read_bytes())
        refresh = body.get("refresh")
        return Tokens(str(body["access"]), str(refresh) if refresh else None, float(body["expires"]))
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise NotLetIn("there are no OAuth tokens yet", hint="`civicsync login` asks for consent once") from None


class Grant:
    """The tokens in use: renewed before they expire, kept in their file."""

    def __init__(self, transport: Transport, clock: Clock, settings: DecidimSettings) -> None:
        self._transport = transport
        self._clock = clock
        self._settings = settings
        self._tokens: Tokens | None = None

    @property
    def configured(self) -> bool:
        """Whether the configuration asks for OAuth."""
        return self._settings.oauth_client_id is not None and self._settings.oauth_tokens is not None

    async def headers(self) -> dict[str, str]:
        """What every call needs.

        Raises:
            NotLetIn: consent is needed (again).
            NotDone: the site does not answer now.
        """
        path = Path(self._settings.oauth_tokens or "")
        tokens = self._tokens or load_tokens(path)
        if tokens.expires - self._clock.now().timestamp() < _EARLY:
            tokens = await oauth_refresh(self._transport, self._clock, self._settings, tokens)
            save_tokens(path, tokens)
        self._tokens = tokens
        return {"Authorization": f"Bearer {tokens.access}", "X-JWT-AUD": str(self._settings.oauth_client_id)}
