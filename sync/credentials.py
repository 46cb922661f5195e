"""A name and password that a platform did not take are tried once: each further try counts towards a lock of the account.

Whoever signs in asks here first and tells here what came of it. They are tried again when they changed, or when a person says so
(`civicsync check`, `civicsync review resume`).
"""

import asyncio

from ..config.model import Config
from ..connectors.contract.errors import WrongCredentials
from ..connectors.contract.writing import Refusals
from ..connectors.credentials import credentials_print
from ..core.ledger.ledger import Ledger

_HINT = "it is not tried again before it is corrected; `civicsync check` tries now"


class Credentials:
    """What is known of the credentials of a configuration. Blocks: it asks the database."""

    def __init__(self, config: Config, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger

    def ask(self, instance: str) -> dict[str, str]:
        """Before signing in: what these very credentials were refused for, by kind of operation.

        Raises:
            WrongCredentials: they were refused for everything; nothing is to be sent.
        """
        refused = self._ledger.refused(instance, self._print(instance))
        if "" in refused:
            raise WrongCredentials(_of(instance, refused[""]), hint=_HINT)
        return refused

    def ask_for(self, instance: str, kind: str) -> None:
        """Before signing in for one kind of thing.

        Raises:
            WrongCredentials: these very credentials were refused for it; nothing is to be sent.
        """
        refused = self._ledger.refused(instance, self._print(instance))
        if kind in refused:
            raise WrongCredentials(_of(instance, refused[kind]), hint=_HINT)

    def remember(self, instance: str, error: WrongCredentials, kind: str = "") -> None:
        """They were refused: for one kind of operation, or for everything."""
        self._ledger.refuse(instance, kind, self._print(instance), error.message)

    def forget(self, instance: str) -> None:
        """They were taken, or a person says that they may be tried again."""
        self._ledger.try_again(instance)

    def _print(self, instance: str) -> str:
        secret = self._config.privacy.key.get_secret_value()
        return credentials_print(self._config.instances[instance], secret)


class FurtherAccounts(Refusals):
    """What is known of the further accounts of one instance, by the names that its writer has for them."""

    def __init__(self, credentials: Credentials, instance: str) -> None:
        super().__init__()
        self._credentials = credentials
        self._instance = instance

    async def why(self, account: str) -> str:
        """As it is remembered for these very credentials."""
        try:
            await asyncio.to_thread(self._credentials.ask_for, self._instance, account)
        except WrongCredentials as error:
            return error.message
        return ""

    async def remember(self, account: str, error: WrongCredentials) -> None:
        """Until they change, or a person says that they may be tried again."""
        await asyncio.to_thread(self._credentials.remember, self._instance, error, account)


def _of(instance: str, message: str) -> str:
    """Whose credentials they are: one route signs in on several platforms."""
    return message if message.startswith(f"{instance}: ") else f"{instance}: {message}"
