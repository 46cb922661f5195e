"""The pages that lie beside the data: every column explained, in English and in Dutch."""

from collections.abc import Mapping

from ..columns import View
from . import expressions, words
from .job import Job, Language


def page(job: Job, files: Mapping[str, str], language: Language) -> str:
    """A page of Markdown about a bundle: `files` by view."""
    about = job.catalogue
    licence = about.licence_known
    dutch = language == "nl"
    made = job.now.strftime("%Y-%m-%d %H:%M")
    if dutch:
        lines = [
            f"# {_line(about.title)}",
            "",
            _line(about.description),
            "",
            f"- Uitgever: {_line(about.publisher_name)} <{about.publisher_uri}>",
            f"- Vragen: {_line(about.contact_name)}, {_line(about.contact_mail)}",
            f"- Licentie: {licence.title} <{licence.uri}>",
            f"- Gemaakt: {made} UTC",
            "",
            "Bestanden zijn CSV (UTF-8, komma, RFC 4180). Tijden zijn UTC (ISO 8601). Een lege cel betekent wat bij de kolom staat.",
            "Een cel die een rekenblad als formule zou uitvoeren begint met een '. De beschrijving voor machines staat in",
            "`datapackage.json` (Data Package), `csv-metadata.json` (CSV on the Web) en `dcat.ttl` of `dcat.jsonld` (DCAT-AP-NL 3.0).",
            "",
            "Steunbetuigingen van verschillende platforms zijn geen personen die bij elkaar opgeteld kunnen worden.",
            (
                "**Niet om te publiceren**: er staan pseudoniemen in, en getallen die over weinig mensen gaan."
                if job.private
                else "Getallen die over minder mensen gaan dan de drempel zijn weggelaten."
            ),
        ]
    else:
        lines = [
            f"# {_line(about.title)}",
            "",
            _line(about.description),
            "",
            f"- Publisher: {_line(about.publisher_name)} <{about.publisher_uri}>",
            f"- Questions: {_line(about.contact_name)}, {_line(about.contact_mail)}",
            f"- Licence: {licence.title} <{licence.uri}>",
            f"- Made: {made} UTC",
            "",
            "Files are CSV (UTF-8, comma, RFC 4180). Times are UTC (ISO 8601). An empty cell means what its column says. A cell that a",
            "spreadsheet would run as a formula begins with a '. Descriptions for machines are `datapackage.json` (Data Package),",
            "`csv-metadata.json` (CSV on the Web) and `dcat.ttl` or `dcat.jsonld` (DCAT-AP-NL 3.0).",
            "",
            "Supports of different platforms are not people that can be added up.",
            (
                "**Not to be published**: it holds pseudonyms, and numbers that tell of few people."
                if job.private
                else "Numbers that tell of fewer people than the threshold are left out."
            ),
        ]
    for view in job.views:
        lines += ["", *_table(view, files[view.name], language)]
    return "\n".join(lines) + "\n"


def _table(view: View, file: str, language: Language) -> list[str]:
    dutch = language == "nl"
    heads = (
        "| kolom | soort | eenheid | betekenis | leeg betekent |"
        if dutch
        else "| column | type | unit | meaning | empty means |"
    )
    lines = [f"## {file}", "", _line(view.nl if dutch else view.en), "", heads, "|---|---|---|---|---|"]
    for each in expressions.exported(view):
        told = (words.type_of, words.unit_of, words.meaning_of, words.empty_of)
        cells = (each.name, *(say(each, language) for say in told))
        lines.append("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in cells) + " |")
    return lines


def _line(text: str) -> str:
    """A text on one line, with nothing that a page of Markdown would take for HTML."""
    return " ".join(text.split()).replace("<", "&lt;")
