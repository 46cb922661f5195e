"""The errors a connector or the transport may raise. The first line of each docstring is what an admin reads.

ConnectorError
+-- Unreachable       nothing answers
+-- Throttled         asked to slow down for longer than this run may wait
+-- NotAllowed        not allowed (401, 403, a redirect)
|   +-- Elsewhere     it is at another address, where nothing is sent that is meant for this one
|   +-- SignInWanted  it wants somebody to sign in first
+-- NotFound          404
+-- Malformed         an answer that is not what the platform sends
|   +-- EndlessList   a list that says it goes on, and does not
|   +-- TooLarge      more than one answer may be, as sent or as decoded
+-- Interface         the platform's interface is not the one probed; probing again may help
+-- PartlyAnswered    some of what was asked was answered, the rest could not be
+-- NotThisPlatform   something else answers there
+-- WriteError        a write did not end with the platform's word that it is done
    +-- CannotDo      not tried: it cannot be done here
    |   +-- NotLetIn  not tried: the account is not let in, whatever the text
    |       +-- WrongCredentials  the name or the password is wrong: another try would lock the account
    +-- ContentRefused the platform refused this content; nothing is stored
    +-- NotDone       nothing is stored for certain; later it may work
    +-- MaybeDone     it may be stored: look it up before anything is sent again
MappingError          one record is not as the contract says: quarantine, not a failure
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from ...core.identity import Ref
from ...core.items import MappingError
from ...core.redaction import redact

__all__ = [
    "CannotDo",
    "ConnectorError",
    "ContentRefused",
    "Elsewhere",
    "EndlessList",
    "Interface",
    "Malformed",
    "MappingError",
    "MaybeDone",
    "NotAllowed",
    "NotDone",
    "NotFound",
    "NotLetIn",
    "NotThisPlatform",
    "PartlyAnswered",
    "SignInWanted",
    "Throttled",
    "TooLarge",
    "Unreachable",
    "WriteError",
    "WrongCredentials",
    "nothing_stored",
    "platform_failed",
]


class ConnectorError(Exception):
    """Something between civicsync and a platform went wrong. `hint` is the way out."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        # It ends in tables, logs, the journal and the ledger: no secret gets that far.
        self.message = redact(message)
        super().__init__(self.message)
        self.hint = redact(hint)
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class Unreachable(ConnectorError):
    """Nothing answers there, or the answers stop halfway."""


class Throttled(ConnectorError):
    """The platform asks to slow down for longer than this run may wait."""


class NotAllowed(ConnectorError):
    """The platform does not let us read this."""


class Elsewhere(NotAllowed):
    """The platform sends us to another address; what is meant for one host (a password above all) is sent to no other."""


class SignInWanted(NotAllowed):
    """The platform wants somebody to sign in before it shows this."""


class NotFound(ConnectorError):
    """The platform says there is no such thing."""


class Malformed(ConnectorError):
    """The answer is not what this platform sends: a login page, a cut answer, another format."""


class EndlessList(Malformed):
    """A list says that it goes on and does not: an empty page with a next one, a cursor that stands still or comes again."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: the list does not go on",
            hint="a cache in front of the platform may ignore what is asked",
            status=200,
        )


class TooLarge(Malformed):
    """The answer is larger than one may be, as it is sent or as it is decoded: the same again is as large, a part of it may not be."""


class Interface(ConnectorError):
    """A field or argument that was there when the instance was probed is not there now."""


class PartlyAnswered(ConnectorError):
    """Some of what was asked was answered, and the rest could not be. `answers`: what `CanConfirm.still_there` would have returned."""

    def __init__(self, message: str, answers: Mapping[Ref, bool | None]) -> None:
        super().__init__(message)
        self.answers = answers


class NotThisPlatform(ConnectorError):
    """Something else answers at this address."""


class WriteError(ConnectorError):
    """A write did not end with the platform's word that it is done."""


class CannotDo(WriteError):
    """This cannot be done here: nothing was sent. The message says what and why, `hint` who could change it."""


class NotLetIn(CannotDo):
    """The account is not let in, or may not be there: nothing was sent, and it says nothing about the text that was to be sent."""


class WrongCredentials(NotLetIn):
    """The platform does not take this name and password. Each further try counts towards a lock of the account."""


class ContentRefused(WriteError):
    """The platform refused this content: nothing is stored, and the same again would be refused again."""


class NotDone(WriteError):
    """Nothing is stored for certain. `wait` is what the platform asked for, in seconds."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, wait: float | None = None) -> None:
        super().__init__(message, hint=hint, status=status)
        self.wait = wait


class MaybeDone(WriteError):
    """The request went out and no trustworthy answer came back: it may be stored.

    `accepted`: the platform's own answer said that it was taken (its redirect, its 200), and only the look-up failed. What was accepted
    is never sent again unless a person says so.
    """

    def __init__(self, message: str, *, hint: str = "", status: int | None = None, accepted: bool = False) -> None:
        super().__init__(message, hint=hint, status=status)
        self.accepted = accepted


def platform_failed(error: BaseException) -> bool:
    """Whether the platform itself failed: no connection, half an answer, a server error, asked to slow down.

    Everything else is the trouble of one thing that was asked: a hidden neighbour, a refused token or look-up, an account. What stands
    behind an error (`raise … from`) counts as well.
    """
    if isinstance(error, CannotDo | ContentRefused):
        return False
    behind: BaseException | None = error
    while behind is not None:
        status = behind.status if isinstance(behind, ConnectorError) else None
        if isinstance(behind, Unreachable | Throttled) or (status is not None and (status == 429 or status >= 500)):
            return True
        behind = behind.__cause__
    return False


@asynccontextmanager
async def nothing_stored() -> AsyncGenerator[None]:
    """Turns what reading raises into a writer's words: nothing has been stored by it."""
    try:
        yield
    except WriteError:
        raise
    except NotAllowed as error:
        raise CannotDo(error.message, hint=error.hint, status=error.status) from error
    except ConnectorError as error:
        raise NotDone(error.message, hint=error.hint, status=error.status) from error
