"""E-mail: one message to one address, by the standard library's SMTP client, aside.

Nothing is sent in the clear where TLS was asked for, and nothing of a notice or an address can become a header of its own.
"""

import contextlib
import hashlib
import re
import smtplib
import socket
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8

from ....config.alerts import Mail
from ....connectors.http.certificates import certificate_words
from ....core.alerts.book import Notice
from ....core.alerts.outbox import Answer
from .aside import aside

_PATIENCE = 20.0
"""Seconds for each answer of the server."""
_WHOLE = 90.0
"""Seconds for all of it."""
_ENDING = (OSError, smtplib.SMTPException, ValueError)
"""Whatever goes wrong while a connection ends is nobody's trouble."""
_ENHANCED = re.compile(rb"^([245]\.\d{1,3}\.\d{1,3})\b")


def compose(notice: Notice, settings: Mail, to: str, operator: str) -> EmailMessage:
    """The message. Its Message-ID is the same however often it is sent, and it stands in one thread with what it goes on from."""
    plain = (settings.sender + to).isascii()
    message = EmailMessage(policy=SMTP if plain else SMTPUTF8)
    message["Subject"] = _one_line(f"[civicsync] {notice.title}")
    message["From"] = Address(_one_line(operator), addr_spec=settings.sender)
    message["To"] = to
    message["Date"] = notice.at
    message["Message-ID"] = _message_id(notice.uid, settings.sender)
    if notice.answers:
        message["In-Reply-To"] = _message_id(notice.answers[0], settings.sender)
        message["References"] = " ".join(_message_id(each, settings.sender) for each in notice.answers[:20])
    message["Auto-Submitted"] = "auto-generated"
    message["X-Civicsync-Notice"] = notice.uid
    message.set_content(f"{notice.body}\n\n-- \n{_one_line(operator)}, civicsync\n")
    return message


async def send(settings: Mail, notice: Notice, to: str, operator: str) -> Answer:
    """Send one notice to one address, once."""
    message, open_now = compose(notice, settings, to, operator), list[smtplib.SMTP]()

    def break_off() -> None:
        for each in open_now:
            sock = each.sock
            if sock is not None:
                with contextlib.suppress(*_ENDING):
                    sock.shutdown(socket.SHUT_RDWR)

    where = ":".join(map(str, settings.where))
    try:
        return await aside(lambda: _sent(settings, message, to, open_now), seconds=_WHOLE, break_off=break_off)
    except TimeoutError:
        return Answer(False, f"{where}: not done after {_WHOLE:.0f} s")


def _sent(settings: Mail, message: EmailMessage, to: str, open_now: list[smtplib.SMTP]) -> Answer:
    where = ":".join(map(str, settings.where))
    client: smtplib.SMTP | None = None
    try:
        client = _connected(settings, open_now)
        if settings.password is not None:
            client.login(settings.user, settings.password.get_secret_value())
        client.send_message(message, settings.sender, [to])
    except smtplib.SMTPAuthenticationError as error:
        return Answer(False, f"{where}: it does not take this user and password ({_code(error)})")
    except smtplib.SMTPSenderRefused as error:
        return Answer(False, f"{where}: it does not take mail from {settings.sender} ({_code(error)})")
    except smtplib.SMTPRecipientsRefused as error:
        code, said = error.recipients.get(to, (0, b""))
        why = "asks to try again later" if 400 <= code < 500 else "does not take mail to this address"
        return Answer(False, f"{where}: it {why} ({_numbers(code, said)})")
    except smtplib.SMTPDataError as error:
        later = 400 <= error.smtp_code < 500
        why = "asks to try again later" if later else "refuses this message"
        return Answer(False, f"{where}: it {why} ({_code(error)})", refused=not later)
    except smtplib.SMTPNotSupportedError:
        lacks = (
            "STARTTLS, so nothing was sent"
            if settings.password is None
            else "STARTTLS or a way to sign in, so nothing was sent"
        )
        return Answer(False, f"{where}: it does not offer {lacks}")
    except smtplib.SMTPResponseException as error:
        return Answer(False, f"{where}: it answers with {_code(error)}")
    except smtplib.SMTPException as error:
        return Answer(False, f"{where}: the connection broke ({type(error).__name__})")
    except ssl.SSLError as error:
        words = certificate_words(error)
        return Answer(
            False, f"{where}: {'. '.join(words) if words else 'no encrypted connection came about; is `tls` right?'}"
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return Answer(
            False, f"{where}: nothing came of it ({why}); are host and port right, and may this machine reach it?"
        )
    finally:
        if client is not None:
            with contextlib.suppress(*_ENDING):
                client.quit()
            client.close()
    return Answer(True)


def _connected(settings: Mail, open_now: list[smtplib.SMTP]) -> smtplib.SMTP:
    host, port = settings.where
    context = ssl.create_default_context()
    if not settings.verify_tls:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client: smtplib.SMTP
    if settings.tls == "tls":
        client = smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=context)
    else:
        client = smtplib.SMTP(host, port, timeout=_PATIENCE)
    open_now.append(client)
    try:
        client.ehlo_or_helo_if_needed()
        if settings.tls == "starttls":
            client.starttls(context=context)
            client.ehlo()
    except BaseException:
        client.close()
        raise
    return client


def _message_id(uid: str, sender: str) -> str:
    domain = sender.rpartition("@")[2]
    if not domain.isascii():
        domain = hashlib.sha256(domain.encode()).hexdigest()[:16] + ".invalid"
    return f"<{uid}@{domain}>"


def _one_line(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _code(error: smtplib.SMTPResponseException) -> str:
    return _numbers(error.smtp_code, error.smtp_error)


def _numbers(code: int, said: bytes | str) -> str:
    """The codes of an answer alone: its words may hold anything, also what was sent."""
    found = _ENHANCED.match(said.encode() if isinstance(said, str) else said)
    return f"{code} {found[1].decode()}" if found else str(code)
