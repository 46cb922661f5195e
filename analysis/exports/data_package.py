"""Data Package v2: the descriptor of a folder of CSV files."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..columns import Column, Reference, Type, View
from . import expressions, words
from .job import Job

_TYPES = {
    Type.TEXT: "string",
    Type.INTEGER: "integer",
    Type.NUMBER: "number",
    Type.BOOLEAN: "boolean",
    Type.MOMENT: "datetime",
    Type.DATE: "date",
    Type.JSON: "any",
}
PACKAGE = "https://datapackage.org/profiles/2.0/datapackage.json"
RESOURCE = "https://datapackage.org/profiles/2.0/dataresource.json"
SCHEMA = "https://datapackage.org/profiles/2.0/tableschema.json"


def descriptor(
    job: Job, folder: Path, files: Mapping[str, str], references: Mapping[str, Sequence[Reference]]
) -> dict[str, Any]:
    """The descriptor of the CSV files of a bundle: `files` by view, in `folder`; `references`: those that hold in them."""
    about = job.catalogue
    licence = about.licence_known
    made: dict[str, Any] = {
        "$schema": PACKAGE,
        "name": "civicsync-open-data",
        "title": about.title,
        "description": about.description,
        "homepage": about.landing_page,
        "version": job.now.strftime("%Y.%m.%d"),
        "created": job.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "keywords": ["participation", "proposals"],
        "licenses": [_without_empty({"name": licence.spdx, "title": licence.title, "path": licence.uri})],
        "contributors": [
            {"title": about.publisher_name, "path": about.publisher_uri, "roles": ["publisher"]},
            {"title": about.contact_name, "email": about.contact_mail, "roles": ["contact"]},
        ],
        "sources": [
            {"title": str(title or name), "path": str(url)}
            for name, title, url in job.snapshot.rows("SELECT name, title, url FROM instances ORDER BY name")
        ],
        "resources": [
            _resource(job, view, folder / files[view.name], references.get(view.name, ())) for view in job.views
        ],
    }
    return made


def _resource(job: Job, view: View, file: Path, references: Sequence[Reference]) -> dict[str, Any]:
    dutch = job.language == "nl"
    key = expressions.whole_key(view)
    schema: dict[str, Any] = {
        "$schema": SCHEMA,
        "fields": [_field(each, dutch=dutch, required=each.name in key) for each in expressions.exported(view)],
        "missingValues": [""],
    }
    if key:
        schema["primaryKey"] = list(key)
    if references:
        schema["foreignKeys"] = [
            {
                "fields": list(each.columns),
                "reference": {"resource": _slug(each.view), "fields": list(each.their)},
            }
            for each in references
        ]
    return {
        "$schema": RESOURCE,
        "name": _slug(view.name),
        "type": "table",
        "path": file.name,
        "title": view.name,
        "description": view.nl if dutch else view.en,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": file.stat().st_size,
        "hash": f"sha256:{digest(file)}",
        "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True, "header": True},
        "schema": schema,
    }


def _slug(view: str) -> str:
    return view.replace("_", "-")


def _field(column: Column, *, dutch: bool, required: bool) -> dict[str, Any]:
    field: dict[str, Any] = {
        "name": column.name,
        "type": _TYPES[column.type],
        "title": column.name,
        "description": described(column, dutch=dutch),
    }
    if required:
        field["constraints"] = {"required": True}
    return field


def described(column: Column, *, dutch: bool) -> str:
    """What a column means, in what it is counted, and what an empty cell means."""
    language = "nl" if dutch else "en"
    empty = column.null_nl if dutch else column.null_en
    unit = f" ({'eenheid' if dutch else 'unit'}: {words.unit_of(column, language)})" if column.unit else ""
    nothing = f". {'Leeg' if dutch else 'Empty'}: {empty}" if empty else ""
    return f"{words.meaning_of(column, language)}{unit}{nothing}"


def _without_empty(values: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in values.items() if value}


def digest(file: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
