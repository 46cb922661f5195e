"""docs/howto/from-python.md, run as it stands; and what `import civicsync` promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import civicsync
from civicsync.connectors.registry import resolve
from civicsync.connectors.testing.sandbox.serve import running

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "from-python.md"
KEY = "0123456789abcdef" * 4


def test_the_ten_lines_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    consul, ideas = resolve("consul"), resolve("your-priorities")
    assert consul.sandbox is not None and ideas.sandbox is not None
    [program] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in program.splitlines() if line.strip()]) <= 10
    town = ideas.sandbox(version=ideas.versions[-1], size=5)
    with running(consul.sandbox(version="2.5.1", size=20)) as plaza, running(town) as board:
        block = town.instance_block(board)
        (tmp_path / "civicsync.key").write_text(KEY)
        (tmp_path / "civicsync.yaml").write_text(
            "civicsync: 1\noperator: {name: Toy, contact: toy@example.org}\ndatabase: sqlite:///civicsync.db\n"
            "privacy: {key: file:civicsync.key}\ninstances:\n"
            f"  plaza: {{platform: consul, url: '{plaza}'}}\n"
            f"  ideas: {{platform: your-priorities, url: '{board}', email: '{block['email']}', password: '{block['password']}'}}\n"
            "routes:\n"
            "  over: {from: {instance: plaza}, to: {instance: ideas, space: group/1}, approval: automatic,"
            " first_run: send, max_per_run: 2}\n"
        )
        monkeypatch.chdir(tmp_path)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "plaza done" in said and "ideas done" in said, said
    assert re.search(r"^over \w+ [1-9]", said, re.MULTILINE), f"nothing was planned: {said}"
    assert said.count("'title':") == 3
    assert sum("[civicsync:" in str(row["description"]) for row in town.database.posts.values()) == 2
    project = civicsync.load(tmp_path / "civicsync.yaml")
    assert (project.instances, project.routes) == (["plaza", "ideas"], ["over"])
    with pytest.raises(KeyError, match="elsewhere"):
        civicsync.pull(project, "elsewhere")
    with civicsync.connect(project) as database, pytest.raises(civicsync.DatabaseError, match="only read"):
        database.rows("DELETE FROM proposal")


def test_every_promised_name_is_there() -> None:
    for name in civicsync.__all__:
        assert getattr(civicsync, name) is not None
        assert name in dir(civicsync)
    with pytest.raises(AttributeError):
        civicsync.__getattr__("nothing_of_this_name")


def test_importing_it_imports_nothing_else() -> None:
    """The program imports this package too: its first word must not wait for a database library."""
    program = "import sys, civicsync; print(sorted({'sqlalchemy', 'httpx', 'pydantic'} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
