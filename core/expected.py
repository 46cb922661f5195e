"""What was expected instead, in our own words: no sentence of a validation library is ever told."""

import re
from collections.abc import Mapping
from typing import Any

_TYPES = {
    "dict_type": "expected a mapping (key: value)",
    "model_type": "expected a mapping (key: value)",
    "model_attributes_type": "expected a mapping (key: value)",
    "list_type": "expected a list",
    "string_type": "expected text (put it in quotes)",
    "string_unicode": "expected text",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "finite_number": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "invalid_key": "expected a name (put it in quotes)",
    "recursion_loop": "this refers to itself",
}
_LIMITS = {
    "greater_than_equal": ("ge", "expected at least {}"),
    "greater_than": ("gt", "expected more than {}"),
    "less_than_equal": ("le", "expected at most {}"),
    "less_than": ("lt", "expected less than {}"),
    "string_too_short": ("min_length", "expected a text of at least {} character(s)"),
    "string_too_long": ("max_length", "expected a text of at most {} characters"),
    "too_short": ("min_length", "expected at least {}"),
    "too_long": ("max_length", "expected at most {}"),
}


def expected(kind: str, limits: Mapping[str, Any]) -> str:
    """The words for a kind of mistake (pydantic's `type`) and its limits (`ctx`); empty where there are none for it."""
    if kind in {"literal_error", "enum"}:
        words = re.sub(r"[\"']", "", str(limits.get("expected", ""))).replace(" or ", ", ")
        return f"expected {'one of: ' if ',' in words else ''}{words}"
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return words.format(limits.get(name))
    return _TYPES.get(kind, "")
