"""How long the duplicate finder takes, and how good it is on its probe set.

    python -m benchmarks.duplicates [--proposals 10000]

Conditions: one process, one thread (OMP_NUM_THREADS=1), SQLite. Proposals are made of the words of the probe set, drawn within a language
(nl, en, es, ca, de, is), with a title of 55 characters as in real cities; once titles alone, once with texts of 180 characters, of which
the model reads 120 characters with the title. A second run finds its vectors stored. CPU seconds beside elapsed ones: a shared machine
takes longer.
"""

import argparse
import os
import random
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from civicsync.analysis.duplicates.find import Ran, find
from civicsync.analysis.duplicates.probe import LANGUAGES, evaluate, labelled
from civicsync.analysis.duplicates.scoring import THRESHOLD
from civicsync.core.clock import Clock
from civicsync.core.schema.database import migrate, open_engine, parse_url
from civicsync.core.schema.tables import ProposalRow, ProposalTextRow, table_of
from civicsync.core.store.bulk import insert_new


def drawn(rng: random.Random, words: list[str], length: int) -> str:
    """Words until about so many characters are there, each with a number now and then, as streets and years have them."""
    said = ""
    while len(said) < length:
        said += (" " if said else "") + rng.choice(words) + (f" {rng.randint(1, 400)}" if rng.random() < 0.1 else "")
    return said.capitalize()


def fill(engine: Any, many: int, body: int) -> None:
    rng = random.Random(7)
    words = {
        code: [
            w
            for each in labelled()
            if each.text.language == code
            for w in f"{each.text.title} {each.text.body}".split()
        ]
        for code in LANGUAGES
    }
    proposals: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    for own in range(many):
        code = LANGUAGES[own % 6]
        key, title = f"city-{own % 3}/proposal/{own}", drawn(rng, words[code], 50)
        row = {
            "key": key,
            "instance": f"city-{own % 3}",
            "kind": "proposal",
            "remote_id": str(own),
            "title": title,
            "locale": code,
        }
        defaults = {
            "missing_runs": 0,
            "official": False,
            "version": 1,
            "state": "open",
            "scope": "p",
            "changed_at": datetime(2026, 11, 1, tzinfo=UTC),
        }
        proposals.append({**row, **defaults})
        said = drawn(rng, words[code], body) if body else ""
        texts.append({"proposal_key": key, "locale": code, "machine": False, "title": title, "html": "", "plain": said})
    with engine.begin() as connection:
        insert_new(connection, table_of(ProposalRow), proposals)
        insert_new(connection, table_of(ProposalTextRow), texts)


def timed(engine: Any, name: str, **options: Any) -> Ran:
    began, work = time.perf_counter(), time.process_time()
    at: dict[str, float] = {}

    def progress(doing: str, done: int, total: int) -> None:
        at[doing] = time.process_time() - work

    ran = find(engine, clock=Clock(), progress=progress, **options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    steps = ", ".join(f"{doing} until {seconds:,.0f} s" for doing, seconds in at.items())
    print(
        f"{name:34} {time.perf_counter() - began:7,.0f} s elapsed {time.process_time() - work:7,.0f} s of CPU  {len(ran.pairs):,} pairs, "
        f"peak {peak:,.0f} MB ({steps})",
        flush=True,
    )
    return ran


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=10_000)
    given = parser.parse_args()
    for body, name in ((0, "titles"), (180, "titles and texts")):
        with tempfile.TemporaryDirectory() as folder:
            engine = open_engine(parse_url(f"sqlite:///{Path(folder) / 'd.db'}"))
            migrate(engine)
            fill(engine, given.proposals, body)
            timed(engine, f"{given.proposals:,} {name}, words only", semantic=False)
            timed(engine, f"{given.proposals:,} {name}")
            timed(engine, "... again, vectors stored")
            engine.dispose()
    done = evaluate()
    others = [found for found in done.firsts if found.languages[0] != found.languages[1]]
    five = min(found.recall for found in others if "is" not in found.languages)
    ice = min(found.recall for found in others if "is" in found.languages)
    print(f"probe set, recall@1, the worst pair of languages: {five:.3f} among nl, en, es, ca, de; {ice:.3f} with is")
    for step in done.thresholds:
        chosen = "  <- the threshold of `find`" if step.threshold == THRESHOLD else ""
        print(
            f"threshold {step.threshold:.2f}: precision {step.precision or 0:.3f}, recall {step.recall or 0:.3f}{chosen}"
        )


if __name__ == "__main__":
    main()
