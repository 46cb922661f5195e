"""What a view's columns are read as: the same text, number or null from SQLite and PostgreSQL, made by the database itself."""

from collections.abc import Sequence

from ..columns import Column, Personal, Type, View

NEVER = frozenset({"votes"})
"""Individual ballots: they leave only as `.pb`, with fresh numbers for their voters."""


def exported(view: View) -> tuple[Column, ...]:
    """The columns of a view that may leave: all but what names a person directly; of public views no pseudonyms either."""
    kept = {Personal.DIRECT, Personal.PSEUDONYM} if view.public else {Personal.DIRECT}
    return tuple(each for each in view.columns if each.personal not in kept)


def whole_key(view: View) -> tuple[str, ...]:
    """The key of a view if every row has all of it; () where a part may be empty ("without an area"), which no standard calls a key."""
    return () if any(view.column(name).null_en for name in view.key) else view.key


def quoted(name: str) -> str:
    """A name of ours in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text of ours in SQL."""
    return "'" + text.replace("'", "''") + "'"


def plain(column: Column, dialect: str) -> str:
    """As text files show it: moments as ISO 8601 in UTC with microseconds, `true` and `false`, JSON as its text; numbers as numbers."""
    name = quoted(column.name)
    lite = dialect == "sqlite"
    match column.type:
        case Type.MOMENT:
            return f"replace({name}, ' ', 'T') || 'Z'" if lite else _postgres_moment(name, '"T"', "US", '"Z"')
        case Type.BOOLEAN:
            return f"CASE {name} WHEN {_true(dialect)} THEN 'true' WHEN {_false(dialect)} THEN 'false' END"
        case Type.DATE | Type.JSON:
            return name if lite else f"CAST({name} AS text)"
        case Type.NUMBER:
            return name if lite else f"CAST({name} AS double precision)"
        case Type.INTEGER:
            return name if lite else f"CAST({name} AS bigint)"  # a sum is `numeric` there
        case Type.TEXT:
            return name


def stored(column: Column, dialect: str) -> str:
    """As an SQLite file for analysts holds it: moments as `YYYY-MM-DD HH:MM:SS.mmm`, which its functions, Datasette and JDBC read."""
    name = quoted(column.name)
    if column.type is Type.MOMENT:
        return f"substr({name}, 1, 23)" if dialect == "sqlite" else _postgres_moment(name, " ", "MS", "")
    if column.type is Type.BOOLEAN:
        return name if dialect == "sqlite" else f"CAST({name} AS integer)"
    return plain(column, dialect)


def serial(column: Column, dialect: str) -> str:
    """As a spreadsheet counts: moments and dates as days since 30 December 1899 (UTC), booleans 0 and 1."""
    name = quoted(column.name)
    lite = dialect == "sqlite"
    match column.type:
        case Type.MOMENT:
            return (
                f"julianday({name}) - 2415018.5"
                if lite
                else f"CAST(extract(epoch FROM {name}) AS double precision) / 86400 + 25569"
            )
        case Type.DATE:
            return (
                f"julianday({name}) - 2415018.5" if lite else f"CAST(CAST({name} AS text) AS date) - DATE '1899-12-30'"
            )
        case Type.BOOLEAN:
            return name if lite else f"CAST({name} AS integer)"
        case _:
            return plain(column, dialect)


def json_line(columns: Sequence[Column], dialect: str) -> str:
    """One JSON object a row, made by the database: names as keys, moments as ISO 8601, booleans and structures as such."""
    if dialect == "sqlite":
        pairs = ", ".join(f"{literal(each.name)}, {_json_value(each)}" for each in columns)
        return f"json_object({pairs})"
    # By the name of a column alone, so that there are no blanks and no limit of a hundred arguments.
    named = ", ".join(f"{_postgres_json(each)} AS {quoted(each.name)}" for each in columns)
    return f"(SELECT row_to_json(j)::text FROM (SELECT {named}) j)"


def _json_value(column: Column) -> str:
    name = quoted(column.name)
    if column.type is Type.BOOLEAN:
        return f"json({plain(column, 'sqlite')})"
    if column.type is Type.JSON:
        return f"json({name})"
    return plain(column, "sqlite")


def _postgres_json(column: Column) -> str:
    name = quoted(column.name)
    return name if column.type in {Type.BOOLEAN, Type.JSON} else plain(column, "postgresql")


def _postgres_moment(name: str, between: str, fraction: str, end: str) -> str:
    return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD{between}HH24:MI:SS.{fraction}{end}')"


def _true(dialect: str) -> str:
    return "1" if dialect == "sqlite" else "true"


def _false(dialect: str) -> str:
    return "0" if dialect == "sqlite" else "false"


def select(view: View, expressions: Sequence[str]) -> str:
    """The statement that reads a view; in the order in which the database has its rows, as sorting would need them all in memory."""
    return f"SELECT {', '.join(expressions)} FROM {quoted(view.name)}"
