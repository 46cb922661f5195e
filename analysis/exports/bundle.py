"""The open-data bundle: a folder, or a .zip, that a portal takes as it is."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..columns import Reference, View
from . import csv_file, csvw, data_package, dcat, expressions, readme
from .catalogue import Catalogue
from .job import ExportUsage, Job, Written
from .sqlite_file import references as resolvable

_EPOCH = (1980, 1, 1, 0, 0, 0)


def check(catalogue: Catalogue) -> None:
    """Whether all is known that a portal asks for.

    Raises:
        ExportUsage: with the keys that are missing and how they are written.
    """
    missing = catalogue.missing()
    if not missing:
        return
    lines = ["bundle: the configuration does not say what a portal asks for; write in it:", "", "catalogue:"]
    inside = ""
    for key, example in missing:
        block, _, name = key.rpartition(".")
        if block and block != inside:
            lines.append(f"  {block}:")
        inside = block
        lines.append(f"{'    ' if block else '  '}{name}: {example}")
    raise ExportUsage("\n".join(lines))


def write(job: Job, folder: Path, written: Written) -> None:
    """Fill an empty folder: a CSV file for each view, the descriptions of them all, the licence, and a page in English and Dutch."""
    files = {view.name: f"{view.name}.csv" for view in job.views}
    for view in job.views:
        csv_file.write(job, view, folder / files[view.name], written)
    held = {view.name: _holding(job, view, written) for view in job.views}
    described = [
        dcat.File(
            view,
            files[view.name],
            (folder / files[view.name]).stat().st_size,
            data_package.digest(folder / files[view.name]),
        )
        for view in job.views
    ]
    said = dcat.statements(job, described)
    _json(folder / "datapackage.json", data_package.descriptor(job, folder, files, held))
    _json(folder / "csv-metadata.json", csvw.metadata(job, files, held))
    _json(folder / "dcat.jsonld", dcat.json_ld(said))
    texts = {
        "dcat.ttl": dcat.turtle(said),
        "README.md": readme.page(job, files, "en"),
        "LEESMIJ.md": readme.page(job, files, "nl"),
        "LICENSE.txt": _licence(job),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _json(path: Path, value: object) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _licence(job: Job) -> str:
    licence = job.catalogue.licence_known
    spdx = f"SPDX-License-Identifier: {licence.spdx}\n" if licence.spdx else ""
    return f"{licence.title}\n{licence.uri}\n{spdx}\n{job.catalogue.publisher_name}, {job.now:%Y}\n"


def _holding(job: Job, view: View, written: Written) -> Sequence[Reference]:
    """The references of a view that all its rows keep: what a platform took away is still referred to, and a reader calls that wrong."""
    kept: list[Reference] = []
    for each in resolvable(view, job.views):
        if _astray(job, view, each):
            written.notes.append(
                f"{view.name}: {', '.join(each.columns)} names rows that are not in {each.view}, so the bundle does not call it a reference"
            )
        else:
            kept.append(each)
    return kept


def _astray(job: Job, view: View, reference: Reference) -> bool:
    pairs = list(zip(reference.columns, reference.their, strict=True))
    same = " AND ".join(f"t.{expressions.quoted(theirs)} = v.{expressions.quoted(ours)}" for ours, theirs in pairs)
    there = " AND ".join(f"v.{expressions.quoted(ours)} IS NOT NULL" for ours, _ in pairs)
    sql = (
        f"SELECT count(*) FROM (SELECT 1 FROM {expressions.quoted(view.name)} v WHERE {there} AND NOT EXISTS "
        f"(SELECT 1 FROM {expressions.quoted(reference.view)} t WHERE {same}) LIMIT 1) q"
    )
    return bool(job.snapshot.one(sql))


def zipped(folder: Path, path: Path) -> None:
    """The files of a folder as one .zip, whatever their dates: the same files make the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(each.name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with each.open("rb") as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target, 1 << 20)
