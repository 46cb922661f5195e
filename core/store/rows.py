"""Records turned into rows: the one place that knows both the records' fields and the tables' columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..identity import Key, key
from ..records import (
    UNKNOWN_LOCALE,
    Answer,
    Area,
    Attachment,
    Author,
    Category,
    Comment,
    Counters,
    Names,
    Proposal,
    Record,
    Space,
    Text,
    Vote,
)

Columns = dict[str, Any]
COUNTERS = ("supports", "opposes", "endorsements", "comments")


@dataclass(slots=True)
class Built:
    """All rows that one item's records make, by table name."""

    main: Columns = field(default_factory=dict[str, Any])
    texts: list[Columns] = field(default_factory=list[Columns])
    categories: list[Columns] = field(default_factory=list[Columns])
    areas: list[Columns] = field(default_factory=list[Columns])
    attachments: list[Columns] = field(default_factory=list[Columns])
    authors: list[Columns] = field(default_factory=list[Columns])
    children: list[Record] = field(default_factory=list[Record])


class RowMaker:
    """Makes rows for one instance; `locales` says which language its titles are shown in first."""

    def __init__(self, instance: str, locales: Sequence[str]) -> None:
        self.instance = instance
        self.rank = {locale: position for position, locale in enumerate(locales)}
        self._makers: Mapping[type[Record], Callable[[Any], Columns]] = {
            Proposal: self._proposal,
            Space: self._space,
            Comment: self._comment,
            Answer: self._answer,
            Category: self._category,
            Area: self._area,
            Vote: self._vote,
        }

    def key(self, reference: str | None) -> Key | None:
        return None if reference is None else key(self.instance, reference)

    def build(self, reference: str, records: Sequence[Record]) -> Built:
        """The rows of one item.

        Raises:
            ValueError: `records` does not hold the record of `reference` itself.
        """
        built = Built()
        for record in records:
            if isinstance(record, Attachment):
                built.attachments.append(self._attachment(record))
            elif isinstance(record, Author):
                built.authors.append(
                    {"instance": self.instance, "pseudonym": record.id, "kind": record.kind, "name": record.name}
                )
            elif record.ref == reference:
                built.main = self.main(record, reference)
                if isinstance(record, Proposal):
                    self._proposal_parts(record, built)
            else:
                built.children.append(record)
        if not built.main:
            raise ValueError(f"the connector built no record for {reference}")
        return built

    def main(self, record: Record, reference: str | None = None) -> Columns:
        """The row of a record in its own table, without what the store adds (digest, scope, times)."""
        row = self._makers[type(record)](record)
        row["key"] = key(self.instance, reference or record.ref)
        row["instance"] = self.instance
        row["kind"] = record.kind
        row["remote_id"] = record.id
        return row

    def best(self, texts: Sequence[Text]) -> Text | None:
        """The text to show first: in the instance's first language, an original before a machine's."""
        if len(texts) < 2:
            return texts[0] if texts else None
        return min(
            texts, key=lambda text: (not text.title and not text.html, self.rank.get(text.locale, 99), text.machine)
        )

    def name(self, names: Names) -> str:
        """The name to show first."""
        if not names:
            return ""
        return names[min(names, key=lambda locale: (not names[locale], self.rank.get(locale, 99)))]

    def _proposal_parts(self, record: Proposal, built: Built) -> None:
        own = built.main["key"]
        seen: set[tuple[str, bool]] = set()
        for text in record.texts:
            if (text.locale, text.machine) not in seen:
                seen.add((text.locale, text.machine))
                built.texts.append({"proposal_key": own, **text_row(text)})
        for category in dict.fromkeys(record.categories):
            built.categories.append({"proposal_key": own, "category_key": key(self.instance, category)})
        for area in dict.fromkeys(record.areas):
            built.areas.append({"proposal_key": own, "area_key": key(self.instance, area)})

    def _attachment(self, record: Attachment) -> Columns:
        return {
            "key": key(self.instance, record.ref),
            "instance": self.instance,
            "kind": record.kind,
            "remote_id": record.id,
            "owner_key": key(self.instance, record.owner),
            "title": record.title,
            "media_type": record.media_type,
            "url": record.url,
        }

    def _proposal(self, record: Proposal) -> Columns:
        shown = self.best(record.texts)
        return {
            "space_key": self.key(record.space),
            "title": shown.title if shown else "",
            "locale": shown.locale if shown else UNKNOWN_LOCALE,
            "state": record.state.value,
            "native_state": record.native_state,
            "reference": record.reference,
            "url": record.url,
            "author": record.author,
            "official": record.official,
            "created_at": record.created_at,
            "published_at": record.published_at,
            "updated_at": record.updated_at,
            "withdrawn_at": record.withdrawn_at,
            "address": record.address,
            "latitude": record.latitude,
            "longitude": record.longitude,
            "amends_key": self.key(record.amends),
            "from_meeting_key": self.key(record.from_meeting),
            "amount": record.amount,
            "selected": record.selected,
            "video_url": record.video_url,
        }

    def _space(self, record: Space) -> Columns:
        return {
            "parent_key": self.key(record.parent),
            "name": self.name(record.names),
            "names": record.names,
            "native_type": record.native_type,
            "status": record.status,
            "url": record.url,
            "amount": record.amount,
        }

    def _comment(self, record: Comment) -> Columns:
        return {
            "target_key": key(self.instance, record.target),
            "parent_key": self.key(record.parent),
            "locale": record.text.locale,
            "machine": record.text.machine,
            "html": record.text.html,
            "plain": record.text.plain,
            "alignment": record.alignment,
            "author": record.author,
            "created_at": record.created_at,
            "updated_at": record.updated_at,
        }

    def _answer(self, record: Answer) -> Columns:
        shown = self.best(record.texts)
        return {
            "target_key": key(self.instance, record.target),
            "state": record.state.value if record.state else None,
            "native_state": record.native_state,
            "plain": shown.plain if shown else "",
            "texts": [text_row(text) for text in record.texts],
            "answered_at": record.answered_at,
            "cost": record.cost,
        }

    def _category(self, record: Category) -> Columns:
        return {
            "parent_key": self.key(record.parent),
            "space_key": self.key(record.space),
            "name": self.name(record.names),
            "names": record.names,
        }

    def _area(self, record: Area) -> Columns:
        return {"parent_key": self.key(record.parent), "name": self.name(record.names), "names": record.names}

    def _vote(self, record: Vote) -> Columns:
        # To the day: a vote and its hour, beside who was online then, would tell whose it was.
        cast_at = record.cast_at and record.cast_at.replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "target_key": key(self.instance, record.target),
            "positive": record.positive,
            "cast_at": cast_at,
        }


def text_row(text: Text) -> Columns:
    """A text as columns (or as JSON in a version or an answer)."""
    return {"locale": text.locale, "machine": text.machine, "title": text.title, "html": text.html, "plain": text.plain}


def counter_values(counters: Counters) -> tuple[int | None, ...]:
    """The counters in the order of `COUNTERS`."""
    return (counters.supports, counters.opposes, counters.endorsements, counters.comments)
