"""DCAT-AP-NL 3.0: the description that a Dutch portal harvests, as JSON-LD and as Turtle.

One graph of statements, written twice. What is referred to (agents, licences, themes) is typed in the same file: the profile's shapes
look no address up.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from ..columns import View
from .catalogue import Catalogue
from .job import Job, Language

PREFIXES = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_EU = "http://publications.europa.eu/resource/authority/"
_LANGUAGES: Mapping[Language, str] = {"nl": f"{_EU}language/NLD", "en": f"{_EU}language/ENG"}
_PROFILE = "https://docs.geostandaarden.nl/dcat/dcat-ap-nl30"
_UNFIT = re.compile(r"[\x00-\x20<>\"{}|^`\\]")


@dataclass(frozen=True, slots=True)
class Address:
    """A thing by its address; also `_:name` for one that has none."""

    uri: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, with its language or its type (a prefixed name)."""

    text: str
    language: str = ""
    type: str = ""


Statement = tuple[Address, str, "Address | Literal"]
"""Subject, property (a prefixed name), object."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that is offered: of which view, how large, with what digest."""

    view: View
    name: str
    size: int
    sha256: str


def statements(job: Job, files: Sequence[File]) -> list[Statement]:
    """Everything that is said of the catalogue, its dataset and each file."""
    return list(_statements(job.catalogue, job, files))


def _statements(about: Catalogue, job: Job, files: Sequence[File]) -> Iterator[Statement]:
    page = _address(about.landing_page)
    base = page.uri.split("#", 1)[0]
    catalogue, dataset = Address(f"{base}#catalogue"), Address(f"{base}#dataset")
    publisher, contact = _address(about.publisher_uri), Address(f"{base}#contact")
    licence, language = _address(about.licence_known.uri), Address(_LANGUAGES[job.language])
    theme = Address(f"{_EU}data-theme/{quote(about.theme)}")
    # What holds pseudonyms is never called public, whatever the configuration says of what is published.
    access = "NON_PUBLIC" if job.private and about.access_rights == "PUBLIC" else about.access_rights
    rights = Address(f"{_EU}access-right/{quote(access)}")
    now = Literal(job.now.strftime("%Y-%m-%dT%H:%M:%SZ"), type="xsd:dateTime")

    def text(words: str) -> Literal:
        return Literal(words, language=job.language)

    yield catalogue, "rdf:type", _name("dcat:Catalog")
    yield dataset, "rdf:type", _name("dcat:Dataset")
    for each in (catalogue, dataset):
        yield each, "dct:title", text(about.title)
        yield each, "dct:description", text(about.description)
        yield each, "dct:publisher", publisher
        yield each, "dct:creator", publisher
        yield each, "dcat:contactPoint", contact
        yield each, "dct:language", language
        yield each, "dct:modified", now
    yield catalogue, "dcat:dataset", dataset
    yield catalogue, "dct:license", licence
    yield catalogue, "foaf:homepage", page
    yield dataset, "dct:identifier", Literal(dataset.uri, type="xsd:anyURI")
    yield dataset, "dcat:theme", theme
    yield dataset, "dct:accessRights", rights
    yield dataset, "dcat:landingPage", page
    yield dataset, "foaf:page", page
    yield dataset, "dct:conformsTo", Address(_PROFILE)
    yield dataset, "dcat:keyword", text("participatie" if job.language == "nl" else "participation")
    if about.spatial:
        area = _address(about.spatial)
        yield dataset, "dct:spatial", area
        yield area, "rdf:type", _name("dct:Location")
    for file in files:
        yield from _distribution(about, job, dataset, file, base, licence)
    yield publisher, "rdf:type", _name("foaf:Agent")
    yield publisher, "foaf:name", text(about.publisher_name)
    yield contact, "rdf:type", _name("vcard:Kind")
    yield contact, "rdf:type", _name("vcard:Organization")
    yield contact, "vcard:fn", Literal(about.contact_name)
    yield contact, "vcard:hasEmail", _address(f"mailto:{about.contact_mail}")
    yield licence, "rdf:type", _name("dct:LicenseDocument")
    yield theme, "rdf:type", _name("skos:Concept")
    yield theme, "skos:prefLabel", Literal(about.theme)
    yield rights, "rdf:type", _name("dct:RightsStatement")
    yield language, "rdf:type", _name("dct:LinguisticSystem")
    yield page, "rdf:type", _name("foaf:Document")
    yield Address(_PROFILE), "rdf:type", _name("dct:Standard")
    yield Address(_TABULAR), "rdf:type", _name("dct:Standard")
    yield _name(_SHA256), "rdf:type", _name("spdx:ChecksumAlgorithm")
    csv, media = Address(f"{_EU}file-type/CSV"), Address(_MEDIA)
    yield csv, "rdf:type", _name("dct:MediaTypeOrExtent")
    yield media, "rdf:type", _name("dct:MediaType")


_TABULAR = "https://www.w3.org/TR/tabular-metadata/"
_SHA256 = "spdx:checksumAlgorithm_sha256"
_MEDIA = "https://www.iana.org/assignments/media-types/text/csv"


def _distribution(
    about: Catalogue, job: Job, dataset: Address, file: File, base: str, licence: Address
) -> Iterator[Statement]:
    one = Address(f"{base}#{quote(file.view.name)}")
    where = f"{about.files.rstrip('/')}/{quote(file.name)}" if about.files else ""
    checksum = Address(f"{base}#{quote(file.view.name)}-checksum")
    yield dataset, "dcat:distribution", one
    yield one, "rdf:type", _name("dcat:Distribution")
    yield one, "dct:title", Literal(file.view.name)
    yield one, "dct:description", Literal(file.view.nl if job.language == "nl" else file.view.en, language=job.language)
    yield one, "dcat:accessURL", _address(where or about.landing_page)
    if where:
        yield one, "dcat:downloadURL", _address(where)
    yield one, "dct:license", licence
    yield one, "dct:language", Address(_LANGUAGES[job.language])
    yield one, "dct:format", Address(f"{_EU}file-type/CSV")
    yield one, "dcat:mediaType", Address(_MEDIA)
    yield one, "dct:conformsTo", Address(_TABULAR)
    yield one, "dcat:byteSize", Literal(str(file.size), type="xsd:nonNegativeInteger")
    yield one, "spdx:checksum", checksum
    yield checksum, "rdf:type", _name("spdx:Checksum")
    yield checksum, "spdx:algorithm", _name(_SHA256)
    yield checksum, "spdx:checksumValue", Literal(file.sha256, type="xsd:hexBinary")


def _name(prefixed: str) -> Address:
    prefix, _, local = prefixed.partition(":")
    return Address(PREFIXES[prefix] + local)


def _address(uri: str) -> Address:
    """An address, with whatever may not stand in one written as its number: nothing closes it from within."""
    return Address(_UNFIT.sub(lambda found: "".join(f"%{byte:02X}" for byte in found.group().encode()), uri))


def turtle(said: Sequence[Statement]) -> str:
    """The statements as Turtle, a thing after the other."""
    lines = [f"@prefix {prefix}: <{uri}> ." for prefix, uri in PREFIXES.items()]
    for subject, pairs in _by_subject(said).items():
        lines.append("")
        lines.append(f"<{subject}>")
        told = [f"    {'a' if name == 'rdf:type' else name} {_turtle_object(thing)}" for name, thing in pairs]
        lines.append(" ;\n".join(told) + " .")
    return "\n".join(lines) + "\n"


def _turtle_object(thing: Address | Literal) -> str:
    if isinstance(thing, Address):
        for prefix, uri in PREFIXES.items():
            local = thing.uri.removeprefix(uri)
            if local != thing.uri and re.fullmatch(r"\w+", local):
                return f"{prefix}:{local}"
        return f"<{thing.uri}>"
    # A JSON text is a Turtle text too: both escape quotes, reverse solidi and control characters alike.
    text = msgspec.json.encode(thing.text).decode().replace("\x7f", "\\u007f")
    if thing.language:
        return f"{text}@{thing.language}"
    return f"{text}^^{thing.type}" if thing.type else text


def json_ld(said: Sequence[Statement]) -> dict[str, Any]:
    """The statements as JSON-LD."""
    graph: list[dict[str, Any]] = []
    for subject, pairs in _by_subject(said).items():
        thing: dict[str, Any] = {"@id": subject}
        for name, value in pairs:
            if name == "rdf:type" and isinstance(value, Address):
                thing.setdefault("@type", []).append(value.uri)
            else:
                thing.setdefault(name, []).append(_json_object(value))
        graph.append(thing)
    return {"@context": PREFIXES, "@graph": graph}


def _json_object(thing: Address | Literal) -> dict[str, str]:
    if isinstance(thing, Address):
        return {"@id": thing.uri}
    if thing.language:
        return {"@value": thing.text, "@language": thing.language}
    return {"@value": thing.text, "@type": thing.type} if thing.type else {"@value": thing.text}


def _by_subject(said: Sequence[Statement]) -> dict[str, list[tuple[str, Address | Literal]]]:
    things: dict[str, list[tuple[str, Address | Literal]]] = {}
    for subject, name, value in said:
        pairs = things.setdefault(subject.uri, [])
        if (name, value) not in pairs:
            pairs.append((name, value))
    return things
