"""The sandbox's sessions: everything lives in one encrypted cookie, as in Rails (docs/platforms/consul.md 8.2).

There is no state on the server's side: an old copy of the cookie stays valid, with all that was in it. Nothing here knows a page.
"""

import base64
import hashlib
import hmac
import json
import random
from typing import Any
from urllib.parse import quote, unquote

from ...testing.messages import Request, Response

COOKIE = "_consul_session"
Session = dict[str, Any]
"""`user`, `csrf`, `stamp` (the captcha's clock), `locale`, `flash`, `return_to`, `manager`, `managed`."""


class Sessions:
    """Seals and opens cookies, and makes the tokens of forms."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"consul sandbox {seed}".encode()).digest()
        # Its own dice: a visit must not change what the city does by chance.
        self._rng = random.Random(f"{seed}:sessions")

    def open(self, request: Request) -> Session:
        """The session of a request; a new one when the cookie is missing or not ours."""
        parts = [unquote(part) for part in request.cookies.get(COOKIE, "").split("--")]
        if len(parts) != 3:
            return {}
        try:
            body, nonce, tag = (base64.b64decode(part, validate=True) for part in parts)
        except ValueError:
            return {}
        if not hmac.compare_digest(self._tag(nonce, body), tag):
            return {}
        found: Session = json.loads(self._mask(nonce, body))
        return found

    def seal(self, session: Session) -> str:
        """The cookie's value; never twice the same."""
        nonce = self._rng.randbytes(12)
        body = self._mask(nonce, json.dumps(session).encode())
        return "--".join(
            quote(base64.b64encode(part).decode(), safe="") for part in (body, nonce, self._tag(nonce, body))
        )

    def keep(self, response: Response, session: Session) -> Response:
        """The answer with a new cookie, as nearly every answer of the real one has."""
        return response.adding("Set-Cookie", f"{COOKIE}={self.seal(session)}; path=/; secure; HttpOnly; SameSite=Lax")

    def token(self, session: Session, path: str | None = None, verb: str = "post") -> str:
        """A token of this session; masked, so each is another one.

        Without `path` it is a page's own, which holds everywhere; with it a form's, which holds for that address (slug included) and
        verb alone (docs/platforms/consul.md 8.2).
        """
        secret = bytes.fromhex(session.setdefault("csrf", self._rng.randbytes(16).hex()))
        secret = secret if path is None else _of_form(secret, path, verb)
        mask = self._rng.randbytes(16)
        return base64.b64encode(mask + bytes(a ^ b for a, b in zip(mask, secret, strict=True))).decode()

    def accepts(self, session: Session, token: str, path: str, verb: str) -> bool:
        """Whether a token was made for this session, and for a request like this one."""
        try:
            raw = base64.b64decode(token, validate=True)
        except ValueError:
            return False
        own = session.get("csrf")
        if len(raw) != 32 or own is None:
            return False
        given = bytes(a ^ b for a, b in zip(raw[:16], raw[16:], strict=True))
        return given in (bytes.fromhex(own), _of_form(bytes.fromhex(own), path, verb))

    def _mask(self, nonce: bytes, data: bytes) -> bytes:
        stream = hashlib.shake_256(self._key + nonce).digest(len(data))
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))

    def _tag(self, nonce: bytes, body: bytes) -> bytes:
        return hmac.digest(self._key, nonce + body, hashlib.sha256)[:16]


def _of_form(secret: bytes, path: str, verb: str) -> bytes:
    return hmac.digest(secret, f"{path.partition('?')[0].rstrip('/')}#{verb.lower()}".encode(), hashlib.sha256)[:16]
