"""A full mesh of three platforms under random events: one copy per origin and target, no copy of a copy, and then silence."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from civicsync.connectors.testing.fake import Post
from civicsync.core.ledger.marker import markers_in
from civicsync.core.records import State
from tests.support.mesh import Mesh

NAMES = st.sampled_from("abc")
EVENTS = st.sampled_from(["write", "write", "edit", "hide", "answer", "moderate", "remove", "fail", "fail"])
FAULTS = ("reset_after", "refused", "reset_before", "429", "500_after", "duplicate_reply", "timeout_after")


class Publishing(RuleBasedStateMachine):
    """People write, edit, hide and answer; moderators edit copies; the network fails; the database is put back to an old copy."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.world = Mesh(
            Path(self.folder.name), "abc", max_per_run=1000, max_per_day=100_000, follow={"answers_to_origin": True}
        )
        self.world.pull()
        self.saved = self.world.backup()
        self.number = 0

    def originals(self, name: str) -> list[Post]:
        return [post for post in self.world.worlds[name].public() if post.author != "robot"]

    @rule(events=st.lists(st.tuples(EVENTS, NAMES, st.integers(0, 20)), max_size=12))
    def things_happen(self, events: list[tuple[str, str, int]]) -> None:
        for what, name, number in events:
            getattr(self, what)(name, number)

    def write(self, name: str, number: int) -> None:
        self.number += 1
        self.world.worlds[name].write(f"Voorstel {self.number}", f"Tekst {self.number}.", f"citizen-{number}")

    def edit(self, name: str, number: int) -> None:
        for post in self.originals(name)[number : number + 1]:
            post.body = f"{post.body} En nog iets."

    def hide(self, name: str, number: int) -> None:
        for post in self.originals(name)[number : number + 1]:
            post.hidden = True

    def answer(self, name: str, number: int) -> None:
        for post in self.originals(name)[number : number + 1]:
            post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit doen we.", self.world.clock.now()

    def moderate(self, name: str, number: int) -> None:
        for post in self.world.worlds[name].copies()[number : number + 1]:
            post.title = f"{post.title} (bewerkt)"

    def remove(self, name: str, number: int) -> None:
        for post in self.world.worlds[name].copies()[number : number + 1]:
            post.hidden = True

    def fail(self, name: str, number: int) -> None:
        self.world.worlds[name].faults.extend(["", FAULTS[number % len(FAULTS)]])

    @rule()
    def the_administrator_makes_a_backup(self) -> None:
        self.saved = self.world.backup()

    @rule()
    def the_administrator_restores_the_backup(self) -> None:
        self.world.restore(self.saved)

    @rule()
    def the_administrator_lets_halted_routes_go_on(self) -> None:
        self.world.resume()

    @rule()
    def civicsync_reads(self) -> None:
        self.world.pull()

    @rule()
    def civicsync_publishes(self) -> None:
        self.world.publish()

    @rule()
    def civicsync_works(self) -> None:
        self.world.round()

    @invariant()
    def no_target_has_two_copies_of_one_origin(self) -> None:
        if not hasattr(self, "world"):
            return
        for name, platform in self.world.worlds.items():
            origins = [marker.origin for post in platform.copies() for marker in markers_in(post.body)[:1]]
            assert len(origins) == len(set(origins)), f"two copies on {name}"

    @invariant()
    def nothing_is_a_copy_of_a_copy(self) -> None:
        if not hasattr(self, "world"):
            return
        for platform in self.world.worlds.values():
            for post in platform.copies():
                name, _, number = markers_in(post.body)[0].origin.split("/")
                origin = self.world.worlds[name].posts[int(number)]
                assert origin.author != "robot"

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.everything_settles()
        finally:
            self.world.engine.dispose()
            self.folder.cleanup()

    def everything_settles(self) -> None:
        """Without new events, a few rounds end in silence, and every origin that is there has its copies."""
        for platform in self.world.worlds.values():
            platform.faults.clear()
        self.world.clock.advance(7200)
        for _ in range(4):
            self.world.resume()
            self.world.round()
        assert (self.world.round(), self.world.round()) == (0, 0)
        stopped = set(self.world.rows("SELECT origin, target_instance FROM publications WHERE state <> 'sent'"))
        for name, target in ((one, other) for one in "abc" for other in "abc" if one != other):
            # A copy that a moderator removed was made all the same, and is not made again.
            made = [post for post in self.world.worlds[target].posts.values() if post.author == "robot"]
            copied = {marker.origin for post in made for marker in markers_in(post.body)[:1]}
            for post in self.originals(name):
                own = f"{name}/proposal/{post.id}"
                assert own in copied or (own, target) in stopped, f"{own} never reached {target}"


def sized(examples: int, steps: int) -> settings:
    """How much is tried; the same every time."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


TestPublishing = Publishing.TestCase
TestPublishing.settings = settings(sized(3, 8), derandomize=True)
