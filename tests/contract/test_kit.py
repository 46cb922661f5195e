"""The kit itself: for each of its checks a fake that is broken in just that way, and the check that must say so.

A check that no broken fake fails is a check that nobody needs: a new one must be proven here.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from civicsync.connectors.contract.errors import ConnectorError, MaybeDone, NotDone, WriteError
from civicsync.connectors.contract.reading import Connector, Item, Page, Probe, PullRequest
from civicsync.connectors.contract.settings import InstanceSettings
from civicsync.connectors.contract.writing import Copy, Fitted, Limits, Reading, Request, Standing
from civicsync.connectors.testing import reader_suite, writer_suite
from civicsync.connectors.testing.fake import CONNECTOR, FakeReader, FakeSandbox, FakeWriter
from civicsync.core.identity import Ref
from civicsync.core.records import Counters, Proposal


def board(pages: Sequence[Page]) -> Page:
    return next(page for page in pages if page.scope == "board")


class Changed(FakeReader):
    """Reads as the fake does, and then changes the board's page."""

    kept: dict[str, Any]

    def change(self, page: Page, request: PullRequest) -> Page:
        return page

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        async for page in super().pull(request):
            yield self.change(page, request) if page.scope == "board" else page


def items(page: Page, change: Any) -> Page:
    return replace(page, items=[change(item) for item in page.items])


class LeavesOneOut(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        return replace(page, items=list(page.items)[:-1])


class CallsItselfOther(FakeReader):
    async def probe(self) -> Probe:
        return replace(await super().probe(), platform="other")


class NeedsATuple(FakeReader):
    async def probe(self) -> Probe:
        return replace(await super().probe(), facts={"steps": (1, 2)})

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        if isinstance(request.probe.facts["steps"], tuple):
            async for page in super().pull(request):
                yield page


class KnowsNoSpaces(FakeReader):
    async def discover(self, probe: Probe) -> Sequence[Any]:
        return []


class IgnoresSpaces(FakeReader):
    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        async for page in super().pull(replace(request, spaces=())):
            yield page


class NeverTheSame(Changed):
    count = 0

    def change(self, page: Page, request: PullRequest) -> Page:
        NeverTheSame.count += 1
        mark = NeverTheSame.count.to_bytes(16, "big")
        return items(page, lambda item: replace(item, digest=mark))


class AsksOften(FakeReader):
    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        for _ in range(40):
            self.platform.ask("posts")
        async for page in super().pull(request):
            yield page


class SeesNoNewText(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        return items(page, lambda item: replace(item, digest=item.ref.encode()))


class FirstCounters(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        first: dict[Ref, Counters | None] = self.__dict__.setdefault("first", {})
        return items(page, lambda item: replace(item, counters=first.setdefault(item.ref, item.counters)))


class NeverComplete(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        return replace(page, complete=False)


class OnceGoneAlwaysGone(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        ever, gone = self.__dict__.setdefault("ever", set[Ref]()), self.__dict__.setdefault("gone", set[Ref]())
        now = {item.ref for item in page.items}
        gone |= ever - now
        ever |= now
        return replace(page, items=[item for item in page.items if item.ref not in gone])


class OnlyTheFirstOnes(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        first: set[Ref] = self.__dict__.setdefault("first", {item.ref for item in page.items})
        return replace(page, items=[item for item in page.items if item.ref in first])


class AlwaysThere(FakeReader):
    async def still_there(self, refs: Sequence[Ref]) -> dict[Ref, bool | None]:
        return dict.fromkeys(refs, True)


class TakesSilenceForEmptiness(FakeReader):
    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        try:
            self.platform.ask("posts")
        except ConnectorError:
            yield Page("board", [], complete=True)
            return
        async for page in super().pull(request):
            yield page

    async def still_there(self, refs: Sequence[Ref]) -> dict[Ref, bool | None]:
        return dict.fromkeys(refs, False)


class TakesAPartForTheWhole(FakeReader):
    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        stored: Any = request.stored
        if not stored.rows:
            async for page in super().pull(request):
                yield page


class BuildsAnother(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        built = list(page.items)
        return replace(page, items=[replace(item, build=built[0].build) for item in built])


class TakesContactsAlong(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        def leak(item: Item) -> Item:
            post = self.platform.posts[int(item.ref.partition("/")[2])]
            return replace(item, raw={**item.kept(), "contact": post.contact})

        return items(page, leak)


class MakesUpAuthors(Changed):
    def change(self, page: Page, request: PullRequest) -> Page:
        def named(item: Item) -> Item:
            assert item.build is not None
            built = item.build()
            return replace(
                item,
                build=lambda: [
                    r.model_copy(update={"author": "0" * 32}) if isinstance(r, Proposal) else r for r in built
                ],
            )

        return items(page, named)


def reader(broken: type[FakeReader]) -> Connector:
    return replace(CONNECTOR, reader=broken)


def forgetful(context: Any, ref: Ref, raw: Mapping[str, Any]) -> Any:
    return [r.model_copy(update={"texts": ()}) for r in CONNECTOR.remap(context, ref, raw)] if CONNECTOR.remap else []


READERS: list[tuple[str, Connector, dict[str, Any]]] = [
    ("test_the_probe_says_what_answers", reader(CallsItselfOther), {}),
    ("test_a_probe_that_was_kept_still_serves", reader(NeedsATuple), {}),
    ("test_discover_names_the_spaces_of_all_proposals", reader(KnowsNoSpaces), {}),
    ("test_a_pull_equals_the_truth", reader(LeavesOneOut), {}),
    ("test_what_it_shows_is_of_the_kinds_it_declares", replace(CONNECTOR, kinds={"proposals": ("idea",)}), {}),
    ("test_a_small_city_is_read_whole", reader(LeavesOneOut), {"size": 1}),
    ("test_only_the_spaces_that_were_asked_for_are_read", reader(IgnoresSpaces), {}),
    ("test_a_second_pull_writes_nothing", reader(NeverTheSame), {}),
    ("test_a_second_pull_asks_little", reader(AsksOften), {}),
    ("test_an_edit_is_followed", reader(SeesNoNewText), {}),
    ("test_a_withdrawal_is_followed", reader(SeesNoNewText), {}),
    ("test_new_supports_are_followed", reader(FirstCounters), {}),
    ("test_a_new_comment_is_followed", reader(FirstCounters), {}),
    ("test_a_hidden_record_goes", reader(NeverComplete), {}),
    ("test_a_deleted_record_goes", reader(NeverComplete), {}),
    ("test_a_restored_record_returns", reader(OnceGoneAlwaysGone), {}),
    ("test_a_new_record_is_found", reader(OnlyTheFirstOnes), {}),
    ("test_single_records_can_be_asked_for", reader(AlwaysThere), {}),
    ("test_a_fault_that_passes_loses_nothing", reader(TakesSilenceForEmptiness), {"fault": "500"}),
    ("test_a_fault_that_stays_claims_nothing", reader(TakesSilenceForEmptiness), {"fault": "503"}),
    ("test_an_empty_looking_platform_is_not_an_empty_one", reader(TakesSilenceForEmptiness), {}),
    ("test_a_killed_pull_goes_on_after_its_last_page", reader(TakesAPartForTheWhole), {}),
    ("test_an_item_builds_the_record_that_it_names", reader(BuildsAnother), {}),
    ("test_what_quarantine_keeps_can_be_mapped_again", replace(CONNECTOR, remap=forgetful), {}),
    ("test_no_private_data_leaves_the_connector", reader(TakesContactsAlong), {}),
    ("test_authors_are_pseudonyms", reader(MakesUpAuthors), {}),
]


class WritesWhileChecking(FakeWriter):
    async def check(self) -> Standing:
        self.platform.write("Hello?", "A test.", self.account)
        return await super().check()


class TakesAnySpace(FakeWriter):
    async def limits(self, space: Ref, voice: Any = None) -> Limits:
        return Limits()


class CutsTheMarker(FakeWriter):
    def fit(self, space: Ref, draft: Any) -> Fitted:
        text = replace(draft.main, plain=draft.main.plain.replace(draft.marker, ""))
        return Fitted(replace(draft, texts={draft.locale: text}))


class AsksWhilePlanning(FakeWriter):
    def plan_create(self, space: Ref, draft: Any) -> Sequence[Request]:
        self.platform.ask("posts")
        return super().plan_create(space, draft)


class SendsSomethingElse(FakeWriter):
    planned = True

    def plan_create(self, space: Ref, draft: Any) -> Sequence[Request]:
        [request] = super().plan_create(space, draft)
        return [replace(request, json={**request.json, "notify": True})] if self.planned else [request]

    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        self.planned = False
        return await super().create(space, draft, found)


class ShowsThePassword(FakeWriter):
    def plan_create(self, space: Ref, draft: Any) -> Sequence[Request]:
        [request] = super().plan_create(space, draft)
        return [replace(request, headers={"Authorization": "toy-password"})]


class WithPassword(InstanceSettings):
    password: str = ""


class PasswordSandbox(FakeSandbox):
    def instance_block(self, url: str) -> dict[str, Any]:
        return {**super().instance_block(url), "password": "toy-password"}


class MakesTwo(FakeWriter):
    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        await super().create(space, draft)
        return await super().create(space, draft)


class ReadsHalf(FakeWriter):
    async def read(self, copy: Copy) -> Reading | None:
        found = await super().read(copy)
        return replace(found, title=found.title[:9]) if found else None


class ReadsNoMarker(FakeWriter):
    async def read(self, copy: Copy) -> Reading | None:
        found = await super().read(copy)
        return replace(found, plain=found.plain.partition("[civicsync")[0]) if found else None


class Remembers(FakeWriter):
    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        self.sent = Reading(draft.main.title, draft.main.plain)
        return await super().create(space, draft, found)

    async def read(self, copy: Copy) -> Reading | None:
        return self.sent


class FindsNothing(FakeWriter):
    async def find(self, space: Ref, draft: Any, since: Any) -> Copy | None:
        return None


class FindsAnything(FakeWriter):
    async def find(self, space: Ref, draft: Any, since: Any) -> Copy | None:
        return next((self._copy(post.id) for post in self.platform.public()), None)


class IgnoresWhatWasFound(FakeWriter):
    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        return await super().create(space, draft)


class FindsByTitle(FakeWriter):
    async def find(self, space: Ref, draft: Any, since: Any) -> Copy | None:
        return next((self._copy(p.id) for p in self.platform.public() if p.title == draft.main.title), None)


class TakesSilenceForAbsence(FakeWriter):
    async def find(self, space: Ref, draft: Any, since: Any) -> Copy | None:
        try:
            return await super().find(space, draft, since)
        except NotDone:
            return None


class OldestFirst(FakeWriter):
    async def authored(self, space: Ref) -> AsyncIterator[Any]:
        for each in reversed([each async for each in super().authored(space)]):
            yield each


class ClaimsItIsDone(FakeWriter):
    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        try:
            return await super().create(space, draft, found)
        except MaybeDone:
            return self._copy(self.platform.last)

    async def edit(self, space: Ref, copy: Copy, draft: Any) -> Copy:
        try:
            return await super().edit(space, copy, draft)
        except WriteError:
            return copy

    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        try:
            await super().withdraw(space, copy, reason)
        except WriteError:
            return


class TriesAgain(FakeWriter):
    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        try:
            return await super().create(space, draft, found)
        except MaybeDone:
            return await super().create(space, draft, found)


class NeverSure(FakeWriter):
    async def create(self, space: Ref, draft: Any, found: Copy | None = None) -> Copy:
        try:
            return await super().create(space, draft, found)
        except NotDone as error:
            raise MaybeDone(str(error)) from error


class EditsByMakingAnother(FakeWriter):
    async def edit(self, space: Ref, copy: Copy, draft: Any) -> Copy:
        return await self.create(space, draft)


class WithdrawsNothing(FakeWriter):
    async def withdraw(self, space: Ref, copy: Copy, reason: str) -> None:
        return


class SeesNoAnswer(FakeWriter):
    async def has_answer(self, ref: Ref, answer: Any) -> bool:
        return False

    async def has_comment(self, ref: Ref, marker: str, text: Any = None) -> bool:
        return False


class LooksAtTheMarkerOnly(FakeWriter):
    async def has_comment(self, ref: Ref, marker: str, text: Any = None) -> bool:
        return await super().has_comment(ref, marker)


def writer(broken: type[FakeWriter]) -> Connector:
    return replace(CONNECTOR, writer=broken)


LEAKY = replace(writer(ShowsThePassword), settings=WithPassword, sandbox=lambda **options: PasswordSandbox(**options))
LOST = {"fault": "reset_after_store"}
WRITERS: list[tuple[str, Connector, dict[str, Any]]] = [
    ("test_checking_writes_nothing", writer(WritesWhileChecking), {}),
    ("test_a_space_that_is_not_there_is_refused", writer(TakesAnySpace), {}),
    ("test_what_fits_is_within_the_limits", writer(CutsTheMarker), {}),
    ("test_planning_asks_nothing", writer(AsksWhilePlanning), {}),
    ("test_the_plan_is_what_is_sent", writer(SendsSomethingElse), {}),
    ("test_no_secret_is_in_a_plan", LEAKY, {}),
    ("test_a_created_copy_is_public_and_the_only_one", writer(MakesTwo), {}),
    ("test_a_created_copy_reads_as_it_was_sent", writer(ReadsHalf), {}),
    ("test_the_marker_survives", writer(ReadsNoMarker), {}),
    ("test_a_change_by_others_is_seen", writer(Remembers), {}),
    ("test_a_copy_that_is_gone_reads_as_gone", writer(Remembers), {}),
    ("test_what_was_created_is_found", writer(FindsNothing), {}),
    ("test_what_was_found_is_not_made_again", writer(IgnoresWhatWasFound), {}),
    ("test_a_copy_of_something_else_is_not_taken_for_ours", writer(FindsByTitle), {}),
    ("test_a_look_up_that_fails_proves_nothing", writer(TakesSilenceForAbsence), {"fault": "503"}),
    ("test_everything_we_made_is_listed_newest_first", writer(OldestFirst), {}),
    ("test_a_fault_makes_no_second_copy", writer(FindsNothing), LOST),
    ("test_a_lost_answer_is_a_doubt_and_is_found", writer(ClaimsItIsDone), LOST),
    ("test_a_write_is_never_repeated_by_itself", writer(TriesAgain), LOST),
    ("test_asked_to_slow_down_nothing_is_stored_and_it_says_so", writer(NeverSure), {"fault": "429"}),
    ("test_what_never_arrived_is_proven_absent", writer(FindsAnything), {}),
    ("test_an_edit_may_be_repeated", writer(EditsByMakingAnother), {}),
    ("test_an_edit_survives_a_fault", writer(ClaimsItIsDone), {"fault": "reset"}),
    ("test_a_withdrawal_may_be_repeated", writer(WithdrawsNothing), {}),
    ("test_a_withdrawal_survives_a_fault", writer(ClaimsItIsDone), {"fault": "reset"}),
    ("test_an_answer_is_given_once_and_is_seen", writer(SeesNoAnswer), {}),
    ("test_an_answer_that_changed_is_not_there_yet", writer(LooksAtTheMarkerOnly), {}),
    ("test_a_lost_answer_to_an_answer_is_seen", writer(SeesNoAnswer), LOST),
    ("test_a_comment_is_made_once_and_is_seen", writer(SeesNoAnswer), {}),
]


def fails(check: Any, **arguments: Any) -> bool:
    try:
        check(version="1", **arguments)
    except (AssertionError, ConnectorError, pytest.fail.Exception):
        return True
    return False


@pytest.mark.parametrize(("name", "broken", "more"), READERS, ids=[name for name, _, _ in READERS])
def test_a_broken_reader_fails_the_check_of_that_name(name: str, broken: Connector, more: dict[str, Any]) -> None:
    assert not fails(getattr(reader_suite(CONNECTOR)(), name), **more), "the whole fake fails as well"
    assert fails(getattr(reader_suite(broken)(), name), **more)


@pytest.mark.parametrize(("name", "broken", "more"), WRITERS, ids=[name for name, _, _ in WRITERS])
def test_a_broken_writer_fails_the_check_of_that_name(name: str, broken: Connector, more: dict[str, Any]) -> None:
    def suite(connector: Connector) -> Any:
        return writer_suite(connector, space="board/1")()

    assert not fails(getattr(suite(CONNECTOR), name), voice=None, **more), "the whole fake fails as well"
    assert fails(getattr(suite(broken), name), voice=None, **more)


def test_every_check_is_proven_here() -> None:
    def names(suite: type) -> set[str]:
        return {name for name in dir(suite) if name.startswith("test_")}

    assert names(reader_suite(CONNECTOR)) == {name for name, _, _ in READERS}
    assert names(writer_suite(CONNECTOR, space="board/1")) == {name for name, _, _ in WRITERS}
