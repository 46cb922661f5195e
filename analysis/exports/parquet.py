"""Parquet: typed columns, Zstandard, each with its meaning beside it."""

import importlib.util
import itertools
from pathlib import Path
from typing import Any

from ..columns import Column, Type, View
from . import expressions
from .job import ExportUsage, Job, Written

BATCH = 5_000
GROUP_BYTES = 2_000_000
"""Of a row group in memory: small ones make files large and slow to read, large ones need memory."""


def check() -> None:
    """Whether the library is there.

    Raises:
        ExportUsage: it is not; the message says what to install.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ExportUsage("parquet needs pyarrow: install civicsync[parquet]")


def write(job: Job, view: View, path: Path, written: Written) -> None:
    """Write a view to a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # The library's own allocator keeps what it once had; the system's gives it back, and is as quick here.
    pa.set_memory_pool(pa.system_memory_pool())
    columns = expressions.exported(view)
    types = [_type(each) for each in columns]
    schema: Any = pa.schema(
        [
            pa.field(each.name, kind, metadata={"description": _meaning(each, job.language)})
            for each, kind in zip(columns, types, strict=True)
        ],
        metadata={"title": view.nl if job.language == "nl" else view.en},
    )
    sql = expressions.select(view, [_expression(each, job.snapshot.dialect) for each in columns])
    waiting: list[Any] = []
    batches = job.batches(view, sql, BATCH)
    first = next(batches, [])
    # A dictionary of values that hardly repeat costs time and a megabyte a column, and saves nothing.
    repeat: Any = [
        each.name
        for each, values in zip(columns, zip(*first, strict=True), strict=False)
        if len({*values}) * 2 < len(values)
    ]
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=repeat) as writer:
        for batch in itertools.chain([first] if first else [], batches):
            made = [
                _array(values, column, kind)
                for values, column, kind in zip(zip(*batch, strict=True), columns, types, strict=True)
            ]
            waiting.append(pa.record_batch(made, schema=schema))
            written.add(view.name, len(batch))
            if sum(each.nbytes for each in waiting) >= GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
    written.add(view.name, 0)


def _meaning(column: Column, language: str) -> str:
    return column.nl if language == "nl" else column.en


def _type(column: Column) -> Any:
    import pyarrow as pa

    return {
        Type.INTEGER: pa.int64(),
        Type.NUMBER: pa.float64(),
        Type.BOOLEAN: pa.bool_(),
        Type.MOMENT: pa.timestamp("us", "UTC"),
        Type.DATE: pa.date32(),
    }.get(column.type, pa.string())


def _expression(column: Column, dialect: str) -> str:
    if column.type is Type.BOOLEAN:
        return expressions.serial(column, dialect)
    if column.type is Type.MOMENT and dialect == "sqlite":
        return expressions.quoted(column.name)
    return expressions.plain(column, dialect)


def _array(values: tuple[Any, ...], column: Column, kind: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute

    match column.type:
        case Type.MOMENT:
            # Read by the library, far faster than one by one; what comes with a zone and what comes without are both UTC.
            texts = pa.array(values, pa.string())
            zoned = any(value is not None and value.endswith("Z") for value in values)
            if zoned:
                return texts.cast(kind)
            # As a name that the library makes at run time, which no checker of types sees.
            utc = pyarrow.compute.AssumeTimezoneOptions("UTC")
            return pyarrow.compute.call_function("assume_timezone", [texts.cast(pa.timestamp("us"))], utc)
        case Type.DATE:
            return pa.array(values, pa.string()).cast(kind)
        case Type.BOOLEAN:
            return pa.array(values, pa.int64()).cast(kind)
        case _:
            return pa.array(values, kind)
