"""A gateway that answers 504 at once and hands the write on later: seconds, minutes, hours. One public copy each, and never two for long.

Time is injected: a run takes as long as it takes to ask, and hours pass between runs.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from proof.crossing import Crossing
from proof.rewritten import Gateway

DELAYS = (timedelta(seconds=5), timedelta(seconds=40), timedelta(minutes=10), timedelta(hours=2))
_BETWEEN = timedelta(minutes=15)
_RUNS = 60


@dataclass(frozen=True, slots=True)
class Late:
    """What is wrong at the end ("" is right), how often each fault struck, and how many runs it took."""

    problem: str
    struck: Mapping[str, int]
    runs: int


def late(folder: Path, platform: str, version: str, voice: str | None, count: int, *, chance: float = 0.1) -> Late:
    """Publish `count` proposals while each write, with this chance, is answered 504 and stored after one of `DELAYS`."""
    crossing = Crossing(folder, platform, version, count=count, voice=voice)
    gateway = Gateway(crossing, 1, chance, late=DELAYS, faults=("late",))
    crossing.backends["city"] = gateway
    crossing.pull("board")
    wrong, twice, runs = list[str](), Counter[str](), 1
    outcome = crossing.publish()
    while runs < _RUNS:
        before, twice = twice, Counter({title: many for title, many in crossing.copies().items() if many > 1})
        wrong += [f"{title} was public twice for longer than one run" for title in before & twice]
        if outcome.outcome == "done" and not gateway.waiting:
            break
        crossing.clock.advance(_BETWEEN.total_seconds())
        crossing.arrive(gateway)
        outcome = crossing.publish()
        runs += 1
    gateway.chance = 0.0
    crossing.pull("city")
    crossing.publish()
    copies = crossing.copies()
    lost, doubled = count - len(copies), sum(many > 1 for many in copies.values())
    states = dict(crossing.rows("SELECT state, count(*) FROM publications GROUP BY state"))
    if lost or doubled or states != {"sent": count}:
        wrong.append(f"{lost} lost, {doubled} doubled, ledger {states}, {outcome.outcome}: {outcome.message}")
    crossing.engine.dispose()
    return Late("; ".join(wrong[:5]), gateway.struck, runs)
