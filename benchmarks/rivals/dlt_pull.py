"""dlt's best way to do the same job: a resource that pages the same interface, merged into the same database.

Usage (in a virtual environment with dlt): python dlt_pull.py URL POSTGRES_URL STATE_FOLDER
"""

import sys
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources.helpers import requests

URL, DATABASE, STATE = sys.argv[1:4]
QUERY = (
    "query P($n:Int){ proposals(first:500%s){ nodes{ id title summary description videoUrl cachedVotesUp commentsCount publicCreatedAt "
    "retiredAt retiredReason geozoneId publicAuthor{id} } pageInfo{ hasNextPage endCursor } } }"
)


@dlt.resource(
    name="proposals",
    primary_key="id",
    write_disposition={"disposition": "merge", "strategy": "upsert"},
    max_table_nesting=0,
)
def proposals() -> Iterator[list[dict[str, Any]]]:
    """Pages of proposals."""
    after = ""
    while True:
        answer = requests.post(f"{URL}/graphql", json={"query": QUERY.replace("($n:Int)", "") % after})
        page = answer.json()["data"]["proposals"]
        yield page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = f', after:"{page["pageInfo"]["endCursor"]}"'


pipeline = dlt.pipeline(
    pipeline_name="rival",
    pipelines_dir=STATE,
    destination=dlt.destinations.postgres(DATABASE),
    dataset_name="rival_dlt",
)
pipeline.run(proposals())
