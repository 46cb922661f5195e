"""Reading the YAML file: every problem at once, each with file, line, column, the key's path, what was found and what is right.

YAML 1.2 (`country: NO` stays a string), duplicate keys are errors, secrets come from the environment or a file.
"""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ..connectors.contract.exchange import is_loopback
from ..connectors.registry import UnknownPlatform, resolve
from ..core.durations import INTERVAL
from .model import Config, RawConfig

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"
M = TypeVar("M", bound=BaseModel)
_TYPES = {
    "dict_type": "expected a mapping (key: value)",
    "model_type": "expected a mapping (key: value)",
    "list_type": "expected a list",
    "string_type": "expected text (put it in quotes)",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "float_parsing": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
}


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


def load(file: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and validate a configuration file.

    Raises:
        ConfigError: with every problem that was found.
    """
    return _Loader(file, os.environ if environment is None else environment).load()


class _Loader:
    def __init__(self, file: Path, environment: Mapping[str, str]) -> None:
        self.file = file
        self.environment = environment
        self.problems: list[Problem] = []
        self.tree: Any = None

    def load(self) -> Config:
        self.tree = self._parse()
        data = self._resolve(self.tree, ())
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
        return Config.model_construct(None, **{**dict(raw), "instances": ready})

    def _check_routes(self, data: dict[str, Any]) -> None:
        instances, routes = data.get("instances"), data.get("routes")
        known = list(instances) if isinstance(instances, dict) else []
        for name, route in (routes if isinstance(routes, dict) else {}).items():
            ends = {side: route.get(side) for side in ("from", "to")} if isinstance(route, dict) else {}
            named = {side: end.get("instance") for side, end in ends.items() if isinstance(end, dict)}
            for side, instance in named.items():
                if isinstance(instance, str) and instance not in known:
                    self._problem(
                        ("routes", name, side, "instance"), f"found {instance!r}", f"name one of: {', '.join(known)}"
                    )
            if len(named) == 2 and len(set(named.values())) == 1:
                where = ("routes", name, "to", "instance")
                self._problem(where, "a route from an instance to itself", "name another instance")

    def _parse(self) -> Any:
        yaml = YAML(typ="rt")
        try:
            return yaml.load(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            hint = "`civicsync init` writes one; `--config FILE` names another"
            raise ConfigError(str(self.file), [Problem("", 0, 0, "no such file", hint)]) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                str(self.file), [Problem("", 0, 0, f"cannot be read ({type(error).__name__})", "")]
            ) from None
        except DuplicateKeyError as error:
            mark = error.problem_mark
            text = str(error.problem).split(" with value", 1)[0]
            problem = Problem(
                "", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, text, "each key may stand once"
            )
        except MarkedYAMLError as error:
            mark = error.problem_mark
            problem = Problem(
                "", mark.line + 1 if mark else 0, mark.column + 1 if mark else 0, f"not YAML: {error.problem}", ""
            )
        except YAMLError as error:
            problem = Problem("", 0, 0, f"not YAML: {type(error).__name__}", "")
        raise ConfigError(str(self.file), [problem])

    def _instance(self, name: str, block: dict[str, Any]) -> Any:
        path = ("instances", name)
        platform = block.get("platform")
        if not isinstance(platform, str):
            self._problem(
                (*path, "platform"), "missing" if platform is None else f"found {platform!r}", "name the platform"
            )
            return None
        try:
            model = resolve(platform).settings
        except UnknownPlatform as error:
            self._problem((*path, "platform"), str(error), "")
            return None
        settings = self._validated(model, block, path)
        literal_is_fine = isinstance(block.get("url"), str) and is_loopback(block["url"])
        if not literal_is_fine:
            self._check_secrets(model, self._node(path), path)
        return settings

    def _validated(self, model: type[M], data: dict[str, Any], path: tuple[Any, ...]) -> M | None:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                where = tuple(step for step in (*path, *detail["loc"]) if step != "[key]")
                found, expected = _explain(model, detail)
                self._problem(
                    where, found, expected, is_key=detail["type"] == "extra_forbidden" or "[key]" in detail["loc"]
                )
            return None

    def _resolve(self, node: Any, path: tuple[Any, ...]) -> Any:
        if isinstance(node, CommentedMap):
            return {key: self._resolve(value, (*path, key)) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            return [self._resolve(value, (*path, index)) for index, value in enumerate(node)]
        if not isinstance(node, str):
            return node
        if node.startswith(_FILE):
            return self._read_secret(node.removeprefix(_FILE), path)
        return _REFERENCE.sub(lambda match: self._variable(match.group(1), path), str(node))

    def _variable(self, name: str, path: tuple[Any, ...]) -> str:
        if name not in self.environment:
            self._problem(path, f"the environment variable {name} is not set", f"set it, or use `{_FILE}` and a path")
        return self.environment.get(name, "")

    def _read_secret(self, name: str, path: tuple[Any, ...]) -> str:
        place = (self.file.parent / Path(name).expanduser()).resolve()
        try:
            return place.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be read"
            self._problem(path, f"the file {name} {reason}", "`civicsync init` makes one for privacy.key")
            return ""

    def _check_secrets(self, model: type[BaseModel], node: Any, path: tuple[Any, ...]) -> None:
        if not isinstance(node, Mapping):
            return
        for name, info in model.model_fields.items():
            value = node.get(name)
            annotations = (info.annotation, *get_args(info.annotation))
            literal = isinstance(value, str) and not (value.startswith(_FILE) or _REFERENCE.fullmatch(value.strip()))
            if SecretStr in annotations and literal:
                self._problem((*path, name), "a secret is written in the file", "use ${ENV_NAME} or file:path")
            for nested in annotations:
                if isinstance(nested, type) and issubclass(nested, BaseModel):
                    self._check_secrets(nested, value, (*path, name))

    def _node(self, path: tuple[Any, ...]) -> Any:
        node = self.tree
        for step in path:
            node = node[step]
        return node

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


def _explain(model: type[BaseModel], detail: Any) -> tuple[str, str]:
    """What was found and what would be right; the value itself is shown only where it cannot be a secret."""
    kind, place = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return "unknown key", _nearest(model, place)
    if kind == "missing":
        return "missing", "this key is required"
    value = detail.get("input")
    secret = any(word in str(step).lower() for step in place for word in ("key", "secret", "password", "token"))
    shown = f"found {value!r}" if isinstance(value, str | int | float | bool) and not secret else "found something else"
    if value is None:
        shown = "found nothing"
    if kind == "string_pattern_mismatch" and detail.get("ctx", {}).get("pattern") == INTERVAL:
        return shown, "expected an interval such as 90s, 15m, 6h or 1d"
    if "[key]" in place:
        return shown, "a name has small letters, digits and hyphens only"
    return shown, _TYPES.get(kind, str(detail["msg"]).removeprefix("Value error, "))


def _nearest(model: type[BaseModel], place: tuple[Any, ...]) -> str:
    for step in place[:-1]:
        fields = {each.alias or own: each for own, each in model.model_fields.items()}
        info = fields.get(str(step))
        nested = [info.annotation, *get_args(info.annotation)] if info else []
        model = next((a for a in nested if isinstance(a, type) and issubclass(a, BaseModel)), model)
    names = [info.alias or name for name, info in model.model_fields.items()]
    close = difflib.get_close_matches(str(place[-1]), names, n=1)
    return f"did you mean {close[0]}?" if close else f"known keys: {', '.join(names)}"
