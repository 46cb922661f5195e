"""A folder that Datasette serves: the database, and metadata with the meaning of every table and column."""

from pathlib import Path
from typing import Any

import msgspec

from ..columns import View
from . import expressions, sqlite_file
from .data_package import described
from .job import Job, Written

DATABASE = "civicsync"


def write(job: Job, folder: Path, written: Written) -> None:
    """Fill an empty folder: `civicsync.db` and `metadata.json`."""
    sqlite_file.write(job, folder / f"{DATABASE}.db", written)
    encoded = msgspec.json.encode(metadata(job))
    (folder / "metadata.json").write_bytes(msgspec.json.format(encoded, indent=2) + b"\n")
    written.notes.append("serve it with: datasette serve -i FOLDER/civicsync.db -m FOLDER/metadata.json")


def metadata(job: Job) -> dict[str, Any]:
    """What Datasette shows about the database; titles, descriptions, units and licence, from the registry and the configuration."""
    about = job.catalogue
    dutch = job.language == "nl"
    made: dict[str, Any] = {
        "title": about.title or ("Voorstellen van inwoners" if dutch else "What citizens asked for"),
        "description": about.description,
        "source": about.publisher_name,
        "source_url": about.publisher_uri,
        "license": about.licence_known.title,
        "license_url": about.licence_known.uri,
    }
    made = {key: value for key, value in made.items() if value}
    tables: dict[str, Any] = {view.name: _table(view, dutch=dutch) for view in job.views}
    tables["about_columns"] = {
        "hidden": False,
        "description": "Wat elke kolom betekent" if dutch else "What every column means",
    }
    made["databases"] = {DATABASE: {"tables": tables}}
    return made


def _table(view: View, *, dutch: bool) -> dict[str, Any]:
    columns = expressions.exported(view)
    names = {each.name for each in columns}
    made: dict[str, Any] = {
        "title": view.name,
        "description": view.nl if dutch else view.en,
        "columns": {each.name: described(each, dutch=dutch) for each in columns},
    }
    facets = [name for name in ("instance", "kind", "state") if name in names]
    if facets:
        made["facets"] = facets
    if "title" in names and view.key == ("key",):
        made["label_column"] = "title"
    return made
