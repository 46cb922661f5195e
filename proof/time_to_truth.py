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
    "texts": "proposal_key, locale, machine, title, html",
    "comments": "kind, remote_id, target_key, parent_key, body, alignment, supports, opposes, author",
    "answers": "kind, remote_id, target_key, state, native_state, body, answered_at",
    "spaces": "kind, remote_id, name, native_type, status, amount, parent_key",
    "categories": "kind, remote_id, name, parent_key",
    "areas": "kind, remote_id, name",
    "proposal_categories": "proposal_key, category_key",
}
"""What is compared, by view: everything that a platform shows. What an amendment amends may be known only from a file of open data."""


_BY_FILE = frozenset({("decidim 0.27", "hidden"), ("decidim 0.28.4", "hidden"), ("decidim 0.29", "hidden")})
"""The interface of these goes on showing what was hidden; only the nightly file of open data tells (docs/platforms/decidim.md 0, 1.6)."""


class Measured(City):
    """A city that is pulled lightly, whatever the time."""

    def __init__(self, platform: str, version: str, folder: Path, size: int) -> None:
        super().__init__(platform, version, folder, size=size, settings=", full_every: 300d")
        self._live = platform == "decidim" and (f"decidim {version}", "hidden") not in _BY_FILE
        """Whether everything can be read without files of open data, which go on naming authors who were erased since."""

    def state(self) -> Mapping[str, frozenset[tuple[Any, ...]]]:
        """Everything that is there now."""
        found: dict[str, frozenset[tuple[Any, ...]]] = {}
        for view, columns in COMPARED.items():
            if view == "texts" or view == "proposal_categories":
                where = " WHERE proposal_key IN (SELECT key FROM proposals WHERE gone_at IS NULL)"
            else:
                where = " WHERE gone_at IS NULL"
            found[view] = frozenset(self.rows(f"SELECT {columns} FROM {view}{where}"))
        return found

    def reference(self, folder: Path) -> Mapping[str, frozenset[tuple[Any, ...]]]:
        """What a new database holds after one pull of the same platform."""
        other = Measured.__new__(Measured)
        other.__dict__.update(self.__dict__)
        if self._live:
            other.block = self.block.replace("full_every", "open_data: false, full_every")
        other.open(folder)
        outcome = other.pull()
        assert outcome.outcome == "done", (outcome.message, outcome.notes)
        state = other.state()
        other.engine.dispose()
        return state


Act = Callable[[Sandbox, random.Random], bool]
"""Makes the change; False where this release has nothing of the kind."""


def _rows(sandbox: Sandbox, table: str, **wanted: Any) -> list[dict[str, Any]]:
    rows: Sequence[dict[str, Any]] = sandbox.truth().get(table, ())
    return [row for row in rows if row.get("public", True) and all(row.get(k) == v for k, v in wanted.items())]


def _change(sandbox: Sandbox, name: str, **values: Any) -> bool:
    if name not in sandbox.operations():
        return False
    try:
        sandbox.change(name, **values)
    except (TypeError, KeyError, ValueError):
        return False
    return True


def on_proposal(
    name: str, *, kind: str = "proposal", only: Callable[[dict[str, Any]], bool] | None = None, **values: Any
) -> Act:
    """Something happens to a public proposal (or a row of another kind)."""

    def act(sandbox: Sandbox, dice: random.Random) -> bool:
        rows = [row for row in _rows(sandbox, "proposals", kind=kind) if only is None or only(row)]
        named = {"kind": kind} if kind != "proposal" else {}
        return bool(rows) and _change(sandbox, name, id=dice.choice(rows)["id"], **named, **values)

    return act


def on_comment(name: str, *, about: str = "proposal", **values: Any) -> Act:
    """Something happens to a public comment on a public proposal, debate, project or investment."""

    def act(sandbox: Sandbox, dice: random.Random) -> bool:
        there = {f"{row['kind']}/{row['id']}" for row in _rows(sandbox, "proposals")}
        rows = [r for r in _rows(sandbox, "comments") if r["target"].startswith(f"{about}/") and r["target"] in there]
        return bool(rows) and _change(sandbox, name, id=dice.choice(rows)["id"], **values)

    return act


def swapped(sandbox: Sandbox, dice: random.Random) -> bool:
    """One comment is hidden and another written on the same proposal: the number stays."""
    rows = _rows(sandbox, "comments")
    rows = [row for row in rows if row["target"].startswith("proposal/")]
    if not rows:
        return False
    row = dice.choice(rows)
    return _change(sandbox, "hide_comment", id=row["id"]) and _change(
        sandbox, "comment", id=row["target"].partition("/")[2]
    )


def plain(name: str, **values: Any) -> Act:
    """Something happens that needs no row."""
    return lambda sandbox, _: _change(sandbox, name, **values)


def on_category(name: str) -> Act:
    """Something happens to a category."""

    def act(sandbox: Sandbox, dice: random.Random) -> bool:
        rows = _rows(sandbox, "categories")
        return bool(rows) and _change(sandbox, name, id=dice.choice(rows)["id"])

    return act


@dataclass(frozen=True)
class Kind:
    """A kind of change. `light`: at most so many light runs; None: within `confirm_within`."""

    name: str
    act: Act
    light: int | None = None
    undo: Act | None = None
    """What brings it back, as the next row of the table (restored, opened again)."""
    back: str = ""


_TEXT = {"title": "Een nieuwe titel voor het oude plan"}
KINDS = (
    Kind("new", plain("add_proposal", title="Een heel nieuw voorstel"), 1),
    Kind("edited", on_proposal("edit", **_TEXT)),
    Kind("supported", on_proposal("support"), 1),
    Kind("unsupported", on_proposal("support", only=lambda row: (row["supports"] or 0) > 2, times=-1), 1),
    Kind("commented", on_proposal("comment"), 1),
    Kind("comment answered", on_comment("reply")),
    Kind("comment edited", on_comment("edit_comment")),
    Kind("comment deleted", on_comment("delete_comment")),
    Kind("comment hidden", on_comment("hide_comment")),
    Kind("comment hidden, another written", swapped),
    Kind("debate commented", on_proposal("comment", kind="debate")),
    Kind("debate's comment hidden", on_comment("hide_comment", about="debate")),
    Kind("investment commented", on_proposal("comment", kind="investment")),
    Kind("investment's comment hidden", on_comment("hide_comment", about="investment")),
    Kind("project commented", on_proposal("comment", kind="project")),
    Kind("project's comment hidden", on_comment("hide_comment", about="project")),
    Kind("hidden", on_proposal("hide"), 2),
    Kind("deleted", on_proposal("delete"), 2),
    Kind("withdrawn", on_proposal("withdraw"), 2),
    Kind("answered", on_proposal("answer"), None),
    Kind("milestone", on_proposal("milestone"), None),
    Kind("liked", on_proposal("like"), None),
    Kind("debate edited", on_proposal("edit", kind="debate", **_TEXT)),
    Kind("investment edited", on_proposal("edit", kind="investment", **_TEXT)),
    Kind("investment hidden", on_proposal("hide", kind="investment"), 2),
    Kind("project edited", on_proposal("edit", kind="project", **_TEXT)),
    Kind("project hidden", on_proposal("hide", kind="project"), 2),
    Kind("author erased", on_proposal("erase_author")),
    Kind("author blocked", on_proposal("block_author")),
    Kind("author anonymised", on_proposal("anonymize")),
    Kind("moved to another group", on_proposal("move_post", group=2)),
    Kind("category renamed", on_category("edit_category")),
    Kind("category removed", on_category("remove_category")),
)


@dataclass
class Cell:
    """How long one change took on one release."""

    runs: int | None
    requests: int = 0
    wrong: Sequence[str] = field(default_factory=list[str])


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
        for position, kind in enumerate(kinds):
            city.clock.advance(HOUR)
            if not kind.act(city.sandbox, dice):
                continue
            wanted = city.reference(Path(folder) / f"reference-{position}")
            cells[kind.name] = _until(city, wanted)
            if cells[kind.name].runs is None:
                # The next kind is measured from the truth again.
                city.open(Path(folder) / f"again-{position}")
                city.pull()
    return cells, quiet


def _until(city: Measured, wanted: Mapping[str, frozenset[tuple[Any, ...]]]) -> Cell:
    requests, state = 0, city.state()
    for run in range(1, MOST + 1):
        outcome = city.pull()
        requests += outcome.requests
        state = city.state()
        if not differences(state, wanted):
            return Cell(run, requests)
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
            made += dice.choice(KINDS).act(city.sandbox, dice)
            if dice.random() < 0.2:
                city.clock.advance(HOUR)
                city.pull()
        for _ in range(MOST):
            city.clock.advance(HOUR)
            city.pull()
        return differences(city.state(), city.reference(Path(folder) / "reference"))


def met(release: str, kind: Kind, cell: Cell) -> bool:
    """Whether a figure holds its bar."""
    light = None if (release, kind.name) in _BY_FILE else kind.light
    return cell.runs is not None and (light is None or cell.runs <= light)


def table(found: Mapping[str, tuple[dict[str, Cell], int]]) -> str:
    """The figures as a table of Markdown."""
    lines = ["| | " + " | ".join(found) + " |", "|---" * (len(found) + 1) + "|"]
    for kind in KINDS:
        cells = [cells.get(kind.name) for cells, _ in found.values()]
        if any(cells):
            shown = ["–" if each is None else "never" if each.runs is None else str(each.runs) for each in cells]
            lines.append(f"| {kind.name} | " + " | ".join(shown) + " |")
    quiet = " | ".join(str(requests) for _, requests in found.values())
    lines.append(f"| requests of a light run in which nothing happened | {quiet} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Measure; `--json` prints figures, `--size N` another number of proposals, names choose platforms. 1 where a bar is not met.

    Without any of them, all is measured with 240 proposals and the newest releases with 5,000, and the page is written.
    """
    names = [each for each in arguments if not each.startswith("--") and not each.isdecimal()]
    if arguments:
        size = int(arguments[arguments.index("--size") + 1]) if "--size" in arguments else 240
        found, failed = _measure_all(size, names)
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

{table(large)}

Decidim 0.27, 0.28.4 and 0.29.0 go on showing in their interface what a moderator hid; only their nightly file of open data tells, so it is
read once a day. What no platform shows to anybody cannot be known: who voted (CONSUL and Decidim show numbers only), which projects
of Decidim 0.28 and older there are, why a moderator hid something. Which investments of CONSUL were selected or won is not in its
interface; `civicsync check` says so.
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
            for kind in KINDS:
                cell = cells.get(kind.name)
                if cell is None:
                    continue
                good = met(f"{platform} {version}", kind, cell)
                failed += not good
                runs = "never" if cell.runs is None else f"{cell.runs} light runs, {cell.requests} requests"
                print(
                    f"{'✓' if good else '✗'} {platform} {version} | {kind.name} | {runs}", file=sys.stderr, flush=True
                )
                for line in cell.wrong:
                    print(f"    {line[:300]}", file=sys.stderr)
    return found, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
