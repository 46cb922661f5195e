"""GeoJSON (RFC 7946): a point for every row of a view with coordinates, its other columns as properties."""

from pathlib import Path

from ..columns import VIEWS, View
from . import expressions
from .job import ExportUsage, Job, Written

_PLACES = ("longitude", "latitude")


def check(view: View) -> None:
    """Whether a view has coordinates.

    Raises:
        ExportUsage: it has none; the message names those that have.
    """
    if not _has_coordinates(view):
        have = ", ".join(name for name, each in VIEWS.items() if _has_coordinates(each))
        raise ExportUsage(f"geojson: the view {view.name} has no coordinates; {have} have")


def _has_coordinates(view: View) -> bool:
    return set(_PLACES) <= {each.name for each in expressions.exported(view)}


def write(job: Job, view: View, path: Path, written: Written) -> None:
    """Write a view to a file: WGS 84, longitude first, no `crs` (its members are those of the RFC); rows without a place are left out."""
    dialect = job.snapshot.dialect
    columns = [each for each in expressions.exported(view) if each.name not in _PLACES]
    key = view.key[0] if len(view.key) == 1 else None
    identity = expressions.quoted(key) if key else "NULL"
    sql = expressions.select(
        view,
        [identity, *(expressions.quoted(each) for each in _PLACES), expressions.json_line(columns, dialect)],
    )
    placed = " AND ".join(
        f"{expressions.quoted(name)} BETWEEN {-most} AND {most}" for name, most in zip(_PLACES, (180, 90), strict=True)
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"type":"FeatureCollection","features":[')
        between = "\n"
        for batch in job.batches(view, f"{sql} WHERE {placed}"):
            features = [_feature(*row) for row in batch]
            file.write(between + ",\n".join(features))
            between = ",\n"
            written.add(view.name, len(batch))
        file.write("\n]}\n")
    written.add(view.name, 0)
    every = int(job.snapshot.one(f"SELECT count(*) FROM {expressions.quoted(view.name)}"))
    if left := every - written.rows[view.name]:
        written.notes.append(f"{left:,} of {every:,} rows of {view.name} have no place on the map and are left out")


def _feature(key: object, longitude: float, latitude: float, properties: str) -> str:
    import msgspec

    identity = "" if key is None else f'"id":{msgspec.json.encode(str(key)).decode()},'
    # Seven decimals are a centimetre; more would only pretend.
    where = f"[{round(float(longitude), 7)!r},{round(float(latitude), 7)!r}]"
    return (
        f'{{"type":"Feature",{identity}"geometry":{{"type":"Point","coordinates":{where}}},"properties":{properties}}}'
    )
