"""The recorded cities in the sandbox: it answers alike about the rows of real sites, and a whole pull reads them."""

import re
from pathlib import Path
from typing import Any

import pytest

from civicsync.connectors.decidim import CONNECTOR
from civicsync.connectors.decidim.sandbox import DecidimSandbox
from civicsync.connectors.testing.harness import reading
from civicsync.connectors.testing.memory import MemoryStore, pull
from civicsync.connectors.testing.sandbox.recordings import Recording, compare, load

FOLDER = Path(__file__).parent.parent / "recordings"
VERSIONS = {"0.28": "0.28.6", "0.30": "0.30.9", "0.31": "0.31", "0.32": "0.32"}
EXCUSED = {
    r"0.28 (022|023|024|025|163)-.*|0.32 (080|081|082)-.*": "people, meetings, metrics and moderations: the reader never asks for them",
    r"0.28 (009|010|115)-.*": "filters and orders of components: the reader uses neither",
    r"0.28 (070d|168|169|170|174)-.*|0.28 07[345]-.*": "asked by somebody signed in, or after settings or files changed",
    r"0.32 (041|053)-.*": "amendments are known from open data only, in one language",
    r"0.28 (072|161)-.*": "lists of endorsers, and single budgets: the reader never asks for them",
    r"0.28 091-.*": "a text of these rows was recorded nowhere in full",
    r"0.28 (15[3589]|158b|159b)-.*|0.\d\d (070-comments-of-full|072-.*)|0.32 (074-comments-orderBy-(best|most)|110).*": "trees around "
    "deleted comments: which comment was deleted was recorded nowhere, only that one was",
    r"0.28 167-.*": "recorded before a proposal was added there",
    r"0.30 001-.*": "taxonomies of the organization with fields recorded nowhere",
    r"0.32 (020|113|132)-.*": "errors about single authors and taxonomies of rows whose other fields were recorded nowhere",
}  # fmt: skip


def about_the_city(line: str) -> list[Recording]:
    """Reads made before the first recorded write, that show rows."""
    found: list[Recording] = []
    for each in load(FOLDER / f"decidim-{line}.jsonl"):
        body = each.request.get("body")
        data = each.json.get("data") if isinstance(each.json, dict) else None
        asked = each.request["path"].partition("?")[0].rstrip("/") == "/api" and "mutation" not in str(body)
        number = int(each.name[:3])
        rows = isinstance(data, dict) and any(
            value not in (None, [], {}) for name, value in data.items() if name != "decidim"
        )
        if asked and rows and number < 200:
            found.append(each)
    return found


@pytest.mark.parametrize("line", VERSIONS)
def test_the_recorded_city_answers_alike(line: str, record_property: Any) -> None:
    sandbox = DecidimSandbox(version=VERSIONS[line], size=0, throttle=False)
    sandbox.load_recorded(line)
    all_of_them = about_the_city(line)
    judged = [each for each in all_of_them if not any(re.fullmatch(p, f"{line} {each.name}") for p in EXCUSED)]
    wrong = {each.name: found[:3] for each in judged if (found := compare(each, sandbox.answer(each.asked())))}
    record_property(
        "recordings", f"{len(judged) - len(wrong)} of {len(judged)} alike, {len(all_of_them) - len(judged)} excused"
    )
    assert not wrong
    assert len(judged) >= {"0.28": 70, "0.30": 9, "0.31": 13, "0.32": 50}[line]


@pytest.mark.parametrize("line", VERSIONS)
async def test_a_whole_pull_reads_the_recorded_city(line: str) -> None:
    sandbox = DecidimSandbox(version=VERSIONS[line], size=0)
    sandbox.load_recorded(line)
    async with reading(CONNECTOR, sandbox) as (reader, _):
        store = MemoryStore()
        probe = await reader.probe()
        await pull(reader, store, probe=probe)
        assert not store.quarantine
        public = {f"{r['kind']}/{r['id']}" for r in sandbox.truth()["proposals"] if r["public"]}
        assert set(store.alive("proposal", "project", "debate")) == public
        writes = store.writes
        await pull(reader, store, probe=probe)
        await pull(reader, store, probe=probe, full=True)
        assert store.writes == writes
        assert len(public) > (100 if line in {"0.28", "0.32"} else 20)


def test_there_is_no_city_of_a_release_that_was_not_recorded() -> None:
    with pytest.raises(ValueError, match="no recorded state"):
        DecidimSandbox(version="0.29", size=0).load_recorded("0.29")
