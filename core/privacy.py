"""Pseudonyms and secrets: the only place that turns a person's platform id into something that may be stored.

The key never enters the database. The same person on the same instance has the same pseudonym in every run; on another
instance another one, so that nobody can be followed across platforms.
"""

import hashlib
import hmac
import math
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

MINIMUM_KEY_LENGTH = 32
MINIMUM_DISTINCT = 8
MINIMUM_BITS = 100.0
"""By how often each character stands in it (Shannon). A random key has more: about 240 in 64 hexadecimal digits."""
_SHORTEST_PERIOD = 10
_WAY_OUT = (
    "Make one with: python3 -c 'import secrets; print(secrets.token_hex(32))' and keep it where `${CIVICSYNC_KEY}` or `file:` can read "
    "it; `civicsync init` does both."
)


class MissingKeyError(Exception):
    """The configuration names no usable secret: no pseudonym can be made, so nothing may be pulled."""


def check_key(secret: str) -> None:
    """Refuse a secret that is too short to protect anybody.

    Raises:
        MissingKeyError: with the way to make one.
    """
    if len(secret) < MINIMUM_KEY_LENGTH:
        raise MissingKeyError(
            f"privacy.key is {'too short' if secret else 'empty'}: at least {MINIMUM_KEY_LENGTH} characters are needed. {_WAY_OUT}"
        )


def check_chosen_key(secret: str) -> None:
    """Refuse what an admin chose if it is too short or too easily guessed: whoever guesses it can find people by their numbers.

    Raises:
        MissingKeyError: with the way to make one.
    """
    check_key(secret)
    counts = Counter(secret)
    bits = -sum(count * math.log2(count / len(secret)) for count in counts.values())
    repeats = any(secret == (secret[:period] * len(secret))[: len(secret)] for period in range(1, _SHORTEST_PERIOD + 1))
    if len(counts) < MINIMUM_DISTINCT or bits < MINIMUM_BITS or repeats:
        raise MissingKeyError(
            f"privacy.key is too easily guessed: it must be made by chance, not by repeating a few characters. {_WAY_OUT}"
        )


def fingerprint_of(secret: str) -> str:
    """Tells one key from another without telling anything of it (24 hexadecimal digits of a keyed hash); may be stored."""
    return hmac.digest(secret.encode(), b"civicsync:fingerprint:1", hashlib.sha256).hex()[:24]


def pseudonymiser(secret: str, instance: str) -> Callable[[str], str]:
    """A function from platform user id to pseudonym (32 hexadecimal digits) for one instance."""
    check_key(secret)
    instance_key = hmac.digest(secret.encode(), b"civicsync:instance:" + instance.encode(), hashlib.sha256)

    # HMAC (RFC 2104) with the key's own two blocks hashed once: each call of `hmac.digest` begins by fetching the algorithm, which takes
    # seven times as long as the rest.
    block = instance_key.ljust(hashlib.sha256().block_size, b"\0")
    inside, around = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))

    @lru_cache(maxsize=16_384)
    def pseudonym(user_id: str) -> str:
        inner, outer = inside.copy(), around.copy()
        inner.update(user_id.encode())
        outer.update(inner.digest())
        return outer.hexdigest()[:32]

    return pseudonym
