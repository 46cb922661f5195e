"""Pseudonyms and secrets: the only place that turns a person's platform id into something that may be stored.

The key never enters the database. The same person on the same instance has the same pseudonym in every run; on another
instance another one, so that nobody can be followed across platforms.
"""

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache

MINIMUM_KEY_LENGTH = 32


class MissingKeyError(Exception):
    """The configuration names no usable secret: no pseudonym can be made, so nothing may be pulled."""


def check_key(secret: str) -> None:
    """Refuse a secret that is too short to protect anybody.

    Raises:
        MissingKeyError: with the way to make one.
    """
    if len(secret) < MINIMUM_KEY_LENGTH:
        raise MissingKeyError(
            f"privacy.key is {'empty' if not secret else 'too short'}: at least {MINIMUM_KEY_LENGTH} characters are needed. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))' "
            "and keep it where `${CIVICSYNC_KEY}` or `file:` can read it; `civicsync init` does both."
        )


def pseudonymiser(secret: str, instance: str) -> Callable[[str], str]:
    """A function from platform user id to pseudonym (32 hexadecimal digits) for one instance."""
    check_key(secret)
    instance_key = hmac.digest(secret.encode(), b"civicsync:instance:" + instance.encode(), hashlib.sha256)

    @lru_cache(maxsize=16_384)
    def pseudonym(user_id: str) -> str:
        return hmac.digest(instance_key, user_id.encode(), hashlib.sha256).hex()[:32]

    return pseudonym
