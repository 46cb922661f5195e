"""The promises of publishing at full size, as rows of `make proof`."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.race import serving
from civicsync.connectors.registry import resolve
from proof.crossing import WRITE_FAULTS, dropping, exactly_once, killed_at_every_state, whole_life
from proof.hostile import hostile as attacked
from proof.late import DELAYS
from proof.late import late as stored_late
from proof.rewritten import rewritten as through_a_gateway
from proof.row import Row
from proof.three_cities import following, races
from proof.three_cities import lost as lost_ledger
from proof.three_cities import two as two_deployments
from proof.two_publishers import AT_ONCE, POINTS
from proof.two_publishers import two_publishers as two_processes

ROOT = Path(__file__).parent.parent
RIVALS = ROOT / ".proof"
PLATFORMS = ("consul", "decidim", "your-priorities")
VOICES = {
    "consul": ("participant", "official"),
    "decidim": ("participant", "official"),
    "your-priorities": (None,),
}
WRITERS = [
    ("consul", "2.5.1", "participant"),
    ("consul", "2.5.1", "official"),
    ("decidim", "0.32", "participant"),
    ("decidim", "0.28.6", "participant"),
    ("decidim", "0.32", "official"),
    ("your-priorities", "2026-07", None),
]
COUNT = int(os.environ.get("PROOF_COUNT", "1000"))
"""Publications for each writer and fault; less by PROOF_COUNT where an hour is too long."""


def lives() -> list[Row]:
    """Every writing dialect: create, edit, answer, withdraw."""
    rows: list[Row] = []
    for platform in PLATFORMS:
        wrong: list[str] = []
        cases = [(version, voice) for version in resolve(platform).versions for voice in VOICES[platform]]
        for version, voice in cases:
            with tempfile.TemporaryDirectory() as folder:
                told = whole_life(Path(folder), platform, version, voice)
            wrong += [f"{version} {voice or ''} {what}: {why}" for what, why in told.items() if why]
        figure = f"{4 * len(cases) - len(wrong)} of {4 * len(cases)} right ({len(cases)} dialects and voices)"
        rows.append(Row(f"create, edit, withdraw, answer, {platform}", "all", "; ".join([figure, *wrong]), not wrong))
    return rows


def once(only: str) -> list[Row]:
    """Each writer of a platform through each fault, a thousand publications each."""
    rows: list[Row] = []
    for platform, version, voice in (each for each in WRITERS if each[0] == only):
        problems: list[str] = []
        struck = looked_up = 0
        for fault in WRITE_FAULTS:
            with tempfile.TemporaryDirectory() as folder:
                result = exactly_once(Path(folder), platform, version, fault, COUNT, voice)
            struck += result.struck
            looked_up += result.looked_up
            problems += [f"{fault}: {result.problem}"] if result.problem else []
        what = f"exactly one copy, {platform} {version} {voice or ''}".rstrip()
        figure = (
            f"{len(WRITE_FAULTS)} faults x {COUNT}: {struck} strikes, {looked_up} lost answers, {len(problems)} wrong"
        )
        rows.append(Row(what, "one copy each", "; ".join([figure, *problems]), not problems))
    return rows


def rewritten() -> list[Row]:
    """Each writer and release behind a gateway that fails at every step, with texts and markers that platforms rewrite."""
    rows: list[Row] = []
    for platform in PLATFORMS:
        for version, voice in ((each, voice) for each in resolve(platform).versions for voice in VOICES[platform]):
            with tempfile.TemporaryDirectory() as folder:
                result = through_a_gateway(Path(folder), platform, version, voice, COUNT)
            strikes = ", ".join(f"{many} {what}" for what, many in sorted(result.struck.items()))
            figure = f"{COUNT} publications ({strikes}): {result.problem or 'one copy each, kept true'}"
            what = f"rewritten, late and lost, {platform} {version} {voice or ''}".rstrip()
            rows.append(Row(what, "one copy each, kept true, nothing stored twice", figure, not result.problem))
    return rows


def late() -> list[Row]:
    """Each writer and release behind a gateway that answers 504 at once and hands the write on seconds, minutes or hours later."""
    rows: list[Row] = []
    for platform in PLATFORMS:
        for version, voice in ((each, voice) for each in resolve(platform).versions for voice in VOICES[platform]):
            with tempfile.TemporaryDirectory() as folder:
                result = stored_late(Path(folder), platform, version, voice, COUNT)
            delays = ", ".join(f"{each.total_seconds():g}" for each in DELAYS)
            figure = f"{COUNT} publications, {sum(result.struck.values())} answers lost and stored after {delays} s, {result.runs} runs"
            bar = "one public copy each, never two for longer than a run"
            what = f"stored late, {platform} {version} {voice or ''}".rstrip()
            rows.append(Row(what, bar, f"{figure}: {result.problem or 'one copy each'}", not result.problem))
    return rows


def killed() -> list[Row]:
    """SIGKILL before and after every change of state."""
    rows: list[Row] = []
    for platform, version, voice in (WRITERS[1], WRITERS[2], WRITERS[5]):
        with tempfile.TemporaryDirectory() as folder:
            result = killed_at_every_state(Path(folder), platform, version, count=12, voice=voice)
        figure = f"{result.kills} kills; {result.problem or 'one copy each'}"
        rows.append(
            Row(f"SIGKILL at every change of state, {platform} {version}", "one copy each", figure, not result.problem)
        )
    return rows


def two_publishers() -> list[Row]:
    """Two processes and one database; the second one takes over from one that was stopped in the middle of sending."""
    rows: list[Row] = []
    for platform, version, voice in (WRITERS[1], WRITERS[2], WRITERS[5]):
        for how in (AT_ONCE, *POINTS):
            with tempfile.TemporaryDirectory() as folder:
                result = two_processes(Path(folder), platform, version, voice, count=6, how=how)
            what = "at once" if how == AT_ONCE else f"one stopped for three minutes {how}"
            said = "the loser was busy" if how == AT_ONCE else "the loser lost its lease and ended with 1"
            figure = result.problem or f"one copy each, {said}; hidden by {result.hidden}"
            bar = "one copy each; the loser says so and stops"
            rows.append(Row(f"two publishers, {what}, {platform} {version}", bar, figure, not result.problem))
    return rows


SEEDS, EVENTS = 50, 1000


def mesh() -> list[Row]:
    """Three platforms, a thousand random events for each seed, backups put back; the small test lets hypothesis choose them."""
    sys.path.insert(0, str(ROOT))
    from tests.integration.test_publish_mesh import Publishing

    broken: list[str] = []
    for number in range(SEEDS):
        world = Publishing()
        world.start()
        try:
            _thousand(world, random.Random(number))
            world.everything_settles()
        except AssertionError as error:
            broken.append(f"seed {number}: {error}")
        finally:
            world.world.engine.dispose()
            world.folder.cleanup()
        print(
            f"  seed {number}: {'broken' if broken and broken[-1].startswith(f'seed {number}:') else 'right'}",
            flush=True,
        )
    bar = "one copy per origin and target, no copy of a copy, then silence"
    figure = "; ".join([f"{SEEDS} seeds x {EVENTS} events, {len(broken)} violations", *broken])
    return [Row("full mesh of three platforms", bar, figure, not broken)]


def _thousand(world: Any, dice: random.Random) -> None:
    happenings = ["write", "write", "edit", "hide", "answer", "moderate", "remove", "fail", "fail"]
    for burst in range(10):
        for _ in range(EVENTS // 10):
            getattr(world, dice.choice(happenings))(dice.choice("abc"), dice.randint(0, 60))
        if dice.random() < 0.2:
            world.the_administrator_restores_the_backup()
        if dice.random() < 0.5:
            world.the_administrator_lets_halted_routes_go_on()
        world.civicsync_works()
        if burst % 3 == 0:
            world.the_administrator_makes_a_backup()
        world.no_target_has_two_copies_of_one_origin()
        world.nothing_is_a_copy_of_a_copy()


def lost() -> list[Row]:
    """The ledger is deleted, the platforms are kept."""
    rows: list[Row] = []
    for rebuild in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            count, problem = lost_ledger(Path(folder), 40, rebuild=rebuild)
        how = "rebuild-map, then publish" if rebuild else "publish alone"
        figure = f"{count} copies before and after{problem or ', 0 new posts'}"
        rows.append(Row(f"ledger deleted, {how}, three platforms", "no new posts", figure, not problem))
    return rows


def deployments() -> list[Row]:
    """Two deployments with their own databases on the same three platforms."""
    with tempfile.TemporaryDirectory() as folder:
        count, problem = two_deployments(Path(folder), 20, rounds=20)
    figure = f"20 rounds, {count} copies{problem or ', no write after the second round'}"
    return [Row("two deployments, three platforms", "no ping-pong", figure, not problem)]


def racing() -> list[Row]:
    """Withdrawals that race creates and edits."""
    with tempfile.TemporaryDirectory() as folder:
        told = races(Path(folder))
    wrong = [f"{what}: {why}" for what, why in told.items() if why]
    figure = "; ".join([f"{len(told) - len(wrong)} of {len(told)} gone or never made", *wrong])
    return [Row("withdrawal racing a create; edit, edit, withdraw", "gone or never made", figure, not wrong)]


def followed() -> list[Row]:
    """Edits and withdrawals through each fault."""
    wrong: list[str] = []
    copies = 0
    for fault in WRITE_FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            count, problem = following(Path(folder), fault)
        copies += count
        wrong += [f"{fault}: {problem}"] if problem else []
    figure = "; ".join([f"{len(WRITE_FAULTS)} faults, {copies} copies that had to follow, {len(wrong)} wrong", *wrong])
    return [Row("edits and withdrawals through faults, three platforms", "all follow", figure, not wrong)]


def hostile() -> list[Row]:
    """Texts that attack."""
    with tempfile.TemporaryDirectory() as folder:
        result = attacked(Path(folder))
    figure = f"{result.copies} copies on three platforms, {result.problem or '0 attacks, 0 forged markers believed'}"
    return [Row("hostile texts", "nothing executes, nothing forged is believed", figure, not result.problem)]


def _stored(url: str) -> tuple[int, int]:
    with urllib.request.urlopen(f"{url}/stored") as answer:
        told = json.load(answer)
    return told["posts"], len(told["rows"])


def dropped() -> list[Row]:
    """Twenty rows over a connection that drops: drt, dlt's helper, civicsync."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, command in _rivals(Path(folder)).items():
            with serving("sink") as url:
                environment = {**os.environ, "HOME": folder, "DO_NOT_TRACK": "1", "SINK_URL": f"{url}/posts"}
                words = [word.replace("URL", url) for word in command]
                done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
                posts, distinct = _stored(url)
            said = next((line.strip() for line in reversed(done.stdout.splitlines()) if "sync" in line.lower()), "")
            rows.append(
                Row(
                    f"20 rows, each fifth answer dropped, {name}",
                    "printed",
                    f"{posts} posts for {distinct} rows {said}",
                    None,
                )
            )
        result = dropping(Path(folder) / "ours", 20)
    figure = (
        f"20 copies of 20, {result.struck} answers dropped, {result.looked_up} found by lookup"
        if not result.problem
        else result.problem
    )
    return [*rows, Row("20 rows, each fifth answer dropped, civicsync", "20 of 20", figure, not result.problem)]


def _rivals(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    drt, dlt = RIVALS / "drt" / "bin" / "drt", RIVALS / "dlt" / "bin" / "python"
    if drt.exists():
        _drt_project(folder)
        found["drt"] = [str(drt), "run", "--select", "over"]
    if dlt.exists():
        found["dlt's requests helper"] = [str(dlt), str(ROOT / "benchmarks" / "rivals" / "dlt_post.py"), "URL"]
    return found


def _drt_project(folder: Path) -> None:
    """drt's own way: a SQLite source, a REST destination, its default retries."""
    connection = sqlite3.connect(folder / "rows.db")
    with connection:
        connection.execute("CREATE TABLE rows (id INTEGER, title TEXT)")
        titles = [(number, f"Meer bomen in wijk {number:04}") for number in range(1, 21)]
        connection.executemany("INSERT INTO rows VALUES (?, ?)", titles)
    connection.close()
    (folder / ".drt").mkdir()
    (folder / ".drt" / "profiles.yml").write_text(f"local:\n  type: sqlite\n  database: {folder / 'rows.db'}\n")
    (folder / "drt_project.yml").write_text("name: race\nversion: '1.0'\nprofile: local\n")
    (folder / "syncs").mkdir()
    (folder / "syncs" / "over.yml").write_text(
        "name: over\nmodel: SELECT id, title FROM rows ORDER BY id\n"
        "destination:\n  type: rest_api\n  url: ${SINK_URL}\n  method: POST\n"
        '  headers: {Content-Type: application/json}\n  body_template: \'{"id": {{ row.id }}, "title": "{{ row.title }}"}\'\n'
        "sync:\n  mode: full\n  batch_size: 5\n"
    )
