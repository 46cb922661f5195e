"""The sandbox's translations, tags and places of proposals, and what its models refuse (docs/platforms/consul.md 8.2, 3 and 5).

A proposal may get two rows of one language by a careless edit; which of them is shown changes when one of them is written.
"""

import re
from typing import Any

from .model import Row
from .visit import Params, blocks, hash_of
from .whole import Whole

Errors = list[tuple[str, str]]
"""Field and message; a field of "" has no message beside it."""
COLUMNS = ("title", "summary", "description", "retired_explanation")
_VIDEO = re.compile(r"^https?://(www\.)?(youtube\.com|youtu\.be|vimeo\.com|player\.vimeo\.com)/")
TITLE, DESCRIPTION, TAGS, TAG = (4, 80), 6000, 6, 160


def translations(sandbox: Whole, row: Row) -> list[Params]:
    """The rows of the translations table in their order; made from the texts when they are first asked for."""
    found = row["translations"]
    if found is None:
        found = [
            {"id": sandbox.next_translation(), "locale": locale, "texts": texts} for locale, texts in row.texts.items()
        ]
        row.values["translations"] = found
    return found


def shown(row: Row) -> None:
    """Show the first row of every language."""
    row.texts.clear()
    for each in row["translations"]:
        row.texts.setdefault(each["locale"], each["texts"])


class Unknown(Exception):
    """A translation's id that is not of this record: 404."""


def translate(sandbox: Whole, row: Row, given: Params) -> list[Params]:
    """The translations as they would be after `translations_attributes`: new ones without an id, `_destroy` heeded.

    Raises:
        Unknown: an id of another record.
    """
    rows = [{**each, "texts": dict(each["texts"])} for each in translations(sandbox, row)]
    for block in blocks(given):
        destroy = str(block.get("_destroy") or "") in {"true", "1"}
        own = str(block.get("id") or "")
        texts = {name: str(block[name]) for name in COLUMNS if name in block}
        if own:
            target = next((each for each in rows if str(each["id"]) == own), None)
            if target is None:
                raise Unknown(own)
            rows.remove(target)
            if not destroy:
                # A row that is written moves behind the others.
                rows.append(
                    {**target, "locale": block.get("locale") or target["locale"], "texts": target["texts"] | texts}
                )
        elif not destroy:
            rows.append({"id": None, "locale": str(block.get("locale") or ""), "texts": texts})
    return rows


def text_errors(sandbox: Whole, rows: list[Params], block: Params | None, *, retired: bool = False) -> Errors:
    """What the translations' validations say; lengths only in the site's default language. Only `block` is on the page."""
    errors: Errors = []
    for each in rows:
        beside = each is block
        texts = each["texts"]
        title, default = texts.get("title") or "", each["locale"] == sandbox.checked_locale
        if not each["locale"]:
            errors.append(("", "locale"))
        if default and not TITLE[0] <= len(title) <= TITLE[1]:
            errors.append(("title" if beside else "", "too short" if len(title) < TITLE[0] else "too long (80)"))
        elif not title.strip():
            errors.append(("title" if beside else "", "can't be blank"))
        if not (texts.get("summary") or "").strip():
            errors.append(("summary" if beside else "", "can't be blank"))
        if default and len(texts.get("description") or "") > DESCRIPTION:
            errors.append(("description" if beside else "", "too long (6000)"))
        if retired and not (texts.get("retired_explanation") or "").strip():
            errors.append(("retired_explanation" if beside else "", "can't be blank"))
    return errors


def other_errors(given: Params) -> Errors:
    """Tags, video and place."""
    errors: Errors = []
    if len(tag_names(given.get("tag_list"))) > TAGS:
        errors.append(("tag_list", "at most 6"))
    video = str(given.get("video_url") or "")
    if video and not _VIDEO.match(video):
        errors.append(("video_url", "not valid"))
    place = hash_of(given, "map_location_attributes")
    values = [str(place.get(name) or "").strip() for name in ("latitude", "longitude", "zoom")]
    if any(values):
        errors.extend(("", "place") for value in values if not _number(value))
    return errors


def _number(value: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", value) is not None


def tag_names(given: Any) -> list[str]:
    """The names of a list of tags: cut at 160, without `? < > = /`, each once whatever its case."""
    names: dict[str, str] = {}
    for part in str(given or "").split(","):
        name = re.sub(r"[?<>=/]", "", part).strip()
        name = f"{name[: TAG - 3]}..." if len(name) > TAG else name
        if name:
            names.setdefault(name.lower(), name)
    return list(names.values())


def put_tags(sandbox: Whole, row: Row, given: Any) -> None:
    """Give a proposal its tags; one that exists in another case is taken."""
    heap = sandbox.database.tables["tags"]
    mine: list[Row] = []
    for name in tag_names(given):
        tag = next((t for t in heap.rows if str(t["name"]).lower() == name.lower()), None)
        if tag is None:
            tag = heap.add(Row(heap.next_id(), "tag", {}, None, sandbox.clock(), {"name": name, "kind": None}))
        tag.values["taggings_count"] = (tag["taggings_count"] or 0) + 1
        mine.append(tag)
    sandbox.database.taggings[row.kind, row.id] = mine


def put_place(row: Row, given: Params) -> None:
    """Set the place; without `map_location_attributes` it is lost (docs/platforms/consul.md 8.2, 5)."""
    place = hash_of(given, "map_location_attributes")
    values = [str(place.get(name) or "").strip() for name in ("latitude", "longitude", "zoom")]
    row.values["place"] = tuple(values) if all(values) else None
