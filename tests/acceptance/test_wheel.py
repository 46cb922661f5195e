"""The wheel in an empty environment, outside the checkout: what it holds, its types, and the program."""

import json
import tomllib
import zipfile
from pathlib import Path

from tests.support.wheels import ROOT, Environment

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PROGRAM = """
import civicsync

project: civicsync.Project = civicsync.load("civicsync.yaml")
outcomes: list[civicsync.PullOutcome] = civicsync.pull(project, full=True)
plans: list[civicsync.RouteOutcome] = civicsync.plan(project)
with civicsync.connect(project) as database:
    rows: list[dict[str, object]] = list(database.rows("SELECT title FROM proposals"))
version: str = civicsync.__version__
print(len(rows), version, [str(each.outcome) for each in outcomes], len(plans))
"""
WRONG = 'import civicsync\n\nnumber: int = civicsync.load("civicsync.yaml")\ncivicsync.pull("civicsync.yaml")\n'


def test_what_the_wheel_holds(civicsync_environment: Environment) -> None:
    with zipfile.ZipFile(civicsync_environment.wheel) as wheel:
        names = set(wheel.namelist())
    rooms = {name.split("/")[1] for name in names if name.startswith("civicsync/") and name.count("/") > 1}
    assert not rooms & {"tests", "benchmarks", "proof", "docs"}, rooms
    assert {name.partition("/")[0] for name in names} == {"civicsync", f"civicsync-{VERSION}.dist-info"}
    source = [
        path
        for room in ("app", "config", "connectors", "core", "sync")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    kinds = {path.suffix or path.name for path in source}
    assert {".py", ".graphql", ".json", ".yaml", ".mako"} <= kinds
    missing = {f"civicsync/{path.relative_to(ROOT)}" for path in source} - names
    assert not missing, f"left out: {sorted(missing)}"
    assert {"civicsync/__init__.py", "civicsync/py.typed"} <= names


def test_its_types_are_seen_by_two_checkers(civicsync_environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    python = str(civicsync_environment.python)
    run = civicsync_environment.run
    run("python", "-m", "mypy", "--strict", "--follow-imports=silent", "right.py", cwd=tmp_path)
    said = run("python", "-m", "mypy", "--strict", "--follow-imports=silent", "wrong.py", cwd=tmp_path, code=1)
    assert said.count("error:") == 2, said
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"typeCheckingMode": "strict"}))
    checker = ("python", "-m", "basedpyright", "--level", "error", "--pythonpath", python)
    run(*checker, "right.py", cwd=tmp_path)
    said = run(*checker, "wrong.py", cwd=tmp_path, code=1)
    assert "2 errors" in said, said


def test_the_program_works_outside_the_checkout(civicsync_environment: Environment, tmp_path: Path) -> None:
    run = civicsync_environment.run
    where = run("python", "-c", "import civicsync; print(civicsync.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(civicsync_environment.folder), where
    run("civicsync", "init", cwd=tmp_path)
    assert (tmp_path / "civicsync.key").stat().st_mode & 0o077 == 0
    run("civicsync", "demo", "--scale", "0.05", "--once", "--folder", "toys", cwd=tmp_path)
    toys = tmp_path / "toys"
    crossed = json.loads(run("civicsync", "query", "SELECT state FROM publications", "--json", cwd=toys))
    assert [row["state"] for row in crossed] == ["sent"] * 6
    assert (toys / "civicsync.db").exists() and not (tmp_path / "demo").exists()


def test_init_check_sync_query(civicsync_environment: Environment, tmp_path: Path) -> None:
    from civicsync.connectors.registry import resolve
    from civicsync.connectors.testing.sandbox.serve import running

    run, consul = civicsync_environment.run, resolve("consul")
    assert consul.sandbox is not None
    with running(consul.sandbox(version="2.5.1", size=20)) as url:
        run("civicsync", "init", cwd=tmp_path)
        file = tmp_path / "civicsync.yaml"
        text = file.read_text()
        file.write_text(f"{text[: text.index('instances:')]}instances:\n  plaza: {{platform: consul, url: '{url}'}}\n")
        [found] = json.loads(run("civicsync", "check", "--json", cwd=tmp_path))
        assert (found["ok"], found["version"]) == (True, "2.5.1")
        [pulled] = json.loads(run("civicsync", "sync", "--json", cwd=tmp_path))
        rows = json.loads(run("civicsync", "query", "SELECT title FROM proposals", "--json", cwd=tmp_path))
        assert pulled["outcome"] == "done" and len(rows) == pulled["proposals"] > 0
        (tmp_path / "program.py").write_text(PROGRAM)
        said = run("python", "program.py", cwd=tmp_path)
        assert said.startswith(f"{len(rows)} {VERSION} ['done']"), said
