"""The JSON Schema of the configuration, for editors: every platform's own model included."""

from typing import Any

from ..connectors.contract.settings import InstanceSettings
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
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "civicsync configuration"
    return schema
