"""CSV on the Web: the W3C's description of the same files (`csv-metadata.json`, where its readers look for it)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..columns import Column, Reference, Type, View
from . import expressions
from .data_package import described
from .job import Job

_TYPES = {
    Type.TEXT: "string",
    Type.INTEGER: "integer",
    Type.NUMBER: "double",
    Type.BOOLEAN: "boolean",
    Type.MOMENT: "dateTimeStamp",
    Type.DATE: "date",
    Type.JSON: "json",
}


def metadata(job: Job, files: Mapping[str, str], references: Mapping[str, Sequence[Reference]]) -> dict[str, Any]:
    """The description of the CSV files of a bundle: `files` by view; `references`: those that hold in them."""
    about = job.catalogue
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": job.language}],
        "dc:title": about.title,
        "dc:description": about.description,
        "dc:license": {"@id": about.licence_known.uri},
        "dc:publisher": about.publisher_name,
        "dc:created": {"@value": job.now.strftime("%Y-%m-%dT%H:%M:%SZ"), "@type": "xsd:dateTime"},
        "tables": [
            _table(job, view, files, [each for each in references.get(view.name, ()) if each.view in files])
            for view in job.views
        ],
    }


def _table(job: Job, view: View, files: Mapping[str, str], references: Sequence[Reference]) -> dict[str, Any]:
    dutch = job.language == "nl"
    schema: dict[str, Any] = {"columns": [_column(each, view, dutch=dutch) for each in expressions.exported(view)]}
    if key := expressions.whole_key(view):
        schema["primaryKey"] = list(key)
    if references:
        schema["foreignKeys"] = [
            {
                "columnReference": list(each.columns),
                "reference": {"resource": files[each.view], "columnReference": list(each.their)},
            }
            for each in references
        ]
    return {
        "url": files[view.name],
        "dc:title": view.name,
        "dc:description": view.nl if dutch else view.en,
        "tableSchema": schema,
    }


def _column(column: Column, view: View, *, dutch: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": column.name,
        "titles": column.name,
        "dc:description": described(column, dutch=dutch),
        "datatype": _TYPES[column.type],
    }
    if column.name in expressions.whole_key(view):
        made["required"] = True
    return made
