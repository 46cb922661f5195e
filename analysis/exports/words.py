"""What is said of a column in the language of the export: its type, its unit, what an empty cell means."""

from ..columns import Column, Type
from .job import Language

_TYPES: dict[Language, dict[Type, str]] = {
    "en": {
        Type.TEXT: "text",
        Type.INTEGER: "whole number",
        Type.NUMBER: "number",
        Type.BOOLEAN: "yes or no",
        Type.MOMENT: "date and time",
        Type.DATE: "date",
        Type.JSON: "JSON",
    },
    "nl": {
        Type.TEXT: "tekst",
        Type.INTEGER: "geheel getal",
        Type.NUMBER: "getal",
        Type.BOOLEAN: "ja of nee",
        Type.MOMENT: "datum en tijd",
        Type.DATE: "datum",
        Type.JSON: "JSON",
    },
}
UNITS: dict[str, str] = {
    "bytes": "bytes",
    "comments": "reacties",
    "currency": "munteenheid",
    "days": "dagen",
    "degrees": "graden",
    "endorsements": "onderschrijvingen",
    "opposes": "tegenstemmen",
    "pages": "pagina's",
    "people": "mensen",
    "proposals": "voorstellen",
    "records": "records",
    "requests": "verzoeken",
    "seconds": "seconden",
    "share": "aandeel",
    "steps": "stappen",
    "supports": "steunbetuigingen",
    "versions": "versies",
}
"""In Dutch."""


def type_of(column: Column, language: Language) -> str:
    """The type of a column's values."""
    return _TYPES[language][column.type]


def unit_of(column: Column, language: Language) -> str:
    """In what a column counts; "" where it does not."""
    return UNITS.get(column.unit, column.unit) if language == "nl" else column.unit


def meaning_of(column: Column, language: Language) -> str:
    """What a column means."""
    return column.nl if language == "nl" else column.en


def empty_of(column: Column, language: Language) -> str:
    """What an empty cell of a column means."""
    if language == "nl":
        return column.null_nl or "nooit leeg"
    return column.null_en or "never empty"
