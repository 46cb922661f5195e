"""What we give away is judged by the tools of those who read it: Data Package, CSVW, DCAT-AP-NL, Pabulib, Datasette."""

import json
import os
import random
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.analysis.columns import VIEWS
from civicsync.analysis.exports import bundle, dcat, expressions, formats, pabulib
from civicsync.analysis.exports.catalogue import LICENCES, Catalogue
from civicsync.analysis.exports.job import ExportError, ExportUsage, Written
from tests.support.exporting import CATALOGUE, HOSTILE, PSEUDONYM, export, fill, job, vote

STAFF = [name for name in VIEWS if name not in expressions.NEVER]
SHAPES = """
@prefix sh: <http://www.w3.org/ns/shacl#> .
@prefix dcat: <http://www.w3.org/ns/dcat#> .
@prefix dct: <http://purl.org/dc/terms/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix vcard: <http://www.w3.org/2006/vcard/ns#> .
@prefix ours: <urn:ours:> .

ours:Catalog sh:targetClass dcat:Catalog ;
    sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:uniqueLang true ] , [ sh:path dct:description ; sh:minCount 1 ] ,
        [ sh:path dct:publisher ; sh:minCount 1 ; sh:maxCount 1 ; sh:class foaf:Agent ; sh:nodeKind sh:IRI ] ,
        [ sh:path dcat:contactPoint ; sh:minCount 1 ; sh:maxCount 1 ; sh:class vcard:Kind ] ,
        [ sh:path dcat:dataset ; sh:minCount 1 ; sh:class dcat:Dataset ] .
ours:Dataset sh:targetClass dcat:Dataset ;
    sh:property [ sh:path dct:title ; sh:minCount 1 ; sh:uniqueLang true ] , [ sh:path dct:description ; sh:minCount 1 ] ,
        [ sh:path dct:identifier ; sh:minCount 1 ; sh:nodeKind sh:Literal ] ,
        [ sh:path dct:publisher ; sh:minCount 1 ; sh:maxCount 1 ; sh:class foaf:Agent ] ,
        [ sh:path dct:creator ; sh:minCount 1 ; sh:class foaf:Agent ] ,
        [ sh:path dcat:contactPoint ; sh:minCount 1 ; sh:maxCount 1 ; sh:class vcard:Kind ] ,
        [ sh:path dcat:theme ; sh:minCount 1 ; sh:class skos:Concept ;
            sh:pattern "^http://publications.europa.eu/resource/authority/data-theme/[A-Z]{4}$" ] ,
        [ sh:path dct:accessRights ; sh:minCount 1 ; sh:maxCount 1 ; sh:class dct:RightsStatement ;
            sh:pattern "^http://publications.europa.eu/resource/authority/access-right/(PUBLIC|RESTRICTED|NON_PUBLIC)$" ] ,
        [ sh:path dct:language ; sh:minCount 1 ; sh:class dct:LinguisticSystem ] ,
        [ sh:path dcat:landingPage ; sh:class foaf:Document ] ,
        [ sh:path dct:conformsTo ; sh:class dct:Standard ] ,
        [ sh:path dct:spatial ; sh:class dct:Location ] ,
        [ sh:path dcat:distribution ; sh:minCount 1 ; sh:class dcat:Distribution ] .
ours:Distribution sh:targetClass dcat:Distribution ;
    sh:property [ sh:path dcat:accessURL ; sh:minCount 1 ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ,
        [ sh:path dcat:downloadURL ; sh:maxCount 1 ; sh:nodeKind sh:IRI ] ,
        [ sh:path dct:license ; sh:minCount 1 ; sh:maxCount 1 ; sh:class dct:LicenseDocument ] ,
        [ sh:path dct:language ; sh:maxCount 1 ; sh:class dct:LinguisticSystem ] ,
        [ sh:path dct:format ; sh:maxCount 1 ; sh:class dct:MediaTypeOrExtent ] ,
        [ sh:path dcat:mediaType ; sh:maxCount 1 ; sh:class dct:MediaType ] , [ sh:path dct:conformsTo ; sh:class dct:Standard ] ,
        [ sh:path dcat:byteSize ; sh:maxCount 1 ; sh:nodeKind sh:Literal ] .
ours:Kind sh:targetClass vcard:Kind ;
    sh:property [ sh:path vcard:fn ; sh:minCount 1 ] , [ sh:path vcard:hasEmail ; sh:minCount 1 ; sh:nodeKind sh:IRI ] .
ours:Agent sh:targetClass foaf:Agent ; sh:property [ sh:path foaf:name ; sh:minCount 1 ] .
"""
"""The demands of DCAT-AP-NL 3.0 on what we describe, in our own words."""


def rights_of(data: Any) -> set[str]:
    """The access rights that a catalogue names, by the last word of their addresses."""
    import rdflib

    return {
        str(each).rpartition("/")[2]
        for each in data.objects(None, rdflib.URIRef(f"{dcat.PREFIXES['dct']}accessRights"))
    }


def graph(path: Path) -> Any:
    import rdflib

    if path.suffix != ".jsonld":
        return rdflib.Graph().parse(path)
    with warnings.catch_warnings():  # the library's reader of JSON-LD uses what the library calls old
        warnings.simplefilter("ignore", DeprecationWarning)
        return rdflib.Graph().parse(path, format="json-ld")


def conforms(data: Any, shapes: Any) -> tuple[bool, str]:
    from pyshacl import validate

    result, _, told = validate(data, shacl_graph=shapes, inference="none", advanced=True, allow_warnings=True)
    return bool(result), str(told)


def ours() -> Any:
    import rdflib

    return rdflib.Graph().parse(data=SHAPES, format="turtle")


# The bundle -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["public", "staff"])
def package(request: pytest.FixtureRequest, sqlite: Engine, tmp_path: Path) -> Path:
    """A bundle of the public views, or of all of them."""
    fill(sqlite)
    views = STAFF if request.param == "staff" else ()
    written = export(sqlite, "bundle", tmp_path / "bundle", *views, language="nl")
    if request.param == "staff":
        assert any("comments: target_key names rows that are not in all_proposals" in note for note in written.notes)
    return tmp_path / "bundle"


def test_frictionless_finds_nothing_wrong(package: Path) -> None:
    import frictionless

    report = frictionless.validate(str(package / "datapackage.json"))
    assert report.valid, report.flatten(["name", "type", "message"])
    described = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    assert {each["path"] for each in described["resources"]} == {each.name for each in package.glob("*.csv")}
    assert described["licenses"] == [
        {"name": "CC-BY-4.0", "title": LICENCES["cc-by-4.0"].title, "path": LICENCES["cc-by-4.0"].uri}
    ]
    assert described["sources"] == [{"title": "west", "path": "https://west.example"}]
    [one] = [each for each in described["resources"] if each["name"] == "public-proposals"]
    assert one["schema"]["primaryKey"] == ["key"] and one["type"] == "table" and one["hash"].startswith("sha256:")
    supports = next(each for each in one["schema"]["fields"] if each["name"] == "supports")
    assert supports["type"] == "integer" and supports["description"].startswith(
        VIEWS["public_proposals"].column("supports").nl
    )


def test_a_changed_file_is_found(package: Path) -> None:
    """The guard of the digests: a descriptor that vouches for nothing would be valid, too."""
    import frictionless

    file = package / "public_proposals.csv"
    file.write_bytes(file.read_bytes().replace(b"2000", b"2001"))
    assert not frictionless.validate(str(package / "datapackage.json")).valid


def test_csvw_finds_nothing_wrong(package: Path) -> None:
    from csvw import CSVW

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = CSVW(str(package / "csv-metadata.json"), validate=True)
        assert found.is_valid, [str(each.message) for each in told]
    rows = next(each for each in found.to_json()["tables"] if each["url"].endswith("public_proposals.csv"))["row"]
    titles = {row["describes"][0]["title"] for row in rows}
    assert "'" + HOSTILE[0] in titles and HOSTILE[10] in titles and len(rows) == 16


def test_the_catalogue_conforms_to_dcat_ap_nl(package: Path) -> None:
    turtle, linked = graph(package / "dcat.ttl"), graph(package / "dcat.jsonld")
    assert set(turtle) == set(linked), "both say the same"
    good, told = conforms(turtle, ours())
    assert good, told
    staff = (package / "comments.csv").exists()
    assert rights_of(turtle) == {"NON_PUBLIC" if staff else "PUBLIC"}, "what holds pseudonyms is never called public"
    assert staff == ("Not to be published" in (package / "README.md").read_text(encoding="utf-8"))
    described = [str(each) for each in turtle.objects(None, None) if str(each).startswith("Wat inwoners voorstelden")]
    assert set(described) == {CATALOGUE.description}, "quotes, lines and reverse solidi are kept"


def test_every_statement_that_the_profile_demands_is_looked_for(sqlite: Engine, tmp_path: Path) -> None:
    """The guard of our shapes: without any of these the catalogue does not conform."""
    import rdflib

    fill(sqlite)
    export(sqlite, "bundle", tmp_path / "bundle")
    whole = graph(tmp_path / "bundle" / "dcat.ttl")
    dct, cat = rdflib.Namespace(dcat.PREFIXES["dct"]), rdflib.Namespace(dcat.PREFIXES["dcat"])
    vcard = rdflib.Namespace(dcat.PREFIXES["vcard"])
    for name in (
        *(
            dct.title,
            dct.description,
            dct.identifier,
            dct.publisher,
            dct.creator,
            dct.accessRights,
            dct.license,
            dct.language,
        ),
        *(cat.contactPoint, cat.theme, cat.accessURL, cat.dataset, cat.distribution, vcard.fn, vcard.hasEmail),
    ):
        less = rdflib.Graph() + whole
        less.remove((None, name, None))
        assert not conforms(less, ours())[0], f"{name} may be missing"


@pytest.mark.skipif(not os.environ.get("CIVICSYNC_DCAT_SHAPES"), reason="CIVICSYNC_DCAT_SHAPES names no folder")
def test_the_real_shapes_agree(package: Path) -> None:
    """With the shapes of the profile's keeper, which have no licence and are not part of this project: a folder of .ttl files."""
    import rdflib

    folder = Path(os.environ["CIVICSYNC_DCAT_SHAPES"])
    files = sorted(folder.glob("*.ttl"))
    assert files, f"{folder} has no .ttl file"
    for file in files:
        good, told = conforms(graph(package / "dcat.ttl"), rdflib.Graph().parse(file))
        assert good, f"{file.name}: {told}"


def test_nothing_that_is_typed_gets_out_of_its_place(sqlite: Engine, tmp_path: Path) -> None:
    """An address in the configuration that closes itself, a title of two lines: still one literal and one address."""
    fill(sqlite)
    evil = replace(
        CATALOGUE, title='x"@nl .\n<urn:a> <urn:b> "c', landing_page="https://a.example/> <urn:b> <urn:c> . <x"
    )
    with job(sqlite, "public_proposals") as made:
        formats.export(formats.FORMATS["bundle"], replace(made, catalogue=evil), tmp_path / "bundle")
    said = graph(tmp_path / "bundle" / "dcat.ttl")
    assert not [each for each in said.subjects() if str(each) in {"urn:a", "urn:b"}]
    assert evil.title in {str(each) for each in said.objects()}
    page = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "<b>" not in page and page.count("\n# ") == 0


def test_a_bundle_explains_itself_and_is_one_zip(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    export(sqlite, "bundle", tmp_path / "b.zip")
    export(sqlite, "bundle", tmp_path / "again.zip")
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        names = set(archive.namelist())
        pages = {name: archive.read(name).decode() for name in ("README.md", "LEESMIJ.md", "LICENSE.txt")}
        assert PSEUDONYM.encode() not in b"".join(archive.read(name) for name in names)
    assert {"datapackage.json", "csv-metadata.json", "dcat.ttl", "dcat.jsonld", "public_proposals.csv"} <= names
    for view in (each for each in VIEWS.values() if each.public):
        for column in expressions.exported(view):
            assert f"| {column.name} |" in pages["README.md"] and column.nl.replace("|", "\\|") in pages["LEESMIJ.md"]
    assert "CC-BY-4.0" in pages["LICENSE.txt"]


def test_what_a_portal_needs_and_nobody_wrote_is_named() -> None:
    with pytest.raises(ExportUsage) as caught:
        bundle.check(replace(CATALOGUE, licence="", contact_mail=""))
    assert str(caught.value).splitlines()[2:] == [
        "catalogue:",
        "  contact:",
        "    mail: data@voorbeeld.nl",
        "  licence: cc-by-4.0",
    ]
    bundle.check(CATALOGUE)
    assert {key for key, _ in Catalogue().missing()} == {
        *(
            "title",
            "description",
            "publisher.name",
            "publisher.uri",
            "contact.name",
            "contact.mail",
            "licence",
            "landing_page",
        )
    }


# Pabulib --------------------------------------------------------------------------------------------------------------


def checked(file: Path) -> dict[str, Any]:
    """What the checker of the library of budgets finds."""
    from pabulib.checker import Checker

    told = Checker().process_files([str(file)])
    return told[file.stem]["results"]


def make(engine: Engine, path: Path, *wanted: str, **more: Any) -> Written:
    with job(engine) as made:
        return pabulib.export(
            made, path, wanted, more.get("own"), more.get("dates"), random.Random(more.get("seed", 1))
        )


def test_public_votes_make_a_valid_file(engine: Engine, tmp_path: Path) -> None:
    from pabutools.election import parse_pabulib
    from pabutools.rules import greedy_utilitarian_welfare

    fill(engine)
    vote(engine, 1, 1, 2, 1, 2, 4, 3)
    written = make(engine, tmp_path / "b.pb")
    assert written.rows == {"west/budget/7": 5}
    assert sorted(note.partition(": ")[2] for note in written.notes) == [
        "1 projects cost more than the whole budget and are left out, with their votes",
        "1 projects have no cost and are left out, with their votes",
    ]
    found = checked(tmp_path / "b.pb")
    assert not found.get("errors"), found
    text = (tmp_path / "b.pb").read_text(encoding="utf-8")
    assert not text.startswith("\ufeff") and "date_begin;01.07.2026" in text and "date_end;05.07.2026" in text
    assert "vote_type;choose-1" in text and "23:30" not in text and "cast" not in text.split("VOTES")[1]
    election, profile = parse_pabulib(str(tmp_path / "b.pb"))
    assert {str(each): each.cost for each in election} == {"1": 60_000, "2": 50_000}
    assert profile.num_ballots() == 5 and election.budget_limit == 100_000
    from pabutools.election import Cost_Sat

    assert [str(each) for each in greedy_utilitarian_welfare(election, profile, sat_class=Cost_Sat)] == ["1"]


def test_the_citys_own_ballots_make_a_valid_file(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    (tmp_path / "own.csv").write_text("voter;project\n100200300;1\n100200300;2\n7;west/project/2\n", encoding="utf-8")
    written = make(sqlite, tmp_path / "b.pb", "west/budget/7", own=tmp_path / "own.csv", dates="2026-03-01..2026-03-14")
    assert written.rows == {"west/budget/7": 2}
    found = checked(tmp_path / "b.pb")
    assert not found.get("errors"), found
    text = (tmp_path / "b.pb").read_text(encoding="utf-8")
    assert "100200300" not in text, "a voter's own number is not written"
    assert "vote_type;approval" in text and "max_length;2" in text and "1,2" in text


def test_voters_have_new_numbers_in_every_file(sqlite: Engine, tmp_path: Path) -> None:
    """P6: nothing joins two files, and the order of votes tells nothing."""
    fill(sqlite)
    vote(sqlite, *([1] * 20 + [2] * 20))

    def votes(seed: int) -> list[list[str]]:
        make(sqlite, tmp_path / "b.pb", seed=seed)
        lines = (tmp_path / "b.pb").read_text(encoding="utf-8").splitlines()
        return [line.split(";") for line in lines[lines.index("VOTES") + 2 :]]

    first, second = votes(1), votes(2)
    assert not {voter for voter, _ in first} & {voter for voter, _ in second}
    assert len({voter for voter, _ in first}) == 40
    assert [chosen for _, chosen in first] != [chosen for _, chosen in second]
    assert [chosen for _, chosen in first] != ["1"] * 20 + ["2"] * 20


def test_without_ballots_it_is_refused(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    with pytest.raises(ExportError, match="counters alone make no valid"):
        make(sqlite, tmp_path / "b.pb")
    with pytest.raises(ExportError, match="no ballots of west/budget/7"):
        make(sqlite, tmp_path / "b.pb", "west/budget/7")
    vote(sqlite, 4)
    with pytest.raises(ExportError, match="no vote with a date"):
        make(sqlite, tmp_path / "b.pb")
    assert not list(tmp_path.glob("*.pb"))


@pytest.mark.parametrize(
    ("text", "dates", "said"),
    [
        ("voter;projet\n1;1\n", "2026-03-01..2026-03-14", "own.csv:1: expected the columns"),
        ("voter,project\n1,99\n", "2026-03-01..2026-03-14", "own.csv:2: the budget has no project '99'"),
        ("voter,project\n,1\n", "2026-03-01..2026-03-14", "own.csv:2: no voter"),
        ("voter,project\n1,1\n1,1\n", "2026-03-01..2026-03-14", "own.csv:3: one voter chose project '1' twice"),
        ("voter,project\n", "2026-03-01..2026-03-14", "holds no ballot"),
        ("voter,project\n1,1\n", "2026-03-14..2026-03-01", "ends before it begins"),
        ("voter,project\n1,1\n", None, "--dates: expected"),
    ],
)
def test_a_wrong_list_of_ballots_is_told_with_its_line(
    sqlite: Engine, tmp_path: Path, text: str, dates: str | None, said: str
) -> None:
    fill(sqlite)
    (tmp_path / "own.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ExportUsage) as caught:
        make(sqlite, tmp_path / "b.pb", "west/budget/7", own=tmp_path / "own.csv", dates=dates)
    assert said in str(caught.value)


# Datasette ------------------------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Datasette as a stranger starts it, on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["-i", str(folder / "civicsync.db"), "-m", str(folder / "metadata.json"), "-p", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "datasette", "serve", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if b"Uvicorn running" in line:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_datasette_serves_it_with_every_meaning(sqlite: Engine, tmp_path: Path) -> None:
    fill(sqlite)
    export(sqlite, "datasette", tmp_path / "folder", language="nl")
    with served(tmp_path / "folder") as address:

        def ask(path: str) -> str:
            with urllib.request.urlopen(f"{address}{path}", timeout=20) as response:
                return response.read().decode()

        assert CATALOGUE.title in ask("/")
        page = ask("/civicsync/public_proposals")
        assert VIEWS["public_proposals"].nl in page
        assert VIEWS["public_proposals"].column("supports").nl in page, "the meaning of a column"
        assert "<script>alert(1)</script>" not in page and "&lt;script&gt;" in page
        rows = json.loads(ask("/civicsync/public_proposals.json?_shape=array&kind=proposal"))
        assert {each["title"] for each in rows} == set(HOSTILE)
        tables = {each["name"] for each in json.loads(ask("/civicsync.json"))["tables"]}
        assert tables - {"sqlite_stat1"} == {"about_columns", *(name for name, view in VIEWS.items() if view.public)}
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask("/civicsync.json?sql=delete+from+public_proposals")
        refused.value.close()
