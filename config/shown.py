"""The configuration as it may be shown: defaults included, references as they were written, no secret in any form."""

from pathlib import Path
from typing import Any

from ..core.redaction import HIDDEN, redact
from ..core.schema.database import parse_url
from ..core.schema.failures import DatabaseError
from .load import is_reference, written
from .model import Config

_HARMLESS = frozenset(
    {"host", "port", "dbname", "sslmode", "connect_timeout", "application_name", "target_session_attrs"}
)


def shown(config: Config, file: Path) -> dict[str, Any]:
    """What `config show` prints: JSON-able, by the names that stand in the file."""
    data: dict[str, Any] = config.model_dump(mode="json", by_alias=True)
    found = _as_written(data, written(file))
    if not is_reference(found["database"]):
        found["database"] = _database(str(found["database"]))
    return found


def _as_written(value: Any, node: Any) -> Any:
    """The value, or, where a reference stands in the file, that reference: what it stands for is nobody's business."""
    if isinstance(value, dict):
        return {name: _as_written(each, _below(node, name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_written(each, _below(node, number)) for number, each in enumerate(value)]
    if isinstance(node, str) and is_reference(node):
        return str(node)
    if isinstance(value, str):
        return HIDDEN if value == "**********" else redact(value)
    return value


def _below(node: Any, step: Any) -> Any:
    try:
        return node[step]
    except (KeyError, IndexError, TypeError):
        return None


def _database(address: str) -> str:
    try:
        url = parse_url(address)
    except DatabaseError:
        return HIDDEN
    # Of its options only those that can hold no secret.
    url = url.set(query={name: value if name in _HARMLESS else HIDDEN for name, value in url.query.items()})
    return redact(url.render_as_string(hide_password=True).replace("+psycopg", "").replace("%2A%2A%2A", HIDDEN))
