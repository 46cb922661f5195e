"""dlt's best way to do the same job: a resource that pages the same interface, merged into the same database.

Usage (in a virtual environment with dlt): python dlt_pull.py SHAPE URL DATABASE STATE_FOLDER; DATABASE is of PostgreSQL, or a DuckDB file
"""

import sys
from typing import Any

import dlt
from dlt.sources.helpers import requests
from shapes import SHAPES

SHAPE, URL, DATABASE, STATE = sys.argv[1:5]
# Threads after proposals: which ideas have arguments is known by then.
dlt.config["extract.next_item_mode"] = "fifo"


def ask(path: str, body: Any) -> bytes:
    """One request, by dlt's own helper."""
    return (requests.post(URL + path, json=body) if body is not None else requests.get(URL + path)).content


with_thread: list[Any] = []
resources = [
    dlt.resource(
        table.pages(ask, with_thread),
        name=name,
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        # What is nested stays as it came, in one column: the quickest that dlt can do.
        max_table_nesting=0,
        columns={each: {"data_type": "json"} for each in table.nested},
    )
    for name, table in SHAPES[SHAPE].items()
]
to = dlt.destinations.postgres if DATABASE.startswith("postgres") else dlt.destinations.duckdb
pipeline = dlt.pipeline(pipeline_name="rival", pipelines_dir=STATE, destination=to(DATABASE), dataset_name="rival_dlt")
pipeline.run(resources)
