"""What is wrong with a site's certificate is said at once, in words that name who can mend it; against a real TLS server on loopback."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from civicsync.connectors.contract.errors import NotDone, Unreachable
from civicsync.connectors.contract.exchange import Request
from civicsync.connectors.contract.settings import Politeness
from civicsync.connectors.http.certificates import certificate_words
from civicsync.connectors.http.transport import HttpTransport
from civicsync.core.clock import FakeClock

SELF_SIGNED = Path(__file__).parent.parent / "support" / "self-signed.pem"
"""A certificate that nobody but itself signed, with its key: of no use but here."""


@contextmanager
def served() -> Iterator[str]:
    """A site with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


async def test_an_unknown_authority_is_named_at_once_and_nothing_was_sent() -> None:
    clock = FakeClock()
    began = clock.now()
    with served() as url:
        async with HttpTransport(url, user_agent="t", politeness=Politeness(), clock=clock) as transport:
            with pytest.raises(Unreachable, match="SSL_CERT_FILE"):
                await transport.get("x")
            with pytest.raises(NotDone, match="certificate"):
                await transport.submit(Request("POST", "x", json={}))
    assert clock.now() == began, "it was not tried again and again"


@pytest.mark.parametrize(
    ("code", "message", "word"),
    [
        (10, "certificate has expired", "expired"),
        (62, "Hostname mismatch", "another name"),
        (92, "CA cert does not include key usage extension", "keyUsage"),
        (89, "Missing Key Usage", "keyUsage"),
        (999, "something new", "something new"),
    ],
)
def test_each_failure_has_its_word(code: int, message: str, word: str) -> None:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, message
    outer = OSError("cannot connect")
    outer.__cause__ = error
    assert word in " ".join(certificate_words(outer) or ())
    assert certificate_words(OSError("refused")) is None
