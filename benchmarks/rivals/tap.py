"""Singer's best way to do the same job: a tap on the same interface, piped into target-postgres with COPY.

Usage (in a virtual environment with singer-sdk): python tap.py SHAPE URL | target-postgres --config config.json
"""

import sys
from collections.abc import Iterable
from typing import Any

import requests
from shapes import SHAPES, Table
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

SHAPE, URL = sys.argv.pop(1), sys.argv.pop(1)
_TYPES = {"text": "string", "number": "integer", "yes_or_no": "boolean"}
_SESSION = requests.Session()
_WITH_THREAD: list[Any] = []


def ask(path: str, body: Any) -> bytes:
    """One request over a connection that is kept."""
    return (_SESSION.post(URL + path, json=body) if body is not None else _SESSION.get(URL + path)).content


class Rows(Stream):
    """One table. The SDK asks for streams by name: threads after proposals."""

    primary_keys = ("id",)

    def __init__(self, tap: Tap, name: str, table: Table) -> None:
        self._table = table
        properties = {each: {"type": ["null", _TYPES[kind]]} for each, kind in table.plain.items()}
        nested = {each: {"type": ["null", "array" if each in table.lists else "object"]} for each in table.nested}
        super().__init__(tap, name=name, schema={"type": "object", "properties": {**properties, **nested}})

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Page by page."""
        for page in self._table.pages(ask, _WITH_THREAD):
            yield from page


class Fast(Tap):
    """The tap."""

    name = "tap-fast"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Stream]:
        """Proposals and threads."""
        return [Rows(self, name, table) for name, table in SHAPES[SHAPE].items()]


if __name__ == "__main__":
    Fast.cli()
