"""What CONSUL is asked a second time: why a proposal was retired, and texts in further languages."""

from typing import Any

import pytest

from civicsync.connectors.consul import CONNECTOR
from civicsync.connectors.consul.sandbox import ConsulSandbox
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.core.records import Proposal

VERSIONS = ("1.4.1", "2.1.1", "2.5.1")


def translated(version: str) -> ConsulSandbox:
    """A city in which proposals 2 and 4 and debate 1 say something in English too."""
    sandbox = ConsulSandbox(version=version, size=60)
    for table, own in (("proposals", 2), ("proposals", 4), ("debates", 1)):
        text = {"title": f"In English {own}", "summary": "Short.", "description": "<p>More of it.</p>"}
        sandbox.database.tables[table].by_id[own].texts["en"] = text
    return sandbox


def texts(store: MemoryStore, ref: str) -> dict[str, str]:
    record: Any = store.rows[ref].record
    assert isinstance(record, Proposal)
    return {text.locale: text.title for text in record.texts}


@pytest.mark.parametrize("version", VERSIONS)
async def test_further_languages(version: str) -> None:
    sandbox = translated(version)
    async with reading(CONNECTOR, sandbox, locales=["nl", "en"], drafts="include") as (reader, _):
        store = MemoryStore()
        await pull(reader, store)
        assert not store.quarantine
        assert texts(store, "proposal/2")["en"] == "In English 2"
        assert texts(store, "debate/1")["en"] == "In English 1"
        # A text that is there in one language only is filed under the first: the fallback is no translation.
        assert set(texts(store, "proposal/1")) == {"nl"}
        sandbox.database.tables["proposals"].by_id[4].texts["en"]["title"] = "Changed"
        sandbox.change("support", id=4)
        await pull(reader, store)
        assert texts(store, "proposal/4")["en"] == "Changed"
        writes = store.writes
        await pull(reader, store, full=True)
        assert store.writes == writes, "an unchanged translation is no change"


@pytest.mark.parametrize("version", VERSIONS)
async def test_why_a_proposal_was_retired(version: str) -> None:
    sandbox = ConsulSandbox(version=version, size=60)
    async with reading(CONNECTOR, sandbox, drafts="include") as (reader, _):
        store = MemoryStore()
        await pull(reader, store)
        states = {ref: getattr(row.record, "native_state", None) for ref, row in store.alive("proposal").items()}
        assert states["proposal/29"] == "retired: duplicated: Al gevraagd."
        assert states["proposal/1"] is None
        asked = "\n".join(sandbox.stats.log)
        assert "retiredExplanation" not in asked
        sandbox.change("retire", id=1)
        await pull(reader, store)
        assert getattr(store.rows["proposal/1"].record, "native_state", None) == "retired: done: Klaar."


async def test_one_language_costs_nothing_more() -> None:
    requests: list[int] = []
    for locales in (["nl"], ["nl", "en"]):
        sandbox = ConsulSandbox(size=60, plain=True)
        async with reading(CONNECTOR, sandbox, locales=locales, drafts="include") as (reader, _):
            await pull(reader, MemoryStore())
            requests.append(sandbox.stats.requests)
    assert requests[0] < requests[1]
