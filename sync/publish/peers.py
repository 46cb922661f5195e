"""Other deployments of civicsync on the same platforms, as the configuration names them (`peers`).

A marker that is not ours proves nothing: anybody can type one. It is believed only in a text that a peer's account wrote, and only for
the one address that stands before it, which is where its attribution leads.
"""

import html as html_module
import re

from ...config.model import Config
from ...core.privacy import pseudonymiser

OFFICIAL = "official"
"""In place of an account's number: the peer writes in the organisation's name, and its copies show no author."""
_ADDRESS = re.compile(r"https?://[^\s\"'<>()]+")
_MARKER = "[civicsync:"


class Peers:
    """Who else copies to these platforms."""

    def __init__(self, config: Config) -> None:
        secret = config.privacy.key.get_secret_value()
        self._names: dict[tuple[str, str | None], str] = {}
        for name, peer in config.peers.items():
            for instance, accounts in peer.accounts.items():
                pseudonym = pseudonymiser(secret, instance)
                for account in accounts:
                    self._names[instance, None if account == OFFICIAL else pseudonym(account)] = name

    def who_wrote(self, instance: str, author: str | None) -> str | None:
        """The name of the peer that writes as this author (a pseudonym; None: the platform shows none); None: no peer does."""
        return self._names.get((instance, author))


def named_address(plain: str, html: str) -> list[str]:
    """The address of the original that a copy names: the last one before its marker; nothing where it carries more than one marker."""
    text = html_module.unescape(html) if _MARKER in html_module.unescape(html) else plain
    before, _, after = text.partition(_MARKER)
    return _ADDRESS.findall(before)[-1:] if _MARKER not in after else []
