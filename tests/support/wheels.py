"""civicsync as a stranger gets it: its wheel in an environment of its own, with the libraries that it needs and nothing of the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """An environment, and the wheel that was installed into it."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """What its activation would set."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", "")])
        return {"PATH": path, "VIRTUAL_ENV": str(self.folder), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "COLUMNS": "160"}

    def run(self, *words: str, cwd: Path, code: int = 0) -> str:
        """A command in it; its standard output."""
        done = subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            cwd=cwd,
            env={**os.environ, **self.variables()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built from a copy of what the repository tracks: nothing is left behind in the checkout."""
    copy = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file() and not name.startswith("tests/recordings/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(source.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--disable-pip-version-check", "--wheel-dir", str(folder), str(copy)], check=True)
    [wheel] = folder.glob("civicsync-*.whl")
    return wheel


def make_environment(folder: Path) -> Environment:
    """An environment with that wheel.

    The libraries come from the environment of these tests, so that nothing is downloaded: their folder is on the path, behind the
    environment's own, and the .pth files in it (the checkout, installed to be edited) are not read there.
    """
    wheel = build_wheel(folder)
    place = folder / "environment"
    venv.create(place, symlinks=True)  # pip is among what is borrowed
    environment = Environment(place, wheel)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = place / "lib" / version / "site-packages"
    borrowed = folder / "libraries"
    borrowed.mkdir()
    for each in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "civicsync" not in each.name and each.suffix != ".pth":
            (borrowed / each.name).symlink_to(each)
    (packages / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    environment.run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel), cwd=folder)
    return environment
