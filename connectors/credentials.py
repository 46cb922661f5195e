"""Telling whether credentials changed, without keeping them."""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pydantic import SecretBytes, SecretStr

from .contract.settings import InstanceSettings

_NOT_CREDENTIALS = frozenset(InstanceSettings.model_fields) - {"url"}


def credentials_print(settings: InstanceSettings, secret: str) -> str:
    """A keyed digest (64 hex digits) of the address and of all that a connector's own settings say, secrets among them.

    `secret` is the key of the configuration: without it nobody can try passwords against the digest.
    """
    whole = {name: value for name, value in settings if name not in _NOT_CREDENTIALS}
    key = hmac.digest(secret.encode(), b"civicsync:credentials:1", "sha256")
    return hmac.digest(key, msgspec.json.encode(_open(whole), order="sorted"), "sha256").hex()


def _open(value: Any) -> Any:
    match value:
        case SecretStr() | SecretBytes():
            return str(value.get_secret_value())
        case Mapping():
            return {str(name): _open(each) for name, each in value.items()}
        case str() | int() | float() | None:
            return value
        case Sequence() | frozenset() | set():
            return [_open(each) for each in value]
        case _ if hasattr(value, "model_fields_set"):
            return {name: _open(each) for name, each in value}
        case _:
            return str(value)
