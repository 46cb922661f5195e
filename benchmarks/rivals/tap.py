"""Singer's best way to do the same job: a tap on the same interface, piped into target-postgres with COPY.

Usage (in a virtual environment with singer-sdk): python tap.py URL | target-postgres --config config.json
"""

import sys
from collections.abc import Iterable
from typing import Any

import requests
from singer_sdk import Stream, Tap
from singer_sdk import typing as th

URL = sys.argv.pop(1)
QUERY = (
    "{ proposals(first:500%s){ nodes{ id title summary description videoUrl cachedVotesUp commentsCount publicCreatedAt "
    "retiredAt retiredReason geozoneId publicAuthor{id} } pageInfo{ hasNextPage endCursor } } }"
)
TEXT = ("id", "title", "summary", "description", "videoUrl", "publicCreatedAt", "retiredAt", "retiredReason")


class Proposals(Stream):
    """The proposals."""

    name = "proposals"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        *(th.Property(name, th.StringType) for name in TEXT),
        *(th.Property(name, th.IntegerType) for name in ("cachedVotesUp", "commentsCount", "geozoneId")),
        th.Property("publicAuthor", th.ObjectType(th.Property("id", th.StringType))),
    ).to_dict()

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Page by page."""
        session, after = requests.Session(), ""
        while True:
            page = session.post(f"{URL}/graphql", json={"query": QUERY % after}).json()["data"]["proposals"]
            yield from page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = f', after:"{page["pageInfo"]["endCursor"]}"'


class Fast(Tap):
    """The tap."""

    name = "tap-fast"
    config_jsonschema = th.PropertiesList().to_dict()

    def discover_streams(self) -> list[Stream]:
        """One stream."""
        return [Proposals(self)]


if __name__ == "__main__":
    Fast.cli()
