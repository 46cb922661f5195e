"""What is wrong with this installation, or soon will be, and the way out of each. Reads only; one HEAD request to each host.

The checks are functions from what was found to findings; whatever asks the network or the machine is handed in.
"""

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ...core.worker_queue import Seen

PATIENCE = 10.0
"""Seconds for one host."""
_AT_ONCE = 16
_SKEW = (timedelta(seconds=30), timedelta(minutes=5))
_CERTIFICATE = (timedelta(days=21), timedelta(days=7))
_TOKEN = timedelta(days=7)
_LEAST_ROOM = 200_000_000
_STALE = timedelta(hours=26)
_WAITS = timedelta(minutes=15)
_NETWORK = re.compile(
    r"^(nfs\d?|cifs|smb\d?|smbfs|9p|ncpfs|afs|ceph|glusterfs|lustre|fuse\.(sshfs|glusterfs|s3fs|rclone|ceph.*))$"
)


class Level(StrEnum):
    """How bad it is: fine, worth knowing, or to be done something about."""

    FINE = "fine"
    KNOW = "know"
    ACT = "act"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found about one thing. `way_out` is empty where nothing is to be done."""

    check: str
    about: str
    level: Level
    what: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a host showed: when its certificate ends, what its clock says, and when it was asked by ours."""

    ends: datetime | None = None
    date: datetime | None = None
    at: datetime | None = None
    trouble: str = ""
    way_out: str = ""


# Hosts ------------------------------------------------------------------------------------------------------------------


def visit(url: str, agent: str, *, verify: bool = True, now: Callable[[], datetime]) -> Visit:
    """Resolve a name, look at the certificate, ask for the head of the page. Blocks, for at most some seconds; raises nothing."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        why = f"the name {host} cannot be resolved ({error.strerror or type(error).__name__})"
        return Visit(
            trouble=why,
            way_out="is the address spelt right, and does this machine have a name server (/etc/resolv.conf)?",
        )
    connection: http.client.HTTPConnection
    if secure:
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.connect()
        ends = _ends(connection.sock)
        connection.request("HEAD", parts.path or "/", headers={"User-Agent": agent})
        said = connection.getresponse().getheader("Date")
        return Visit(ends, _moment(said), now())
    except ssl.SSLCertVerificationError as error:
        way_out = "whoever runs the site must renew it; where its own authority signed it, name that authority's file in SSL_CERT_FILE"
        return Visit(trouble=f"its certificate is not trusted: {error.verify_message}", way_out=way_out)
    except (OSError, http.client.HTTPException) as error:
        why = f"nothing answers on {host}:{port} ({getattr(error, 'strerror', None) or type(error).__name__})"
        return Visit(trouble=why, way_out="is the site up, and may this machine reach it (firewall, proxy)?")
    finally:
        connection.close()


def _ends(sock: Any) -> datetime | None:
    told = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    ends = told.get("notAfter") if told else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(ends)), UTC) if ends else None


def _moment(said: str | None) -> datetime | None:
    with contextlib.suppress(TypeError, ValueError):
        found = parsedate_to_datetime(str(said))
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return None


def visits(urls: Mapping[str, tuple[str, bool]], agent: str, now: Callable[[], datetime]) -> dict[str, Visit]:
    """All of them side by side, each host once. `urls`: by instance, the address and whether its certificate is verified."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {name: pool.submit(visit, url, agent, verify=verify, now=now) for name, (url, verify) in urls.items()}
        return {name: each.result() for name, each in asked.items()}


def hosts(found: Mapping[str, Visit], now: datetime) -> Iterator[Finding]:
    """What is wrong with names, ways and certificates."""
    for name, seen in found.items():
        if seen.trouble:
            yield Finding("host", name, Level.ACT, seen.trouble, seen.way_out)
            continue
        if seen.ends is None:
            yield Finding("host", name, Level.FINE, "it answers")
            continue
        left = seen.ends - now
        what = f"its certificate ends on {seen.ends:%Y-%m-%d} ({left.days} days from now)"
        way_out = "tell whoever runs the site: when it has ended, nothing can be read or written there"
        level = Level.ACT if left < _CERTIFICATE[1] else Level.KNOW if left < _CERTIFICATE[0] else Level.FINE
        yield Finding("certificate", name, level, what, way_out if level is not Level.FINE else "")


def clock(found: Iterable[Visit]) -> Iterator[Finding]:
    """Whether this machine's clock agrees with those of the platforms, most of which agree with each other."""
    apart = [(seen.at - seen.date).total_seconds() for seen in found if seen.at is not None and seen.date is not None]
    if not apart:
        return
    off = timedelta(seconds=median(apart))
    level = Level.ACT if abs(off) > _SKEW[1] else Level.KNOW if abs(off) > _SKEW[0] else Level.FINE
    side = "ahead of" if off > timedelta(0) else "behind"
    what = f"this machine's clock is {abs(off).total_seconds():.0f} s {side} that of {len(apart)} platforms"
    way_out = (
        "switch on NTP (timedatectl set-ntp true): leases, look-ups of lost answers and cron lines go by the clock"
    )
    yield Finding("clock", "this machine", level, what, way_out if level is not Level.FINE else "")


# Files and disk ---------------------------------------------------------------------------------------------------------


def permissions(files: Mapping[Path, str]) -> Iterator[Finding]:
    """Every file with secrets or people's texts that others on this machine can read. `files`: with what each is."""
    wrong = False
    for file, what in files.items():
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue
        if mode & 0o077:
            wrong = True
            yield Finding(
                "permissions",
                str(file),
                Level.ACT,
                f"{what} can be read or changed by others on this machine",
                f"chmod 600 {file}",
            )
    if not wrong:
        yield Finding("permissions", "secrets", Level.FINE, f"{len(files)} files are for their owner only")


def database_file(file: Path, bytes_: int, mounts: str) -> Iterator[Finding]:
    """Whether a SQLite database lies where it can be written, has room, and is on a disk of this machine.

    `mounts`: the text of `/proc/mounts`; empty where there is none.
    """
    folder = file.parent
    if not (os.access(file, os.W_OK) and os.access(folder, os.W_OK)):
        who = f"chown it to whoever runs civicsync: {file} and {folder}"
        yield Finding("permissions", str(file), Level.ACT, "the database cannot be written by this user", who)
    kind = file_system_of(file, mounts)
    if _NETWORK.match(kind):
        what = (
            f"the database lies on a network file system ({kind}), whose locks cannot be trusted: it can be destroyed"
        )
        yield Finding(
            "database",
            str(file),
            Level.ACT,
            what,
            "move it to a disk of this machine, or use PostgreSQL (docs/howto/postgresql.md)",
        )
    yield from room(folder, shutil.disk_usage(folder).free, bytes_)


def room(folder: Path, free: int, bytes_: int) -> Iterator[Finding]:
    """Whether there is room for the database to grow, and for a copy of it."""
    what = f"{free / 1e6:,.0f} MB free in {folder}, the database has {bytes_ / 1e6:,.0f} MB"
    if free < max(_LEAST_ROOM, bytes_ // 10):
        yield Finding(
            "disk", str(folder), Level.ACT, what, "make room now: on a full disk every run ends with nothing stored"
        )
    elif free < bytes_ * 1.1:
        yield Finding(
            "disk", str(folder), Level.KNOW, what, "a backup here has no room: make room, or back up to another disk"
        )
    else:
        yield Finding("disk", str(folder), Level.FINE, what)


def file_system_of(file: Path, mounts: str) -> str:
    """The kind of file system that a file lies on, by the longest mount point above it; empty where nobody knows."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
        above = point == "/" or str(file) == point or str(file).startswith(point.rstrip("/") + "/")
        if above and len(point) >= best:
            best, kind = len(point), fields[2]
    return kind


# Database ---------------------------------------------------------------------------------------------------------------


def schema(found: str | None, head: str) -> Iterator[Finding]:
    """Whether the schema is that of this release; `found`: its revision, None where there is no database yet."""
    if found is None:
        yield Finding("schema", "database", Level.KNOW, "there is no database yet", "`civicsync sync` makes it")
    elif found == head:
        yield Finding("schema", "database", Level.FINE, f"revision {found}")
    elif found < head:
        what = f"revision {found}, this release has {head}: the next verb brings it up to date"
        yield Finding("schema", "database", Level.KNOW, what, "`civicsync backup` first; then restart every process")
    else:
        what = f"revision {found} was made by a newer civicsync than this one ({head})"
        yield Finding(
            "schema",
            "database",
            Level.ACT,
            what,
            "install that release again, or restore a backup from before the upgrade",
        )


def pulls(good: Mapping[str, datetime], names: Iterable[str], now: datetime) -> Iterator[Finding]:
    """Instances that no pull read to the end for more than a day."""
    for name in names:
        if name not in good:
            yield Finding("pull", name, Level.KNOW, "no pull ever came to its end", f"`civicsync sync {name}`")
        elif now - good[name] > _STALE:
            hours = (now - good[name]).total_seconds() / 3600
            what = f"no pull came to its end for {hours:.0f} hours"
            yield Finding("pull", name, Level.ACT, what, f"`civicsync runs {name}` says why; does `civicsync run` run?")
        else:
            yield Finding("pull", name, Level.FINE, f"read to the end at {good[name]:%Y-%m-%d %H:%M} UTC")


def routes(halted: Iterable[str], twins: Mapping[str, int], left_alone: Iterable[str]) -> Iterator[Finding]:
    """What of publishing waits for a person or failed."""
    for name in sorted(halted):
        way_out = f"`civicsync publish --dry-run {name}` shows what is wanted, `civicsync review resume {name}` goes on"
        yield Finding("route", name, Level.ACT, "it stopped and waits for a person", way_out)
    for name, many in sorted(twins.items()):
        yield Finding(
            "route",
            name,
            Level.ACT,
            f"{many} publications have more than one copy",
            "`civicsync review list` names them",
        )
    for host in sorted(left_alone):
        yield Finding(
            "route", host, Level.KNOW, "writing there failed; it is left alone for a while", "is the site up?"
        )


def left_behind(copies: Mapping[str, int], configured: Collection[str]) -> Iterator[Finding]:
    """Copies that nobody edits or takes back any more. `copies`: how many stand, by the route that made them."""
    for name, many in sorted(copies.items()):
        if name not in configured:
            what = f"{many} copies are public, and no route of this name is configured: nobody edits them or takes them back"
            way_out = "give the route this name again; or take the copies back on their platform"
            yield Finding("route", name, Level.ACT, what, way_out)


def notices(waiting: Mapping[str, int], given_up: Mapping[str, int]) -> Iterator[Finding]:
    """What should have been told and was not delivered, by channel."""
    way_out = "`civicsync alerts` says why; `civicsync alerts test` tries the channels"
    for name, many in sorted(waiting.items()):
        yield Finding("alerts", name, Level.KNOW, f"{many} notices wait to be delivered", way_out)
    for name, many in sorted(given_up.items()):
        what = f"{many} notices were tried for a week and not delivered"
        yield Finding("alerts", name, Level.ACT, what, f"{way_out}; then `civicsync alerts send --again`")


def workers(seen: Seen, *, extra: bool) -> Iterator[Finding]:
    """Whether somebody does what `run` hands on. `extra`: whether what workers need is installed here."""
    if not extra:
        yield Finding(
            "workers", "this machine", Level.ACT, "`workers: true` needs an extra", "pip install 'civicsync[workers]'"
        )
    what = f"workers: {seen.workers}, jobs under way: {seen.under_way}, waiting: {seen.waiting}"
    if not seen.made:
        yield Finding("workers", "queue", Level.KNOW, "there is no queue yet", "`civicsync run` makes it")
    elif not seen.workers:
        yield Finding(
            "workers",
            "queue",
            Level.ACT,
            f"no worker gives signs of life; jobs waiting: {seen.waiting}",
            "start `civicsync worker`",
        )
    elif seen.waits_for > _WAITS.total_seconds():
        what += f" (the first for {seen.waits_for / 60:.0f} minutes)"
        yield Finding("workers", "queue", Level.ACT, what, "start more workers, or give them a larger --concurrency")
    else:
        yield Finding("workers", "queue", Level.FINE, what)


def workers_on_a_file() -> Finding:
    """`workers: true` beside a SQLite database."""
    way_out = "`civicsync database move` (docs/howto/postgresql.md), or leave `workers:` out"
    return Finding(
        "workers", "database", Level.ACT, "`workers: true` needs PostgreSQL, and `database:` is a SQLite file", way_out
    )


def versions(found: Mapping[str, tuple[str, str | None]], known: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Platforms that are newer than what this release was tested with. `found`: by instance, platform and version as last seen."""
    for name, (platform, version) in found.items():
        newest = max((_numbers(each) for each in known.get(platform, ())), default=())
        if not version or not newest or not _numbers(version):
            continue
        if _numbers(version)[: len(newest)] > newest:
            what = f"{platform} {version} is newer than what this release knows ({known[platform][-1]})"
            way_out = f"look at `civicsync check {name}` and `civicsync quarantine list`; is there a newer civicsync?"
            yield Finding("version", name, Level.KNOW, what, way_out)
        else:
            yield Finding("version", name, Level.FINE, f"{platform} {version}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version))


# Credentials ------------------------------------------------------------------------------------------------------------


def refused(name: str, found: Mapping[str, str]) -> Iterator[Finding]:
    """A name and password that a platform did not take; `found`: by kind of write ("": for everything), what it said."""
    for kind, message in found.items():
        what = f"its account is not let in{f' to {kind}' if kind else ''}: {message}"
        yield Finding(
            "credentials",
            name,
            Level.ACT,
            what,
            f"correct them in the configuration; `civicsync check {name}` tries them",
        )


def tokens(name: str, file: Path, now: datetime) -> Iterator[Finding]:
    """The file with the OAuth tokens of an instance."""
    login = f"`civicsync login {name}` asks for consent"
    try:
        held = msgspec.json.decode(file.read_bytes())
        ends = datetime.fromtimestamp(float(held["expires"]), UTC)
        renews = bool(held.get("refresh"))
    except FileNotFoundError:
        yield Finding("token", name, Level.ACT, f"there are no OAuth tokens yet ({file})", login)
        return
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError, OverflowError):
        yield Finding(
            "token", name, Level.ACT, f"the file with the OAuth tokens cannot be read ({file})", f"{login} again"
        )
        return
    if renews:
        yield Finding("token", name, Level.FINE, "the OAuth token is renewed by itself")
    elif ends <= now:
        yield Finding("token", name, Level.ACT, f"the OAuth token ended on {ends:%Y-%m-%d}", f"{login} again")
    else:
        soon = ends - now < _TOKEN
        what = f"the OAuth token ends on {ends:%Y-%m-%d} and cannot be renewed"
        yield Finding("token", name, Level.ACT if soon else Level.KNOW, what, f"{login} again")
