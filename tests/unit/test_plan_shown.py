"""The decisions of a dry run are handed over as they are made, and printed as one document, however many there are."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from civicsync.app.cli import publish
from civicsync.app.cli.common import json_text
from civicsync.connectors.contract.exchange import Request
from civicsync.core import events
from civicsync.sync.publish.decisions import Action, Decision
from civicsync.sync.publish.publisher import Publisher
from tests.support.mesh import Mesh

ROUTE = "a-to-b"


@pytest.fixture
def world(tmp_path: Path) -> Mesh:
    made = Mesh(tmp_path, "ab")
    for number in range(3):
        made.worlds["a"].write(f"Meer bomen {number}", "In de straat.")
    made.pull()
    return made


def test_what_is_shown_is_what_a_dry_run_keeps_otherwise_and_is_not_kept(world: Mesh) -> None:
    [kept] = world.publish(ROUTE, dry_run=True)
    assert kept.plan is not None
    shown: list[tuple[str, Decision, Any]] = []
    told: list[events.Event] = []
    publisher = Publisher(world.config, world.engine, world.clock, shown=lambda *each: shown.append(each))

    async def dry() -> Any:
        return await publisher.publish([ROUTE], dry_run=True)

    with events.listen(told.append):
        [outcome] = anyio.run(dry)
    assert [(route, each.origin, each.payload) for route, each, _ in shown] == [
        (ROUTE, each.origin, each.payload) for each in kept.plan.decisions
    ]
    assert [requests for _, _, requests in shown] == list(kept.requests.values())
    assert outcome.plan is not None
    assert (outcome.plan.decisions, outcome.plan.bases, outcome.requests) == ([], {}, {})
    assert len([each for each in told if isinstance(each, events.DecisionMade)]) == 3


def _decision(number: int) -> Decision:
    return Decision(Action.CREATE, f"a/proposal/{number}", f"Titel {number} \x1b[31m\u202e", "it qualifies")


@pytest.mark.parametrize("many", [[], [0], [1], [2, 0], [0, 2], [1, 3]])
def test_the_document_is_the_same_as_if_it_were_written_at_once(
    capsys: pytest.CaptureFixture[str], many: list[int]
) -> None:
    rows = [{"route": f"r{position}", "outcome": "done", "skipped": {}} for position, _ in enumerate(many)]
    requests = [Request("POST", "/proposals?token=secret", form=[("title", "één\ntwee")])]
    with publish._Decisions() as decisions:
        for number in range(max(many, default=0)):
            for position, limit in enumerate(many):
                if number < limit:
                    decisions.take(f"r{position}", _decision(number), requests)
        decisions.print(rows)
    printed = capsys.readouterr().out
    whole = [
        {**row, "decisions": [publish._decision(_decision(number), requests) for number in range(limit)]}
        for row, limit in zip(rows, many, strict=True)
    ]
    assert printed == json_text(whole) + "\n"
    assert len(json.loads(printed)) == len(many)
