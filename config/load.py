"""Reading the YAML file: every problem at once, each with file, line, column, the key's path, what was found and what is right.

YAML 1.2 (`country: NO` stays a string), duplicate keys are errors, secrets come from the environment or a file.
"""

import difflib
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ..connectors.contract.exchange import is_loopback
from ..connectors.registry import UnknownPlatform, platforms, resolve
from ..core.durations import INTERVAL
from ..core.expected import expected
from ..core.redaction import conceal, redact, visible
from .alerts import ADDRESS, LIMIT
from .model import VERSIONS, Config, RawConfig
from .routes import SPACE

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"
_LARGEST_CONFIGURATION = 1_000_000
_LARGEST_SECRET = 64_000
_MOST_NODES = 20_000
"""Of a configuration with its aliases written out: a few lines of aliases of aliases are billions."""
M = TypeVar("M", bound=BaseModel)
_QUOTED = re.compile(r"'[^']{2,}'|\"[^\"]{2,}\"")
_QUERY = re.compile(r"[?#].*", re.DOTALL)
_LONGEST_SHOWN = 80
_FORMS = {
    VERSIONS: "expected `kept`, or an interval such as 90d",
    INTERVAL: "expected an interval such as 90s, 15m, 6h or 1d",
    LIMIT: "expected an interval such as 90s, 15m, 6h or 1d, or `off`",
    ADDRESS: "expected an e-mail address",
    SPACE: "expected a space as `discover` prints it, such as component/39 or group/31",
}
_SEE = "see docs/reference/config.md for what may stand here"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; 0 where the file has no such place."""

    path: str
    line: int
    column: int
    found: str
    expected: str


class ConfigError(Exception):
    """The configuration cannot be used."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda problem: (problem.line, problem.column, problem.path))
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line per problem."""
        result: list[str] = []
        for p in self.problems:
            place = f"{self.file}:{p.line}:{p.column}" if p.line else self.file
            where = f" {p.path}:" if p.path else ""
            result.append(f"{place}:{where} {p.found}" + (f"; {p.expected}" if p.expected else ""))
        return result


def load(file: Path, environment: Mapping[str, str] | None = None, *, only: Collection[str] = ()) -> Config:
    """Read and validate a configuration file.

    Args:
        file: the YAML.
        environment: where `${NAME}` is looked up; the process's own if None.
        only: the instances that matter now. What an environment variable or a file should say of any other and does not is left out.

    Raises:
        ConfigError: with every problem that was found.
    """
    return _Loader(file, os.environ if environment is None else environment, only).load()


class _Loader:
    def __init__(self, file: Path, environment: Mapping[str, str], only: Collection[str] = ()) -> None:
        self.file = file
        self.environment = environment
        self.only = only
        self.problems: list[Problem] = []
        self.tree: Any = None
        self.nodes = 0

    def load(self) -> Config:
        self.tree = self._parse()
        try:
            data = self._resolve(self.tree, ())
        except RecursionError:
            raise ConfigError(str(self.file), [Problem("", 0, 0, "it is nested far too deep", "")]) from None
        self._stop_if_wrong()
        if not isinstance(data, dict):
            raise ConfigError(
                str(self.file), [Problem("", 1, 1, "the file is not a mapping", "start with `civicsync: 1`")]
            )
        raw = self._validated(RawConfig, data, ())
        instances = data.get("instances")
        ready: dict[str, Any] = {}
        for name, block in (instances if isinstance(instances, dict) else {}).items():
            if isinstance(block, dict):
                ready[str(name)] = self._instance(str(name), block)
        self._check_secrets(RawConfig, self.tree, ())
        self._check_routes(data)
        self._stop_if_wrong()
        assert raw is not None
        for model in (raw, *ready.values()):
            conceal(*_secrets(model))
        return Config.model_construct(None, **{**dict(raw), "instances": ready})

    def _check_routes(self, data: dict[str, Any]) -> None:
        instances, routes = data.get("instances"), data.get("routes")
        known = list(instances) if isinstance(instances, dict) else []
        for name, route in (routes if isinstance(routes, dict) else {}).items():
            ends = {side: route.get(side) for side in ("from", "to")} if isinstance(route, dict) else {}
            named = {side: end.get("instance") for side, end in ends.items() if isinstance(end, dict)}
            for side, instance in named.items():
                if isinstance(instance, str) and instance not in known:
                    where = ("routes", name, side, "instance")
                    self._problem(where, self._shown(where, instance), f"name one of: {', '.join(map(str, known))}")
            if len(named) == 2 and len(set(named.values())) == 1:
                where = ("routes", name, "to", "instance")
                self._problem(where, "a route from an instance to itself", "name another instance")
        self._check_alerts(data, known)
        peers = data.get("peers")
        for name, peer in (peers if isinstance(peers, dict) else {}).items():
            accounts = peer.get("accounts") if isinstance(peer, dict) else None
            for instance in accounts if isinstance(accounts, dict) else ():
                if instance not in known:
                    self._problem(
                        ("peers", name, "accounts", instance), "no such instance", f"name one of: {', '.join(known)}"
                    )

    def _check_alerts(self, data: dict[str, Any], known: list[Any]) -> None:
        block = data.get("alerts")
        own = block.get("no_good_pull_of") if isinstance(block, dict) else None
        hooks = block.get("webhooks") if isinstance(block, dict) else None
        for name, hook in hooks.items() if isinstance(hooks, dict) else ():
            url, given = (
                self._written(("alerts", "webhooks", name, "url")),
                hook.get("url") if isinstance(hook, dict) else "",
            )
            if isinstance(url, str) and isinstance(given, str) and is_reference(url):
                # Whoever keeps an address out of the file has a token in it.
                conceal(given, *_beyond_host(given))
                conceal(*(self.environment.get(match[1], "") for match in _REFERENCE.finditer(url)))
        for name in own if isinstance(own, dict) else ():
            if name not in known:
                where = ("alerts", "no_good_pull_of", name)
                self._problem(where, "no such instance", f"name one of: {', '.join(map(str, known))}", is_key=True)

    def parsed(self) -> Any:
        """The file as it was written, with its references."""
        return self._parse()

    def _parse(self) -> Any:
        yaml = YAML(typ="rt")
        try:
            return yaml.load(read_regular(self.file, _LARGEST_CONFIGURATION))
        except FileNotFoundError:
            hint = "`civicsync init` writes one; `--config FILE` names another"
            raise ConfigError(str(self.file), [Problem("", 0, 0, "no such file", hint)]) from None
        except NotAText as error:
            raise ConfigError(str(self.file), [Problem("", 0, 0, str(error), "")]) from None
        except DuplicateKeyError as error:
            mark = error.problem_mark
            text = str(error.problem).split(" with value", 1)[0]
            problem = Problem(
                "", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, text, "each key may stand once"
            )
        except MarkedYAMLError as error:
            mark = error.problem_mark
            # What it quotes may be a password that begins like an alias or a tag.
            text = _QUOTED.sub("…", str(error.problem))
            hint = "a text with one of : # * & ! % @ ` in it stands in quotes"
            problem = Problem(
                "", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, f"not YAML: {text}", hint
            )
        except YAMLError as error:
            problem = Problem("", 0, 0, f"not YAML: {type(error).__name__}", "")
        except RecursionError:
            problem = Problem("", 0, 0, "not a configuration: it is nested far too deep", "")
        except Exception as error:  # whatever the parser makes of a file that somebody chose by mistake
            problem = Problem("", 0, 0, f"not YAML ({type(error).__name__})", "")
        raise ConfigError(str(self.file), [problem])

    def _instance(self, name: str, block: dict[str, Any]) -> Any:
        path = ("instances", name)
        platform = block.get("platform")
        if not isinstance(platform, str):
            found = "missing" if platform is None else self._shown((*path, "platform"), platform)
            self._problem((*path, "platform"), found, "name the platform")
            return None
        try:
            model = resolve(platform).settings
        except UnknownPlatform as error:
            own = self._written((*path, "platform"))
            hidden = isinstance(own, str) and is_reference(own)
            found = self._shown((*path, "platform"), platform) if hidden else redact(str(error))
            self._problem((*path, "platform"), found, f"use {', '.join(platforms())}" if hidden else "")
            return None
        settings = self._validated(model, block, path)
        literal_is_fine = isinstance(block.get("url"), str) and _is_here(block["url"])
        if not literal_is_fine:
            self._check_secrets(model, self._written(path), path)
        return settings

    def _validated(self, model: type[M], data: dict[str, Any], path: tuple[Any, ...]) -> M | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where = tuple(step for step in (*path, *detail["loc"]) if step != "[key]")
                secret = _is_secret(model, detail["loc"])
                shown = "found something else" if secret else self._shown(where, detail.get("input"))
                found, expected = _explain(model, detail, shown)
                self._problem(
                    where, found, expected, is_key=detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
                )
            return None

    def _resolve(self, node: Any, path: tuple[Any, ...]) -> Any:
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise ConfigError(
                str(self.file),
                [Problem("", 0, 0, f"more than {_MOST_NODES:,} values", "aliases count as often as they stand")],
            )
        if isinstance(node, CommentedMap):
            return {key: self._resolve(value, (*path, key)) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [self._resolve(value, (*path, index)) for index, value in enumerate(node)]
        if not isinstance(node, str):
            return node
        if self.only and path[:1] == ("instances",) and path[1] not in self.only and self._unset(node):
            return None
        if node.startswith(_FILE):
            return self._read_secret(node.removeprefix(_FILE), path)
        return _REFERENCE.sub(lambda match: self._variable(match.group(1), path), str(node))

    def _unset(self, text: str) -> bool:
        """Whether it stands for something that is not there."""
        if text.startswith(_FILE):
            return not place_of_file(self.file, text.removeprefix(_FILE)).exists()
        return any(match[1] not in self.environment for match in _REFERENCE.finditer(text))

    def _variable(self, name: str, path: tuple[Any, ...]) -> str:
        if name not in self.environment:
            self._problem(path, f"the environment variable {name} is not set", f"set it, or use `{_FILE}` and a path")
        return self.environment.get(name, "")

    def _read_secret(self, name: str, path: tuple[Any, ...]) -> str:
        try:
            secret = read_regular(place_of_file(self.file, name), _LARGEST_SECRET).strip()
        except FileNotFoundError:
            # What is no secret needs no word about the key, and the other way round.
            key = path == ("privacy", "key")
            hint = "`civicsync init` makes one" if key else "it counts from the folder of the configuration"
            self._problem(path, f"the file {redact(name)} does not exist", hint)
            return ""
        except NotAText as error:
            self._problem(
                path, f"the file {redact(name)} {error}", "name a file that holds the secret and nothing else"
            )
            return ""
        conceal(secret)
        return secret

    def _shown(self, path: tuple[Any, ...], value: Any) -> str:
        """What was found, as far as it may be told: what a reference stands for is not; and no user, password or query of an address."""
        own = self._written(path)
        if isinstance(own, str) and is_reference(own):
            return f"found what {redact(str(own))} stands for"
        if value is None:
            return "found nothing"
        if not isinstance(value, str | int | float | bool):
            return "found something else"
        text = value if isinstance(value, str) else str(value)
        if "://" in text:
            text = _QUERY.sub("?…", redact(text))
        text = visible(redact(text))
        short = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
        return f"found {short!r}" if isinstance(value, str) else f"found {short}"

    def _written(self, path: tuple[Any, ...]) -> Any:
        node = self.tree
        for step in path:
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def _check_secrets(self, model: type[BaseModel], node: Any, path: tuple[Any, ...]) -> None:
        if not isinstance(node, Mapping):
            return
        for field, info in model.model_fields.items():
            name = info.alias or field
            value = node.get(name)
            annotations = (info.annotation, *get_args(info.annotation))
            if get_origin(info.annotation) is dict and isinstance(value, Mapping):
                for key, each in value.items():
                    self._check_named(annotations, each, (*path, name, key))
                continue
            literal = isinstance(value, str) and not (value.startswith(_FILE) or _REFERENCE.fullmatch(value.strip()))
            if SecretStr in annotations and literal:
                self._problem((*path, name), "a secret is written in the file", "use ${ENV_NAME} or file:path")
            for nested in annotations:
                if isinstance(nested, type) and issubclass(nested, BaseModel):
                    self._check_secrets(nested, value, (*path, name))

    def _check_named(self, annotations: tuple[Any, ...], value: Any, path: tuple[Any, ...]) -> None:
        """One of several by name: a block that may hold secrets, or a secret itself."""
        literal = isinstance(value, str) and not (value.startswith(_FILE) or _REFERENCE.fullmatch(value.strip()))
        if SecretStr in annotations and literal:
            self._problem(path, "a secret is written in the file", "use ${ENV_NAME} or file:path")
        for nested in annotations:
            if isinstance(nested, type) and issubclass(nested, BaseModel):
                self._check_secrets(nested, value, path)

    def _problem(self, path: tuple[Any, ...], found: str, expected: str, *, is_key: bool = False) -> None:
        line, column = self._place(path, is_key=is_key)
        self.problems.append(Problem(".".join(str(step) for step in path), line, column, found, expected))

    def _place(self, path: tuple[Any, ...], *, is_key: bool = False) -> tuple[int, int]:
        node, place = self.tree, (1, 1)
        for depth, step in enumerate(path, start=1):
            try:
                if isinstance(node, CommentedMap) and step in node:
                    at_key = (
                        node[step] is None or isinstance(node[step], CommentedMap) or (is_key and depth == len(path))
                    )
                    line, column = node.lc.key(step) if at_key else node.lc.value(step)
                elif isinstance(node, CommentedSeq):
                    line, column = node.lc.item(step)
                else:
                    break
                place = (line + 1, column + 1)
                node = node[step]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return place

    def _stop_if_wrong(self) -> None:
        if self.problems:
            raise ConfigError(str(self.file), self.problems)


def _explain(model: type[BaseModel], detail: Any, shown: str) -> tuple[str, str]:
    """What was found (`shown`) and what would be right, in our words."""
    kind, place, limits = detail["type"], detail["loc"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return "unknown key", _nearest(model, place)
    if kind == "missing":
        return "missing", "this key is required"
    if kind == "string_pattern_mismatch":
        if "[key]" in place:
            return shown, "a name has small letters, digits and hyphens only"
        return shown, _FORMS.get(str(limits.get("pattern")), _SEE)
    if "[key]" in place:
        return shown, "a name has small letters, digits and hyphens only"
    if kind == "value_error":
        return shown, redact(str(detail["msg"]).removeprefix("Value error, "))
    return shown, expected(kind, limits) or _SEE


def _is_secret(model: type[BaseModel], place: tuple[Any, ...]) -> bool:
    """Whether a secret stands there, or something that is called like one."""
    if any(word in str(step).lower() for step in place for word in ("key", "secret", "password", "token")):
        return True
    named = False
    for step in place:
        if named:  # the name of one of several
            named = False
            continue
        info = {each.alias or own: each for own, each in model.model_fields.items()}.get(str(step))
        if info is None:
            return False
        named = get_origin(info.annotation) is dict
        annotations = (info.annotation, *get_args(info.annotation))
        if SecretStr in annotations or str(step) == "database":
            return True
        nested = next((a for a in annotations if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if nested is None:
            return False
        model = nested
    return False


def _secrets(model: BaseModel) -> Iterator[str]:
    for _, value in model:
        for each in value.values() if isinstance(value, dict) else (value,):
            if isinstance(each, SecretStr):
                yield each.get_secret_value()
            elif isinstance(each, BaseModel):
                yield from _secrets(each)


def _beyond_host(url: str) -> tuple[str, str]:
    """Path and query: an error names an address without its query."""
    path, _, query = url.partition("://")[2].partition("/")[2].partition("?")
    return path, query


def _is_here(url: str) -> bool:
    try:
        return is_loopback(url)
    except ValueError:
        return False


class NotAText(Exception):
    """A file that is no small text; why."""


def read_regular(file: Path, largest: int) -> str:
    """The text of a regular file: never a pipe, which may never end or never begin, and never a device.

    Raises:
        FileNotFoundError, NotAText.
    """
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
            raise NotAText(f"is {kind}, not a file")
        with file.open("rb") as stream:
            content = stream.read(largest + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a name of a file"
        raise NotAText(f"cannot be read ({reason or type(error).__name__})") from None
    if len(content) > largest:
        raise NotAText(f"is larger than {largest:,} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotAText("is not text in UTF-8") from None


def place_of_file(configuration: Path, name: str) -> Path:
    """Where a file lies that the configuration names: relative to it."""
    try:
        return configuration.resolve().parent / Path(name).expanduser()
    except RuntimeError:  # ~nobody
        return configuration.resolve().parent / name


def is_reference(text: str) -> bool:
    """Whether it stands for something outside the file."""
    return text.startswith(_FILE) or _REFERENCE.search(text) is not None


def written(configuration: Path) -> Any:
    """The file as it was written, references and all.

    Raises:
        ConfigError: it cannot be read.
    """
    return _Loader(configuration, {}).parsed()


def referenced_files(configuration: Path) -> dict[str, Path]:
    """The files that hold secrets of a configuration, by the path of the key that names them."""
    found: dict[str, Path] = {}

    def look(node: Any, path: str) -> None:
        for step, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            own = f"{path}.{step}" if path else str(step)
            if isinstance(value, Mapping | list):
                look(value, own)
            elif isinstance(value, str) and (value.startswith(_FILE) or step == "oauth_tokens"):
                found[own] = place_of_file(configuration, value.removeprefix(_FILE))

    tree = written(configuration)
    if isinstance(tree, Mapping):
        look(tree, "")
    return found


def _nearest(model: type[BaseModel], place: tuple[Any, ...]) -> str:
    for step in place[:-1]:
        fields = {each.alias or own: each for own, each in model.model_fields.items()}
        info = fields.get(str(step))
        nested = [info.annotation, *get_args(info.annotation)] if info else []
        model = next((a for a in nested if isinstance(a, type) and issubclass(a, BaseModel)), model)
    names = [info.alias or name for name, info in model.model_fields.items()]
    close = difflib.get_close_matches(str(place[-1]), names, n=1)
    return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(names)}"
