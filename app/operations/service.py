"""The files with which civicsync is put on a server, filled in for this place: a systemd unit, a container file, dashboard, alerts."""

import os
import pwd
import re
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Literal

What = Literal["systemd", "container", "dashboard", "alerts"]
FILES: dict[What, str] = {
    "systemd": "civicsync.service",
    "container": "Containerfile",
    "dashboard": "grafana.json",
    "alerts": "alerts.yaml",
}
UNIT = Path("/etc/systemd/system/civicsync.service")
_PLAIN = re.compile(r"[A-Za-z0-9/._@+-]+")
_HOMES = ("/home", "/root", "/run/user")


class ServiceError(Exception):
    """A file cannot be made for this place; the text says why and the way out."""


def template(what: What) -> str:
    """A file as it is delivered."""
    return files(__name__.rpartition(".")[0]).joinpath("deploy", FILES[what]).read_text(encoding="utf-8")


def container() -> str:
    """The container file, for this release."""
    return template("container").replace("@VERSION@", version("civicsync"))


def unit(configuration: Path, *, user: str | None = None, program: Path | None = None) -> str:
    """The systemd unit. `user`: who it runs as, the owner of the configuration where none is named.

    Raises:
        ServiceError: the configuration is not there, belongs to root, or lies where a unit cannot name it.
    """
    file = configuration.absolute()
    if not file.is_file():
        raise ServiceError(f"{file} is not there: `civicsync init` writes one; --config names another")
    who = user or pwd.getpwuid(file.stat().st_uid).pw_name
    if who == "root":
        raise ServiceError(
            f"{file} belongs to root, and civicsync needs none of its rights: useradd --system civicsync; "
            f"chown --recursive civicsync {file.parent}; or name somebody by --user"
        )
    command = (program or Path(sys.argv[0])).absolute()
    if not os.access(command, os.X_OK) or command.is_dir():
        command = Path(sys.executable).with_name("civicsync")
    for each in (str(file), str(command), who):
        if not _PLAIN.fullmatch(each):
            raise ServiceError(
                f"{each!r} has characters that a unit file reads in its own way; move it to a plain path such as /srv/civicsync"
            )
    at_home = any(str(each).startswith(f"{home}/") for each in (file, command) for home in _HOMES)
    filled = {
        "@PROGRAM@": str(command),
        "@CONFIG@": str(file),
        "@FOLDER@": str(file.parent),
        "@USER@": who,
        "@HOME@": "read-only" if at_home else "yes",
        "@ENVIRONMENT@": f"EnvironmentFile=-{file.parent / 'civicsync.env'}",
    }
    text = template("systemd")
    for name, value in filled.items():
        text = text.replace(name, value)
    return text


def install(text: str, to: Path, *, force: bool = False) -> bool:
    """Put a unit in its place, whole or not at all; returns whether anything changed.

    Raises:
        ServiceError: another one is there, or the place cannot be written.
    """
    try:
        if to.exists():
            if to.read_text(encoding="utf-8") == text:
                return False
            if not force:
                raise ServiceError(f"{to} is there and says something else; look at it, then --force")
        part = to.with_name(f".{to.name}.{os.getpid()}.part")
        try:
            part.write_text(text, encoding="utf-8")
            part.chmod(0o644)
            part.rename(to)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ServiceError(f"{to} cannot be written ({why}); run it with sudo, or --to another place") from error
    return True
