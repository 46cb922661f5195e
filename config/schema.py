"""The JSON Schema of the configuration, for editors: every platform's own model included."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from ..connectors.contract.settings import InstanceSettings, Settings
from ..connectors.registry import platforms, resolve
from .model import RawConfig

_REF = "#/$defs/{model}"


def json_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12); descriptions are the models' own docstrings."""
    schema = RawConfig.model_json_schema(ref_template=_REF)
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    choices: list[dict[str, Any]] = []
    for platform in platforms():
        model = resolve(platform).settings
        part = model.model_json_schema(ref_template=_REF)
        definitions.update(part.pop("$defs", {}))
        part["properties"]["platform"] = {"const": platform, "description": "Which platform this is."}
        definitions[model.__name__] = part
        choices.append({"$ref": f"#/$defs/{model.__name__}"})
    other = InstanceSettings.model_json_schema(ref_template=_REF)
    definitions.update(other.pop("$defs", {}))
    other["additionalProperties"] = True
    other["properties"]["platform"] = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_]+$"}
    definitions["ThirdParty"] = other
    schema["properties"]["instances"]["additionalProperties"] = {"anyOf": [*choices, {"$ref": "#/$defs/ThirdParty"}]}
    models = {model.__name__: model for model in _all(Settings)}
    for name, part in (("RawConfig", schema), ("InstanceSettings", other), *definitions.items()):
        if name in models:
            _describe(part, models[name])
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "civicsync configuration"
    return schema


def _all(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for each in model.__subclasses__():
        yield from _all(each)


def _describe(part: dict[str, Any], model: type[BaseModel]) -> None:
    """Add what stands below each field in the source. Pydantic would do that whenever a class is made, which every verb would wait for."""
    said: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, Settings):
            said |= dict(_docstrings(each))
    for field, info in model.model_fields.items():
        if field in said:
            part["properties"][info.alias or field].setdefault("description", said[field])


def _docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    [body] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    for one, other in pairwise(body.body):
        match one, other:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass
