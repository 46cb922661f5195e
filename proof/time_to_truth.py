"""`make time-to-truth`: how many light runs and requests it takes until the database shows what happened on a platform.

For every platform, release and kind of change: the change is made in the sandbox, a new database is pulled whole as the reference, and
light runs go on, an hour apart, until the old database says the same. The table goes into docs/explanation/time-to-truth.md.
"""

import json
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.sandbox import Sandbox
from civicsync.sync.pull.run import PullEnd
from proof.__main__ import City

HOUR = 3600
MOST = 25
"""Light runs after which a change counts as never seen: `confirm_within` is 24 hours."""
PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "time-to-truth.md"

_VOTES = slice(6, 8)
"""Where the votes of a comment stand."""
COMPARED = {
    "proposals": "kind, remote_id, space_key, title, state, native_state, author, official, supports, opposes, endorsements, comments, "
    "published_at, withdrawn_at, address, latitude, longitude, amount, selected",
    "proposal_texts": "proposal_key, locale, machine, title, html",
    "comments": "kind, remote_id, target_key, parent_key, body, alignment, supports, opposes, author",
    "answers": "kind, remote_id, target_key, state, native_state, body, answered_at",
    "spaces": "kind, remote_id, name, native_type, status, amount, parent_key",
    "categories": "kind, remote_id, name, parent_key",
    "areas": "kind, remote_id, name",
    "proposal_categories": "proposal_key, category_key",
}
"""What is compared, by view: everything that a platform shows. What an amendment amends may be known only from a file of open data."""


_BY_FILE = frozenset(
    (f"decidim {each}", what) for each in ("0.27", "0.28.4", "0.29") for what in ("hidden", "restored")
)
"""The interface of these goes on showing what was hidden; only the nightly file of open data tells (docs/platforms/decidim.md 0, 1.4)."""
_NIGHT = 45
"""Light runs until such a file, made every 24 hours, was read, which is done every 20."""


_LATER = "they are asked in the next runs"
"""A first pull of CONSUL asks for so many that may be drafts, and says so of the others: not all is read yet."""


class Measured(City):
    """A city that is pulled lightly, whatever the time."""

    def __init__(self, platform: str, version: str, folder: Path, size: int) -> None:
        super().__init__(platform, version, folder, size=size, settings=", full_every: 300d")
        self.release = f"{platform} {version}"
        self._live = platform == "decidim" and (self.release, "hidden") not in _BY_FILE
        """Whether everything can be read without files of open data, which go on naming authors who were erased since."""

    def state(self) -> Mapping[str, frozenset[tuple[Any, ...]]]:
        """Everything that is there now."""
        found: dict[str, frozenset[tuple[Any, ...]]] = {}
        for view, columns in COMPARED.items():
            if view in {"proposal_texts", "proposal_categories"}:
                where = " WHERE proposal_key IN (SELECT key FROM proposals WHERE gone_at IS NULL)"
            else:
                where = " WHERE gone_at IS NULL"
            found[view] = frozenset(self.rows(f"SELECT {columns} FROM {view}{where}"))
        return found

    def reference(self, folder: Path) -> Mapping[str, frozenset[tuple[Any, ...]]]:
        """What a new database holds after it was pulled whole."""
        other = Measured.__new__(Measured)
        other.__dict__.update(self.__dict__)
        if self._live:
            other.block = self.block.replace("full_every", "open_data: false, full_every")
        other.open(folder)
        files: dict[str, bytes] | None = None
        if (self.release, "hidden") in _BY_FILE:
            # What the new database reads is tonight's file; the old one has to wait for it.
            files, made = self.sandbox.files, self.sandbox.exported_at
            self.sandbox.export_open_data()
        outcome = other.pull()
        later = any(_LATER in note for note in outcome.notes)
        while later:
            self.clock.advance(1.0)
            outcome = other.pull()
            later = outcome.written.created > 0
        if files is not None:
            self.sandbox.files, self.sandbox.exported_at = files, made
        assert outcome.outcome == "done", (outcome.message, outcome.notes)
        state = other.state()
        other.engine.dispose()
        return state


Act = Callable[[Sandbox, random.Random], str | None]
"""Makes the change; what it happened to, or None where this release has nothing of the kind."""
Undo = Callable[[Sandbox, str], bool]
"""Brings it back, or changes it again."""


def _rows(sandbox: Sandbox, table: str, **wanted: Any) -> list[dict[str, Any]]:
    rows: Sequence[dict[str, Any]] = sandbox.truth().get(table, ())
    return [row for row in rows if row.get("public", True) and all(row.get(k) == v for k, v in wanted.items())]


def _change(sandbox: Sandbox, operation: str, /, **values: Any) -> bool:
    if operation not in sandbox.operations():
        return False
    try:
        sandbox.change(operation, **values)
    except (TypeError, KeyError, ValueError):
        return False
    return True


def on_proposal(
    name: str, /, *, kind: str = "proposal", only: Callable[[dict[str, Any]], bool] | None = None, **values: Any
) -> Act:
    """Something happens to a public proposal (or a row of another kind)."""

    def act(sandbox: Sandbox, dice: random.Random) -> str | None:
        rows = [row for row in _rows(sandbox, "proposals", kind=kind) if only is None or only(row)]
        named = {"kind": kind} if kind != "proposal" else {}
        own = str(dice.choice(rows)["id"]) if rows else None
        return own if own is not None and _change(sandbox, name, id=own, **named, **values) else None

    return act


def on_comment(name: str, /, *, about: str = "proposal", **values: Any) -> Act:
    """Something happens to a public comment on a public proposal, debate, project or investment."""

    def act(sandbox: Sandbox, dice: random.Random) -> str | None:
        there = {f"{row['kind']}/{row['id']}" for row in _rows(sandbox, "proposals")}
        rows = [r for r in _rows(sandbox, "comments") if r["target"].startswith(f"{about}/") and r["target"] in there]
        own = str(dice.choice(rows)["id"]) if rows else None
        return own if own is not None and _change(sandbox, name, id=own, **values) else None

    return act


def swapped(sandbox: Sandbox, dice: random.Random) -> str | None:
    """One comment is hidden and another written on the same proposal: the number stays."""
    rows = _rows(sandbox, "comments")
    rows = [row for row in rows if row["target"].startswith("proposal/")]
    if not rows:
        return None
    row = dice.choice(rows)
    done = _change(sandbox, "hide_comment", id=row["id"])
    return row["id"] if done and _change(sandbox, "comment", id=row["target"].partition("/")[2]) else None


def milestone(sandbox: Sandbox, dice: random.Random) -> str | None:
    """An official tells of a step; its own number is what can be changed later."""
    rows = _rows(sandbox, "proposals", kind="proposal")
    if "milestone" not in sandbox.operations() or not rows:
        return None
    return str(sandbox.change("milestone", id=dice.choice(rows)["id"]))


def plain(name: str, /, **values: Any) -> Act:
    """Something happens that needs no row."""
    return lambda sandbox, _: "" if _change(sandbox, name, **values) else None


def on_category(name: str, /, **values: Any) -> Act:
    """Something happens to a category."""

    def act(sandbox: Sandbox, dice: random.Random) -> str | None:
        rows = _rows(sandbox, "categories")
        own = dice.choice(rows)["id"] if rows else None
        return str(own) if own is not None and _change(sandbox, name, id=own, **values) else None

    return act


def first_of(*acts: Act) -> Act:
    """The first that this platform has: it has other words for the same."""

    def act(sandbox: Sandbox, dice: random.Random) -> str | None:
        for each in acts:
            if (own := each(sandbox, dice)) is not None:
                return own
        return None

    return act


def again(name: str, /, **values: Any) -> Undo:
    """Something more happens to the same row; without an id where none was chosen."""
    return lambda sandbox, own: _change(sandbox, name, **({"id": own} if own else {}), **values)


def either(*undos: Undo) -> Undo:
    """The first that this platform has."""
    return lambda sandbox, own: any(each(sandbox, own) for each in undos)


@dataclass(frozen=True)
class Kind:
    """A kind of change. `light`: at most so many light runs; None: within `confirm_within`."""

    name: str
    act: Act
    light: int | None = None
    then: Sequence[tuple[str, Undo]] = ()
    """What happens to the same row afterwards, each a line of the table: restored, opened again, changed, taken back."""


def _project_selected(sandbox: Sandbox, dice: random.Random) -> str | None:
    rows = _rows(sandbox, "proposals", kind="project")
    own = str(dice.choice(rows)["id"]) if rows else None
    return own if own is not None and _change(sandbox, "select", id=own, chosen=True) else None


_TEXT: dict[str, Any] = {"title": "Een nieuwe titel voor het oude plan"}
_RESTORED = again("restore")
KINDS = (
    Kind("new", plain("add_proposal", title="Een heel nieuw voorstel"), 1),
    Kind("edited", on_proposal("edit", **_TEXT)),
    Kind("supported", on_proposal("support"), 1),
    Kind("unsupported", on_proposal("support", only=lambda row: (row["supports"] or 0) > 2, times=-1), 1),
    Kind("commented", on_proposal("comment"), 1),
    Kind("comment answered", on_comment("reply")),
    Kind("comment edited", on_comment("edit_comment")),
    Kind("comment voted on", first_of(on_comment("vote_comment"), on_comment("rate_comment"))),
    Kind("comment deleted", on_comment("delete_comment")),
    Kind("comment hidden", on_comment("hide_comment"), then=[("comment restored", again("restore_comment"))]),
    Kind("comment hidden, another written", swapped),
    Kind("debate commented", on_proposal("comment", kind="debate")),
    Kind("debate's comment hidden", on_comment("hide_comment", about="debate")),
    Kind("investment commented", on_proposal("comment", kind="investment")),
    Kind("investment's comment hidden", on_comment("hide_comment", about="investment")),
    Kind("project commented", on_proposal("comment", kind="project")),
    Kind("project's comment hidden", on_comment("hide_comment", about="project")),
    Kind("hidden", on_proposal("hide"), 2, then=[("restored", _RESTORED)]),
    Kind("deleted", on_proposal("delete"), 2),
    Kind("withdrawn", on_proposal("withdraw"), 2),
    Kind("retired", on_proposal("retire"), 2),
    Kind(
        "answered",
        on_proposal("answer"),
        then=[
            (
                "answer changed",
                either(
                    again("answer", state="rejected", text="<p>Toch niet.</p>"),
                    again("answer", status=-1, content="Nei."),
                ),
            ),
            ("answer taken back", either(again("retract_answer"), again("answer", published=False))),
        ],
    ),
    Kind(
        "milestone",
        milestone,
        then=[("milestone edited", again("edit_milestone")), ("milestone deleted", again("delete_milestone"))],
    ),
    Kind("liked", on_proposal("like")),
    Kind("debate edited", on_proposal("edit", kind="debate", **_TEXT)),
    Kind("investment new", plain("add_investment"), 1),
    Kind("investment edited", on_proposal("edit", kind="investment", **_TEXT)),
    Kind(
        "investment valuated", on_proposal("valuate", only=lambda row: row["kind"] == "investment", kind="investment")
    ),
    Kind("investment hidden", on_proposal("hide", kind="investment"), 2),
    Kind(
        "budget back in drafting",
        plain("budget", id=1, published=False),
        then=[("budget published again", lambda s, _: _change(s, "budget", id=1, published=True))],
    ),
    Kind("budget in another phase", plain("budget", id=1, phase="finished")),
    Kind("project new", plain("add_project"), 1),
    Kind("project edited", on_proposal("edit", kind="project", **_TEXT)),
    Kind("project selected", _project_selected, then=[("project selected no more", again("select", chosen=False))]),
    Kind("project hidden", on_proposal("hide", kind="project"), 2),
    Kind("author erased", on_proposal("erase_author")),
    Kind("author blocked", on_proposal("block_author")),
    Kind("author anonymised", on_proposal("anonymize")),
    Kind("author made private", on_proposal("private_author")),
    Kind("moved to another group", on_proposal("move_post", group=2)),
    Kind("another category", first_of(on_proposal("categorize", category=3), on_proposal("tag", names="anders"))),
    Kind(
        "category renamed",
        first_of(
            on_category("rename_category", name="Anders genoemd"),
            on_category("rename_tag"),
            on_category("edit_category"),
        ),
    ),
    Kind(
        "category removed",
        first_of(on_category("delete_category"), on_category("delete_tag"), on_category("remove_category")),
    ),
    Kind("area renamed", plain("rename_area", id=1)),
    Kind(
        "component or group closed",
        first_of(plain("unpublish", component=7), plain("lose_permission", group=2)),
        then=[("opened again", either(again("publish", component=7), again("regain_permission", group=2)))],
    ),
    Kind(
        "component in the trash, group deleted",
        first_of(plain("trash_component", component=7), plain("delete_group", group=2)),
        then=[("out of the trash", either(again("restore_component", component=7), again("restore_group", group=2)))],
    ),
    Kind(
        "space made private",
        first_of(
            plain("open_space", kind="assembly", id=1, public=False), plain("community_access", community=1, access=2)
        ),
        then=[
            (
                "space public again",
                either(
                    again("open_space", kind="assembly", id=1, public=True),
                    again("community_access", community=1, access=0),
                ),
            )
        ],
    ),
)


@dataclass
class Cell:
    """How long one change took on one release."""

    runs: int | None
    requests: int = 0
    wrong: Sequence[str] = field(default_factory=list[str])
    asked: bool = False
    """Whether so much went that the admin was asked."""


def measure(platform: str, version: str, size: int, kinds: Sequence[Kind] = KINDS) -> tuple[dict[str, Cell], int]:
    """Each kind on one release, and the requests of a light run in which nothing happened. A kind it does not have is left out."""
    cells: dict[str, Cell] = {}
    quiet = 0
    with tempfile.TemporaryDirectory() as folder:
        city = Measured(platform, version, Path(folder) / "city", size)
        city.pull()
        for _ in range(MOST):
            # What a file of open data told of authors who were erased since is put right in a day; no change is to blame for that.
            city.clock.advance(HOUR)
            quiet = city.pull().requests
        dice = random.Random(7)
        for kind in kinds:
            city.clock.advance(HOUR)
            own = kind.act(city.sandbox, dice)
            if own is None:
                continue
            cells[kind.name] = _step(city, Path(folder) / f"reference-{len(cells)}", kind.name)
            _tell(city.release, kind.name, cells[kind.name])
            for name, undo in kind.then:
                city.clock.advance(HOUR)
                if undo(city.sandbox, own):
                    cells[name] = _step(city, Path(folder) / f"reference-{len(cells)}", name)
                    _tell(city.release, name, cells[name])
    return cells, quiet


def _tell(release: str, name: str, cell: Cell) -> None:
    """One figure as soon as it is known: a release of 5,000 proposals takes the better part of an hour."""
    runs = "never" if cell.runs is None else f"{cell.runs} light runs, {cell.requests} requests"
    print(f"{'✓' if met(release, name, cell) else '✗'} {release} | {name} | {runs}", file=sys.stderr, flush=True)
    for line in cell.wrong:
        print(f"    {line[:300]}", file=sys.stderr)


def _step(city: Measured, folder: Path, name: str) -> Cell:
    cell = _until(city, city.reference(folder), _NIGHT if (city.release, name) in _BY_FILE else MOST)
    if cell.runs is None:
        # The next kind is measured from the truth again.
        city.open(folder.with_name(f"again-{folder.name}"))
        city.pull()
    return cell


def _until(city: Measured, wanted: Mapping[str, frozenset[tuple[Any, ...]]], most: int) -> Cell:
    requests, state = 0, city.state()
    asked = False
    for run in range(1, most + 1):
        # More is missing than a run may believe: the admin says that it is right.
        outcome = city.pull(accept_missing=asked)
        asked = asked or outcome.outcome == PullEnd.UNDECIDED
        requests += outcome.requests
        state = city.state()
        if not differences(state, wanted):
            return Cell(run, requests, asked=asked)
        city.clock.advance(HOUR)
    return Cell(None, requests, differences(state, wanted))


State = Mapping[str, frozenset[tuple[Any, ...]]]


def differences(state: State, wanted: State) -> list[str]:
    """What one state has and lacks beside another, two examples of each."""
    known = {row[:2] for row in wanted["comments"] if row[_VOTES] == (None, None)}
    # A file of open data tells no votes: what was read again since knows more than a new database does.
    told = {
        (*row[: _VOTES.start], None, None, *row[_VOTES.stop :]) if row[:2] in known else row
        for row in state["comments"]
    }
    state = {**state, "comments": frozenset(told)}
    return [
        f"{view}: {what} {len(rows)}: {sorted(map(str, rows))[:2]}"
        for view in COMPARED
        for what, rows in (("lacks", wanted[view] - state[view]), ("has", state[view] - wanted[view]))
        if rows
    ]


def anything(platform: str, version: str, seed: int, *, size: int = 240, changes: int = 40) -> list[str]:
    """Any changes one after the other with light runs in between, then light runs for a day: what is not as a new database has it."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        city = Measured(platform, version, Path(folder) / "city", size)
        city.pull()
        made = 0
        while made < changes:
            kind = dice.choice(KINDS)
            own = kind.act(city.sandbox, dice)
            made += own is not None
            if own is not None and kind.then and dice.random() < 0.5:
                made += kind.then[0][1](city.sandbox, own)
            if dice.random() < 0.2:
                city.clock.advance(HOUR)
                city.pull()
        asked = False
        for _ in range(MOST):
            city.clock.advance(HOUR)
            asked = city.pull(accept_missing=asked).outcome == PullEnd.UNDECIDED
        return differences(city.state(), city.reference(Path(folder) / "reference"))


def met(release: str, name: str, cell: Cell) -> bool:
    """Whether a figure holds its bar."""
    bars = {kind.name: kind.light for kind in KINDS}
    light = None if (release, name) in _BY_FILE else bars.get(name)
    return cell.runs is not None and (light is None or cell.runs <= light)


def _shown(cell: Cell) -> str:
    return "never" if cell.runs is None else f"{cell.runs}, asks" if cell.asked else str(cell.runs)


def _lines() -> list[str]:
    return [name for kind in KINDS for name in (kind.name, *(then for then, _ in kind.then))]


def table(found: Mapping[str, tuple[dict[str, Cell], int]]) -> str:
    """The figures as a table of Markdown."""
    lines = ["| | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for name in _lines():
        cells = [cells.get(name) for cells, _ in found.values()]
        if any(cells):
            shown = ["–" if each is None else _shown(each) for each in cells]
            lines.append(f"| {name} | " + " | ".join(shown) + " |")
    quiet = " | ".join(str(requests) for _, requests in found.values())
    lines.append(f"| requests of a light run in which nothing happened | {quiet} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure; 1 where a bar is not met.

    `--size N` takes another number of proposals, `--newest` only the newest releases, names choose platforms, `--json` prints figures.
    Without any of them, all is measured with 240 proposals and the newest releases with 5,000, and the page is written.
    """
    names = [each for each in arguments if not each.startswith("--") and not each.isdecimal()]
    if arguments:
        size = int(arguments[arguments.index("--size") + 1]) if "--size" in arguments else 240
        found, failed = _measure_all(size, names, newest="--newest" in arguments)
        if "--json" in arguments:
            print(json.dumps({name: {k: c.runs for k, c in cells.items()} for name, (cells, _) in found.items()}))
        else:
            print(table(found))
        return 1 if failed else 0
    small, failed = _measure_all(240, ())
    large, wrong = _measure_all(5000, (), newest=True)
    PAGE.write_text(_page(small, large), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(PAGE.parent.parent.parent)}")
    return 1 if failed or wrong else 0


def _page(small: Mapping[str, tuple[dict[str, Cell], int]], large: Mapping[str, tuple[dict[str, Cell], int]]) -> str:
    return f"""# How long until the truth

Written by `make time-to-truth`. Something happens in a sandbox, which is as unkind as the platform it stands for; then light runs
go on, an hour apart, until the database holds what a new one would hold after a full pull. The numbers are light runs; 1 is the
next run. Whatever the platform shows in something that a light run reads anyway is there in 1; all else waits for its turn among
what was confirmed longest ago, at most `confirm_within` (24 hours). "–" means that the platform, or its sandbox, has nothing of the
kind.

## 240 proposals

{table(small)}

## 5,000 proposals

The newest release of each (`python -m proof.time_to_truth --size 5000 --newest`, about an hour of one core). Your Priorities' debate
threads are read one by one, so a run in which nothing happened is 259 requests. A first pull of CONSUL asks only so many proposals without
supports whether they are drafts, and says so; the next runs ask the rest, and what is compared here is a database that has asked all.

{table(large)}

"2, asks": so much goes at once that the first run asks the admin; the second takes it with `--accept-missing`.

Decidim 0.27, 0.28.4 and 0.29.0 go on showing in their interface what a moderator hid; only their nightly file of open data tells, which is
made every 24 hours and read every 20: what a moderator hides or restores just after one is there after at most 44; the newest of
all only when a newer one is in the file (until then it may just not have been exported yet). What no platform shows
to anybody cannot be known: who voted (CONSUL and Decidim show numbers only), which projects of Decidim 0.28 and older there are, why a
moderator hid something. Which investments of CONSUL were selected or won is not in its interface; `civicsync check` says so.
"""


def _measure_all(
    size: int, names: Sequence[str], *, newest: bool = False
) -> tuple[dict[str, tuple[dict[str, Cell], int]], int]:
    found: dict[str, tuple[dict[str, Cell], int]] = {}
    failed = 0
    for platform in ("decidim", "consul", "your-priorities"):
        if names and platform not in names:
            continue
        for version in resolve(platform).versions[-1:] if newest else resolve(platform).versions:
            cells, quiet = measure(platform, version, size)
            found[f"{platform} {version}"] = (cells, quiet)
            failed += sum(not met(f"{platform} {version}", name, cell) for name, cell in cells.items())
    return found, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
