"""The files for a server are right for this place, and give away nothing that the program does not need."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from civicsync.app.cli.main import app
from civicsync.app.operations import service
from civicsync.app.operations.service import FILES, ServiceError, container, install, template, unit


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    file = tmp_path / "civicsync.yaml"
    file.write_text("civicsync: 1\n")
    return file


def asked(configuration: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["--config", str(configuration), "service", *words])
    return done.exit_code, done.output


def test_every_file_is_delivered_and_printed(configuration: Path) -> None:
    for what in FILES:
        code, printed = asked(configuration, "print", what, *(["--user", "daemon"] if what == "systemd" else []))
        assert code == 0, printed
        assert printed.endswith("\n")
        assert not re.findall(r"@[A-Z]+@", printed), "everything is filled in"


def test_the_unit_names_this_place(configuration: Path) -> None:
    program = Path(sys.executable).with_name("civicsync")
    text = unit(configuration, user="daemon", program=program)
    assert f"ExecStart={program} --config {configuration} --log json run\n" in text
    assert f"\nReadWritePaths={configuration.parent}\n" in text
    assert "\nUser=daemon\n" in text


def test_systemd_understands_the_unit_and_finds_it_closed(configuration: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd is not on this machine")
    file = configuration.with_name("civicsync.service")
    file.write_text(unit(configuration, user="daemon", program=Path("/bin/true")))
    done = subprocess.run([tool, "verify", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    command = [tool, "security", "--offline=true", "--no-pager", str(file)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", told)
    assert found is not None
    assert float(found[1]) <= 2.0


def test_the_unit_tells_systemd_what_the_program_does() -> None:
    text = template("systemd")
    for line in ("Type=notify", "WatchdogSec=2min", "ExecReload=/bin/kill -HUP $MAINPID", "RestartPreventExitStatus=2"):
        assert f"\n{line}\n" in text


def test_at_home_the_unit_can_read_where_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_HOMES", (str(tmp_path),))
    file = tmp_path / "civicsync.yaml"
    file.write_text("")
    assert "\nProtectHome=read-only\n" in unit(file, user="daemon", program=Path("/bin/true"))
    monkeypatch.setattr(service, "_HOMES", ("/nowhere",))
    assert "\nProtectHome=yes\n" in unit(file, user="daemon", program=Path("/bin/true"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can own the file")
def test_it_does_not_run_as_root(configuration: Path) -> None:
    with pytest.raises(ServiceError, match=r"belongs to root.*useradd"):
        unit(configuration)


@pytest.mark.parametrize("name", ["with space", "per%cent", "do$llar", 'quo"te', "new\nline"])
def test_a_path_that_a_unit_reads_in_its_own_way_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    file = folder / "civicsync.yaml"
    file.write_text("")
    with pytest.raises(ServiceError, match="move it to a plain path"):
        unit(file, user="daemon")


def test_a_user_cannot_add_lines_to_the_unit(configuration: Path) -> None:
    with pytest.raises(ServiceError, match="characters"):
        unit(configuration, user="daemon\nExecStartPre=/bin/evil")


def test_without_a_configuration_there_is_no_unit(tmp_path: Path) -> None:
    code, printed = asked(tmp_path / "none.yaml", "print", "systemd")
    assert code == 1
    assert "civicsync init" in printed


def test_installing_is_whole_and_asks_before_it_replaces(configuration: Path) -> None:
    to = configuration.with_name("unit")
    assert install("one\n", to)
    assert to.stat().st_mode & 0o777 == 0o644
    assert not install("one\n", to)
    with pytest.raises(ServiceError, match="--force"):
        install("two\n", to)
    assert to.read_text() == "one\n"
    assert install("two\n", to, force=True)
    assert sorted(each.name for each in to.parent.iterdir()) == ["civicsync.yaml", "unit"]
    with pytest.raises(ServiceError, match="cannot be written"):
        install("one\n", to.parent / "none" / "unit")


def test_the_verb_installs_and_says_what_to_do_next(configuration: Path) -> None:
    to = configuration.with_name("civicsync.service")
    code, printed = asked(configuration, "install", "--user", "daemon", "--to", str(to))
    assert code == 0
    assert "systemctl enable --now civicsync" in printed
    assert to.read_text() == unit(configuration, user="daemon")
    assert "says the same" in asked(configuration, "install", "--user", "daemon", "--to", str(to))[1]


def test_the_container_is_not_root_keeps_no_secret_and_says_whether_it_lives() -> None:
    lines = [line for line in container().splitlines() if line and not line.startswith("#")]
    stages = [at for at, line in enumerate(lines) if line.startswith("FROM ")]
    last = lines[stages[-1] :]
    users = [line.split()[1] for line in last if line.startswith("USER ")]
    assert users
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", each) for each in users), (
        "numbers, so that a cluster can tell that it is not root"
    )
    assert last.index(f"USER {users[-1]}") < next(at for at, line in enumerate(last) if line.startswith("ENTRYPOINT"))
    assert any(line.startswith("HEALTHCHECK ") for line in last)
    assert "/health" in "".join(last)
    assert not [line for line in lines if re.match(r"(ENV|ARG)\b.*(KEY|PASSWORD|SECRET|TOKEN)", line)]
    assert not [line for line in lines if line.startswith("ADD ") or ":latest" in line or "curl" in line]
    assert all(":" in line.split()[1] for line in lines if line.startswith("FROM ")), "a version of each base"
