"""Singer's best way to do the same job: a tap on the same interface, piped into target-postgres with COPY.

Usage (in a virtual environment with singer-sdk): python tap.py SHAPE URL | target-postgres --config config.json
"""

import sys
from collections.abc import Iterable
from typing import Any, ClassVar

import requests
from shapes import SHAPES
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

SHAPE, URL = sys.argv.pop(1), sys.argv.pop(1)
_TYPES = {"text": "string", "number": "integer", "yes_or_no": "boolean"}


class Proposals(Stream):
    """The proposals."""

    name = "proposals"
    primary_keys = ("id",)
    schema: ClassVar = {
        "type": "object",
        "properties": {
            **{name: {"type": ["null", _TYPES[kind]]} for name, kind in SHAPES[SHAPE].plain.items()},
            **{
                name: {"type": ["null", "array" if name in SHAPES[SHAPE].lists else "object"]}
                for name in SHAPES[SHAPE].nested
            },
        },
    }

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Page by page."""
        session = requests.Session()

        def ask(path: str, body: Any) -> Any:
            return (session.post(URL + path, json=body) if body is not None else session.get(URL + path)).json()

        for page in SHAPES[SHAPE].pages(ask):
            yield from page


class Fast(Tap):
    """The tap."""

    name = "tap-fast"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Stream]:
        """One stream."""
        return [Proposals(self)]


if __name__ == "__main__":
    Fast.cli()
