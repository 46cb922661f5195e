"""What planning costs: of new copies, and of copies that wait for a person, at every run.

    python -m benchmarks.planning [--proposals 5000] [--database URL] [--profile new|waiting] [--memory 20000]

Conditions: one process, SQLite unless told otherwise (any empty database; what is put there stays). Origins of 900 characters of
sanitised HTML on average (paragraphs, a list, a link, an accent), a category each; a target that takes plain text of one language and
puts right what Your Priorities would garble. Printed are CPU milliseconds per copy: the plan of new ones; writing them down, awaiting
approval; and planning all of them again, twice. `--memory` plans so many once more with `civicsync publish --dry-run --json` in a process
of its own, against the sandbox of Your Priorities, and prints that process's peak memory.
"""

import argparse
import cProfile
import json
import multiprocessing
import os
import pstats
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from civicsync.config.model import Config
from civicsync.connectors.contract.writing import Draft, Fitted, Limits
from civicsync.connectors.your_priorities import text_rules
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.ledger import Ledger
from civicsync.core.ledger.marker import Signer
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.tables import CategoryRow, ProposalCategoryRow, ProposalRow, ProposalTextRow, table_of
from civicsync.core.store.bulk import insert_new
from civicsync.core.text import html_to_plain
from civicsync.sync.publish.decisions import Plan
from civicsync.sync.publish.intents import write_plan
from civicsync.sync.publish.planning import Planner

KEY = "0123456789abcdef" * 4
ROUTE, SPACE = "from-a-to-b", "group/1"
LIMITS = Limits(title=(1, 90), body=(0, 1_000_000), sends="plain")
SENTENCE = (
    "de straat is gevaarlijk voor kinderen die naar school gaan en wij vragen daarom om een drempel een zebrapad meer bomen "
    "voor de café’s aan het plein met banken waar ouderen kunnen zitten want het is er te druk en te warm in de zomer"
)
WORDS = SENTENCE.split()


class Writer:
    """As much of a writer as a plan asks."""

    def fit(self, space: str, draft: Draft) -> Fitted:
        return text_rules.fit(draft)

    def fits_by(self, space: str) -> object:
        return ()


def configured(platform: str = "your-priorities", **target: Any) -> dict[str, Any]:
    """A configuration with one route, all copies of which wait for a person."""
    return {
        "civicsync": 1,
        "operator": {"name": "Stad", "contact": "stad@example.org"},
        "privacy": {"key": KEY},
        "instances": {
            "a": {"platform": "consul", "url": "https://a.example"},
            "b": {"platform": platform, "url": "https://b.example", **target},
        },
        "routes": {
            ROUTE: {
                "from": {"instance": "a"},
                "to": {"instance": "b", "space": SPACE},
                "max_per_run": 1_000_000,
                "max_per_day": 1_000_000,
            }
        },
    }


def fill(engine: Engine, many: int, clock: FakeClock) -> None:
    """So many origins."""
    rng, now = random.Random(7), clock.now()
    proposals, texts, linked = list[dict[str, Any]](), list[dict[str, Any]](), list[dict[str, Any]]()

    def said(words: int) -> str:
        return " ".join(rng.choice(WORDS) for _ in range(words)).capitalize()

    for own in range(many):
        key, title = f"a/proposal/{own}", f"{said(6)} {own}"
        html = "".join(f"<p>{said(rng.randint(10, 60))}. {said(20)}.</p>" for _ in range(rng.randint(1, 5)))
        if own % 3 == 0:
            html += f"<ul><li>{said(5)}</li><li><strong>{said(4)}</strong></li></ul>"
        if own % 4 == 0:
            html += f'<p>Zie <a href="https://voorbeeld.example/{own}" rel="noopener noreferrer nofollow">{said(2)}</a>.</p>'
        row = {
            "key": key,
            "instance": "a",
            "kind": "proposal",
            "remote_id": str(own),
            "title": title,
            "locale": "nl",
            "url": f"https://a.example/proposals/{own}",
            "author": f"u-{own % 500}",
            "published_at": now - timedelta(hours=1, seconds=own),
            "first_seen_at": now,
            "changed_at": now - timedelta(minutes=30),
            "missing_runs": 0,
            "official": False,
            "version": 1,
            "state": "open",
            "scope": "p",
        }
        proposals.append(row)
        words = {"locale": "nl", "machine": False, "title": title, "html": html, "plain": html_to_plain(html)}
        texts.append({"proposal_key": key, **words})
        linked.append({"proposal_key": key, "category_key": f"a/category/{own % 20}"})
    categories = [
        {
            "key": f"a/category/{own}",
            "instance": "a",
            "kind": "category",
            "remote_id": str(own),
            "scope": "c",
            "name": f"Thema {own}",
            "first_seen_at": now,
            "changed_at": now,
            "missing_runs": 0,
        }
        for own in range(20)
    ]
    with engine.begin() as connection:
        insert_new(connection, table_of(CategoryRow), categories)
        insert_new(connection, table_of(ProposalRow), proposals)
        insert_new(connection, table_of(ProposalTextRow), texts)
        insert_new(connection, table_of(ProposalCategoryRow), linked)


def timed(what: str, many: int, work: Callable[[], Plan | None], *, profile: bool = False) -> Plan | None:
    """Do it and print its CPU seconds, of this process, for each of so many copies."""
    profiler = cProfile.Profile()
    began, cpu = time.perf_counter(), time.process_time()
    found = profiler.runcall(work) if profile else work()
    spent, elapsed = time.process_time() - cpu, time.perf_counter() - began
    print(f"{what:44} {spent * 1000 / many:8.3f} ms of CPU a copy {spent:7.2f} s {elapsed:7.2f} s elapsed", flush=True)
    if profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(45)
    return found


def plans(database: str, many: int, profile: str) -> None:
    clock = FakeClock()
    engine = open_engine(parse_url(database))
    migrate(engine)
    fill(engine, many, clock)
    config, ledger = Config.model_validate(configured()), Ledger(engine, clock)
    route = config.routes[ROUTE]

    def planned() -> Plan:
        writer: Any = Writer()
        return Planner(config, engine, ledger, Signer(KEY), ROUTE, writer, LIMITS).plan(1_000_000)

    def written(plan: Plan, *, first: bool) -> None:
        write_plan(ledger, route, plan, first=first)
        ledger.save_route(ROUTE, fingerprint=plan.fingerprint, planned_at=plan.began)

    plan = timed("plan of new copies", many, planned, profile=profile == "new")
    assert plan is not None
    assert len(plan.decisions) == many
    timed("writing them down", many, lambda: written(plan, first=True), profile=profile == "writing")
    for again in ("plan while all wait", "the same once more"):
        clock.advance(900)
        waiting = timed(again, many, planned, profile=profile == "waiting")
        assert waiting is not None
        assert waiting.decisions == []
        written(waiting, first=False)
    engine.dispose()


def _filled(database: str, many: int) -> None:
    engine = open_engine(parse_url(database))
    migrate(engine)
    fill(engine, many, FakeClock())
    engine.dispose()


def memory(many: int, folder: Path) -> None:
    """The peak memory of the verb, in a process of its own."""
    command = [str(Path(sys.executable).with_name("civicsync"))]
    server = subprocess.Popen([*command, "sandbox", "your-priorities", "--size", "5"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        block = json.loads(server.stdout.readline())["instance"]
        config = configured() | {"database": f"sqlite:///{folder / 'memory.db'}"}
        secrets = {name: block[name] for name in ("email", "password") if name in block}
        config["instances"]["b"] = block | {name: f"${{PLANNING_{name.upper()}}}" for name in secrets}
        config["privacy"] = {"key": "${PLANNING_KEY}"}
        known = {f"PLANNING_{name.upper()}": value for name, value in (secrets | {"key": KEY}).items()}
        # In a process of its own: what this one needed would count as the verb's, which is forked from it.
        filling = multiprocessing.get_context("spawn").Process(target=_filled, args=(config["database"], many))
        filling.start()
        filling.join()
        (folder / "civicsync.yaml").write_text(json.dumps(config))
        with (folder / "plan.json").open("wb") as out:
            verb = ["--config", str(folder / "civicsync.yaml"), "publish", "--dry-run", "--json"]
            child = subprocess.Popen([*command, *verb], stdout=out, env=os.environ | known)
            _, status, used = os.wait4(child.pid, 0)
        rows = json.loads((folder / "plan.json").read_text())
        print(
            f"publish --dry-run --json of {len(rows[0]['decisions']):,} new copies: exit {os.waitstatus_to_exitcode(status)}, peak "
            f"{used.ru_maxrss / 1024:,.0f} MB, {used.ru_utime + used.ru_stime:,.1f} s of CPU, "
            f"{(folder / 'plan.json').stat().st_size / 1e6:,.0f} MB of JSON {rows[0]['message']}"
        )
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=5_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--profile", choices=["new", "writing", "waiting"], default="")
    parser.add_argument("--memory", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.proposals:
            plans(given.database or f"sqlite:///{Path(folder) / 'plans.db'}", given.proposals, given.profile)
        if given.memory:
            memory(given.memory, Path(folder))


if __name__ == "__main__":
    main()
