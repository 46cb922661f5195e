"""What every reader owes: the truth of its platform, little work when nothing changed, and no loss whatever goes wrong.

Each check has a name that says what broke. They run against the platform's sandbox, in-process, without waiting; a stranger's test
file gets them all by one line (`reader_suite` in `kit`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import msgspec
import pytest

from ...core.clock import FakeClock
from ...core.identity import Ref
from ...core.records import Answer, Area, Category, Comment, Proposal, Record, Vote
from ...core.schema.tables import ROWS
from ...core.store.kinds import KindTables
from ...core.store.rows import RowMaker
from ..contract.errors import ConnectorError
from ..contract.reading import CanConfirm, Connector, Context, Page, Probe, PullRequest, Reader
from .faults import Fault
from .harness import reading
from .memory import MemoryStore, pull
from .sandbox.sandbox import Sandbox

PASSING_FAULTS = (
    "429",
    "429_retry_after",
    "500",
    "503",
    "html_200",
    "cut_json",
    "cut_connection",
    "reset",
    "reset_after_store",
    "slow",
)
LASTING_FAULTS = ("500", "503", "html_200", "cut_json", "reset", "hang")
SEED = 3
_DECLARED: dict[type[Record], str] = {
    Proposal: "proposals",
    Comment: "comments",
    Answer: "answers",
    Category: "categories",
    Area: "areas",
    Vote: "votes",
}


@dataclass
class City:
    """A toy city, a reader of it, and a store for what was read; one clock for all."""

    sandbox: Sandbox
    reader: Reader
    context: Context
    clock: FakeClock
    probe: Probe
    kinds: Sequence[str]
    """Of proposals, the ordinary one first."""
    store: MemoryStore = field(default_factory=MemoryStore)

    async def pull(self, *, full: bool = False, spaces: Sequence[Ref] = ()) -> None:
        """One run; time has passed since the last one."""
        self.clock.advance(10)
        await pull(self.reader, self.store, full=full, spaces=spaces, probe=self.probe)

    async def follow(self) -> None:
        """As many runs as it takes to believe an absence, and one that reads everything."""
        for full in (False, True, False):
            await self.pull(full=full)

    def public(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What an anonymous reader should get, by kind and id."""
        return {(row["kind"], row["id"]): row for row in self.sandbox.truth()["proposals"] if row["public"]}

    def proposals(self) -> dict[tuple[str, str], Ref]:
        """The reference of everything alive in the store that is a proposal, by kind and id."""
        alive = self.store.alive().items()
        return {(row.record.kind, row.record.id): ref for ref, row in alive if isinstance(row.record, Proposal)}

    def ref(self, row: Mapping[str, Any]) -> Ref:
        """The reference of a row of the truth."""
        return self.proposals()[row["kind"], row["id"]]

    def some(self, count: int) -> list[dict[str, Any]]:
        """Open proposals of the ordinary kind."""
        rows = [row for row in self.public().values() if row["kind"] == self.kinds[0] and row["state"] == "open"]
        assert len(rows) >= count, f"the sandbox's city has {len(rows)} open proposals, this check needs {count}"
        return rows[:count]

    def stored(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the store holds, in the truth's words."""
        maker = RowMaker("test", list(self.probe.locales))
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for own, ref in self.proposals().items():
            row = self.store.rows[ref]
            assert isinstance(row.record, Proposal)
            text, counters = maker.best(row.record.texts), row.counters
            found[own] = {
                "title": text.title if text else "",
                "state": row.record.state.value,
                "supports": counters.supports if counters else None,
                "comments": counters.comments if counters else None,
            }
        return found

    def is_right(self) -> None:
        """The store equals the truth: every public record, every counter, no other."""
        names = ("title", "state", "supports", "comments")
        truth = {own: {name: row[name] for name in names} for own, row in self.public().items()}
        stored = self.stored()
        assert not self.store.quarantine, f"in quarantine: {self.store.quarantine[:3]}"
        assert not truth.keys() - stored.keys(), f"never read: {sorted(truth.keys() - stored.keys())[:5]}"
        assert not stored.keys() - truth.keys(), f"not public, but stored: {sorted(stored.keys() - truth.keys())[:5]}"
        wrong = [f"{own}: {stored[own]} is {row} on the platform" for own, row in truth.items() if stored[own] != row]
        assert not wrong, "\n".join(["read wrongly:", *wrong[:5]])
        targets = set(self.proposals().values())
        comments = {
            ref
            for ref, row in self.store.alive().items()
            if isinstance(row.record, Comment) and self._counts(row.record, targets)
        }
        expected = {f"{row['kind']}/{row['id']}" for row in self.sandbox.truth()["comments"] if row["public"]}
        assert comments == expected, f"comments: {sorted(comments ^ expected)[:5]} are on one side only"

    def _counts(self, comment: Comment, proposals: set[Ref]) -> bool:
        """What hangs on a proposal that is gone went with it, whether or not anybody looked."""
        return comment.target in proposals or comment.target not in self.store.rows

    def nothing_went(self) -> None:
        """No absence was believed, nor even noted."""
        gone = [ref for ref, row in self.store.rows.items() if row.gone or row.missing]
        assert not gone, f"believed to be missing: {gone[:5]}"


class ReaderChecks:
    """Every check of a reader; `reader_suite` makes a class of them for one platform."""

    connector: ClassVar[Connector]
    sandbox: ClassVar[Callable[..., Sandbox]]
    settings: ClassVar[Mapping[str, Any]] = {}
    size: ClassVar[int] = 60
    requests_when_unchanged: ClassVar[int] = 25

    @asynccontextmanager
    async def city(self, version: str, *, size: int | None = None) -> AsyncGenerator[City]:
        """A city of this release and a reader that has looked around in it."""
        clock = FakeClock()

        async def sleep(seconds: float) -> None:
            clock.advance(seconds)

        sandbox = type(self).sandbox(
            version=version, size=self.size if size is None else size, seed=SEED, clock=clock.now, sleep=sleep
        )
        async with reading(self.connector, sandbox, clock=clock, **self.settings) as (reader, context):
            yield City(sandbox, reader, context, clock, await reader.probe(), self.connector.kinds["proposals"])

    def _changed(
        self,
        version: str,
        operation: str,
        *,
        size: int | None = None,
        **arguments: Any,
    ) -> None:
        """Pull, change one thing on the platform, pull: the store is right again."""

        async def check() -> None:
            async with self.city(version, size=size) as city:
                if operation not in city.sandbox.operations():
                    pytest.skip(f"the sandbox of {self.connector.platform} knows no {operation}")
                await city.pull()
                city.is_right()
                city.clock.advance(5000)
                city.sandbox.change(operation, id=city.some(1)[0]["id"], **arguments)
                # What a platform tells only in a file that it makes at night has its night.
                city.clock.advance(86_400)
                await city.follow()
                city.is_right()

        run(check())

    # What it says of itself

    def test_the_probe_says_what_answers(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                probe = city.probe
                assert probe.platform == self.connector.platform, f"it calls itself {probe.platform!r}"
                assert probe.dialect, "no dialect"
                assert probe.strategy, "it does not say how it will pull"
                assert probe.locales, "no languages: nobody knows which title is the title"

        run(check())

    def test_a_probe_that_was_kept_still_serves(self, version: str) -> None:
        """The next run is handed the probe of the last one, as JSON kept it."""

        async def check() -> None:
            async with self.city(version) as city:
                kept = msgspec.json.decode(msgspec.json.encode({**asdict(city.probe), "facts": dict(city.probe.facts)}))
                city.probe = msgspec.convert(kept, Probe)
                await city.pull()
                city.is_right()

        run(check())

    def test_discover_names_the_spaces_of_all_proposals(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                spaces = {space.ref for space in await city.reader.discover(city.probe)}
                assert spaces, "no spaces"
                used = {r.record.space for r in city.store.rows.values() if isinstance(r.record, Proposal)} - {None}
                assert used <= spaces | set(city.store.rows), f"unknown spaces: {sorted(map(str, used - spaces))[:5]}"

        run(check())

    # The truth

    def test_a_pull_equals_the_truth(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version, size=max(self.size, 90)) as city:
                await city.pull()
                city.is_right()
                assert city.proposals(), "the city is empty: nothing was checked"

        run(check())

    def test_what_it_shows_is_of_the_kinds_it_declares(self, version: str) -> None:
        """`Connector.kinds` says in which table a record lives; of a kind that is not named there, what is gone would never go."""

        async def check() -> None:
            tables = KindTables(self.connector.kinds)
            async with self.city(version) as city:
                for page in await _pages(city):
                    for record in [record for item in page.items if item.build for record in item.build()]:
                        if isinstance(record, tuple(_DECLARED)):
                            found, wanted = tables.row_class(record.ref), ROWS[_DECLARED[type(record)]]
                            assert found is wanted, f"{record.ref} is none of the kinds of {_DECLARED[type(record)]}"

        run(check())

    @pytest.mark.parametrize("size", [0, 1, 21])
    def test_a_small_city_is_read_whole(self, version: str, size: int) -> None:
        async def check() -> None:
            async with self.city(version, size=size) as city:
                await city.pull()
                city.is_right()

        run(check())

    def test_only_the_spaces_that_were_asked_for_are_read(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                spaces: dict[Ref, set[Ref]] = {}
                for ref in city.proposals().values():
                    record = city.store.rows[ref].record
                    if isinstance(record, Proposal) and record.space:
                        spaces.setdefault(record.space, set()).add(ref)
                offered = {space.ref for space in await city.reader.discover(city.probe)}
                asked = next((space for space in spaces if space in offered), None)
                assert asked is not None, "no proposal is in a space that `discover` names"
                city.store = MemoryStore()
                await city.pull(spaces=[asked])
                read = set(city.proposals().values())
                assert read == spaces[asked], f"asked for {asked}, got {sorted(read ^ spaces[asked])[:5]} wrong"
                city.store = MemoryStore()
                with contextlib.suppress(ConnectorError):
                    await city.pull(spaces=["nowhere/999999"])
                assert not city.proposals(), "a space that is not there was asked for, and proposals came"

        run(check())

    def test_a_second_pull_writes_nothing(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                writes = city.store.writes
                await city.pull()
                assert city.store.writes == writes, f"{city.store.writes - writes} unchanged records were written again"
                await city.pull(full=True)
                assert city.store.writes == writes, "a full pull wrote unchanged records again"
                city.is_right()

        run(check())

    def test_a_second_pull_asks_little(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                city.sandbox.reset_stats()
                await city.pull()
                asked = city.sandbox.stats.requests
                assert 0 < asked <= self.requests_when_unchanged, f"{asked} requests, and nothing had changed"

        run(check())

    # Changes

    def test_an_edit_is_followed(self, version: str) -> None:
        self._changed(version, "edit", title="Een heel andere titel")

    def test_new_supports_are_followed(self, version: str) -> None:
        self._changed(version, "support", times=3)

    def test_a_new_comment_is_followed(self, version: str) -> None:
        self._changed(version, "comment", body="Nieuw")

    def test_a_withdrawal_is_followed(self, version: str) -> None:
        self._changed(version, "withdraw")

    def test_a_hidden_record_goes(self, version: str) -> None:
        self._changed(version, "hide")

    def test_a_deleted_record_goes(self, version: str) -> None:
        self._changed(version, "delete")

    def test_a_restored_record_returns(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                own = city.some(1)[0]["id"]
                city.sandbox.change("hide", id=own)
                city.clock.advance(86_400)
                await city.follow()
                city.sandbox.change("restore", id=own)
                city.clock.advance(86_400)
                await city.follow()
                city.is_right()

        run(check())

    def test_a_new_record_is_found(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                city.clock.advance(5000)
                city.sandbox.change("add_proposal", title="Een nieuw voorstel")
                await city.follow()
                assert "Een nieuw voorstel" in {row["title"] for row in city.stored().values()}, "it was not found"
                city.is_right()

        run(check())

    def test_single_records_can_be_asked_for(self, version: str) -> None:
        """Optional (`CanConfirm`): there, gone, and what was never there is not said to be there."""

        async def check() -> None:
            async with self.city(version) as city:
                if not isinstance(city.reader, CanConfirm):
                    pytest.skip("this reader cannot ask for single records")
                await city.pull()
                hidden, there = (city.ref(row) for row in city.some(2))
                city.clock.advance(5000)
                city.sandbox.change("hide", id=hidden.partition("/")[2])
                # Some releases go on showing what is hidden; then it is there.
                public = hidden.partition("/")[2] in {row["id"] for row in city.public().values()}
                never = f"{there.partition('/')[0]}/999999999"
                verdict = await city.reader.still_there([hidden, there, never])
                assert verdict.get(there) is True, f"{there} is there, and it says {verdict.get(there)}"
                assert public or verdict.get(hidden) is not True, f"{hidden} is hidden, and it says it is there"
                assert verdict.get(never) is not True, f"{never} never was, and it says it is there"
                city.sandbox.plant(Fault("503", times=None))
                with contextlib.suppress(ConnectorError):
                    verdict = await city.reader.still_there([there])
                    assert verdict.get(there) is not False, "the platform is down, and it says a record is gone"

        run(check())

    # What goes wrong

    @pytest.mark.parametrize("fault", PASSING_FAULTS)
    def test_a_fault_that_passes_loses_nothing(self, version: str, fault: str) -> None:
        """Each twice, at every stage of a pull, with an empty store and with a full one; then all is as it should be."""

        async def check() -> None:
            async with self.city(version) as city:
                for after in (0, 1, 3, 6, 0):
                    city.sandbox.plant(Fault(kind=fault, after=after, times=2, seconds=1.0, retry_after=2))
                    await self._may_fail(city, full=after == 3)
                    city.nothing_went()
                assert city.sandbox.faults.fired[fault], "it never struck: nothing was checked"
                city.sandbox.plant()
                for full in (True, False):
                    await city.pull(full=full)
                city.is_right()
                city.nothing_went()

        run(check())

    @pytest.mark.parametrize("fault", LASTING_FAULTS)
    def test_a_fault_that_stays_claims_nothing(self, version: str, fault: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                city.sandbox.plant(Fault(kind=fault, times=None, seconds=1.0))
                for full in (False, True):
                    assert not await self._may_fail(city, full=full), "nothing answered, and the pull says it is done"
                    city.nothing_went()
                city.sandbox.plant()
                await city.pull(full=True)
                city.is_right()

        run(check())

    def test_an_empty_looking_platform_is_not_an_empty_one(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                self._empty(city)
                for full in (False, True, True):
                    await self._may_fail(city, full=full)
                assert city.proposals().keys() == city.public().keys(), "lists came back empty, and that was believed"
                self._filled(city)
                await city.pull(full=True)
                city.is_right()

        run(check())

    def test_a_killed_pull_goes_on_after_its_last_page(self, version: str) -> None:
        """Stopped after many a number of pages: the store ends as after an uninterrupted pull."""

        async def check() -> None:
            async with self.city(version, size=max(self.size, 120)) as city:
                await city.pull()
                whole = city.store
                for stop in range(1, whole.pages, max(1, whole.pages // 8)):
                    city.store = MemoryStore()
                    pages: Any = city.reader.pull(PullRequest(probe=city.probe, stored=city.store))
                    for _ in range(stop):
                        await city.store.apply(await anext(pages), city.reader)
                    await pages.aclose()
                    await city.pull()
                    city.is_right()
                    city.nothing_went()
                    left = whole.rows.keys() ^ city.store.rows.keys()
                    assert not left, f"killed after {stop} pages it ends otherwise: {sorted(left)[:5]}"

        run(check())

    # Records and what they carry

    def test_an_item_builds_the_record_that_it_names(self, version: str) -> None:
        """Whenever it is asked to: the store calls `build` late, and from quarantine perhaps never."""

        async def check() -> None:
            async with self.city(version) as city:
                for page in await _pages(city):
                    for item in page.items:
                        if item.build is None:
                            continue
                        built = item.build()
                        assert item.ref in {record.ref for record in built}, f"{item.ref} builds other records"
                        again = item.build()
                        assert [r.model_dump() for r in built] == [r.model_dump() for r in again], f"{item.ref} varies"
                        assert item.digest, f"{item.ref} has no digest: it would be written by every run"
                        json.dumps(item.kept(), default=str)

        run(check())

    def test_what_quarantine_keeps_can_be_mapped_again(self, version: str) -> None:
        """Optional (`Connector.remap`): the raw form is enough to make the record later."""

        async def check() -> None:
            remap = self.connector.remap
            if remap is None:
                pytest.skip("this connector maps nothing again")
            async with self.city(version) as city:
                seen = 0
                for page in await _pages(city):
                    for item in page.items:
                        if item.build is None or not item.kept() or item.ref.partition("/")[0] != city.kinds[0]:
                            continue
                        kept = msgspec.json.decode(msgspec.json.encode(item.kept()))
                        [first] = [r for r in item.build() if isinstance(r, Proposal) and r.ref == item.ref]
                        mapped = [r for r in remap(city.context, item.ref, kept) if isinstance(r, Proposal)]
                        assert [_content(r) for r in mapped] == [_content(first)], f"{item.ref} is mapped otherwise"
                        seen += 1
                assert seen, "no proposal keeps its raw form: nothing was checked"

        run(check())

    def test_no_private_data_leaves_the_connector(self, version: str) -> None:
        """Not in a record, not in a token, a cursor or a memory, and not in what quarantine would keep."""

        async def check() -> None:
            async with self.city(version) as city:
                tokens = city.sandbox.plant_private_data()
                assert tokens, "the sandbox planted none: nothing was checked"
                pages = await _pages(city)
                left = json.dumps(
                    [
                        [
                            [r.model_dump(mode="json") for r in item.build()] if item.build is not None else None,
                            item.token,
                            item.kept(),
                        ]
                        for page in pages
                        for item in page.items
                    ]
                    + [[page.note, page.next, dict(page.memory)] for page in pages],
                    default=str,
                    ensure_ascii=False,
                )
                leaked = [token for token in tokens if token in left]
                assert not leaked, f"private data left the connector: {leaked[:5]}"

        run(check())

    def test_authors_are_pseudonyms(self, version: str) -> None:
        async def check() -> None:
            async with self.city(version) as city:
                await city.pull()
                people = {str(row["author"]) for row in city.public().values() if row["author"] is not None}
                known = {city.context.pseudonym(each) for each in people}
                authors = {
                    row.record.author
                    for row in city.store.alive().values()
                    if isinstance(row.record, Proposal) and row.record.author
                }
                assert authors, "no proposal has an author: nothing was checked"
                assert authors <= known, f"authors that are no pseudonyms of authors: {sorted(authors - known)[:3]}"

        run(check())

    # Helpers that a platform with other habits overrides

    async def _may_fail(self, city: City, *, full: bool) -> bool:
        """One pull that may end with an error, never without words; whether it ended well."""
        try:
            await city.pull(full=full)
        except ConnectorError as error:
            assert str(error), "an error without a word"
            return False
        return True

    def _empty(self, city: City) -> None:
        """Every list comes back empty, with a friendly 200; what the database holds stays as it is."""
        truth = city.public().keys()
        if "empty" in city.sandbox.extra_faults:
            city.sandbox.plant(Fault(kind="empty", times=None))
        else:
            city.sandbox.change("empty")
        assert truth and city.public().keys() == truth, "the sandbox is empty, it does not only look so"

    def _filled(self, city: City) -> None:
        city.sandbox.plant()
        if "empty" not in city.sandbox.extra_faults:
            city.sandbox.change("fill")


def _content(proposal: Proposal) -> dict[str, Any]:
    """Everything but the names of languages: only a probe knows those."""
    texts = [(text.title, text.plain) for text in proposal.texts]
    return {**proposal.model_dump(exclude={"texts"}), "texts": texts}


async def _pages(city: City) -> list[Page]:
    """All pages of a first pull."""
    return [page async for page in city.reader.pull(PullRequest(probe=city.probe, stored=MemoryStore()))]


def run(check: Coroutine[Any, Any, None]) -> None:
    """The checks are ordinary functions, so that a stranger needs no plugin for asynchronous tests."""
    asyncio.run(check)
