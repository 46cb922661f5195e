"""`civicsync search`: words in titles and texts of all platforms and languages, the best first, with facets."""

import difflib
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.text import Text

from ...analysis.search import Found, Hit, SearchError, search
from ...analysis.search.find import Marked
from .common import EXIT_USAGE, NO_INSTANCE, configuration, database, err, fail, out, print_json, show

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
_OPTIONS = ("--instance", "--kind", "--state", "--language", "--gone", "--limit", "--json")
_FACETS = 8
"""Values of a facet that are printed; `--json` has all."""


@app.command("search", context_settings={"ignore_unknown_options": True})
def run(
    words: Annotated[
        list[str],
        typer.Argument(
            help='Words that must all be there; "a phrase", one OR other, begin*, -without. Mind the quotes of your shell.',
        ),
    ],
    instance: Annotated[str | None, typer.Option("--instance", help="Only this instance.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind, such as debate or investment.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only this state, such as open or accepted.")] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="Only texts in this language; nl also finds nl-BE.")
    ] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Also what is not on its platform any more.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="So many hits.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find proposals by words in their titles and texts, in all languages, the best first."""
    config = configuration(NO_INSTANCE)
    if instance is not None and instance not in config.instances:
        fail(f"no instance {instance!r}; there are: {', '.join(config.instances)}", EXIT_USAGE)
    typed = _joined(words)
    with database(config) as engine:
        try:
            found = search(
                engine,
                typed,
                instance=instance,
                kind=kind,
                state=state,
                language=language,
                gone=gone,
                limit=limit,
                progress=None if json else progress_lines("indexing texts"),
            )
        except SearchError as error:
            fail(str(error))
    if json:
        print_json(_document(typed, found), data=True)
    else:
        _print(typed, found)


def _joined(words: list[str]) -> str:
    """The search; an option that there is none of is not looked for as a word.

    `-word` leaves a word out, so that what begins with one hyphen is taken as it is.
    """
    for word in words:
        if word.startswith("--") and len(word) > 2:
            close = difflib.get_close_matches(word.partition("=")[0], _OPTIONS, n=1)
            more = f"did you mean {close[0]}?" if close else f"there are: {', '.join(_OPTIONS)}"
            fail(f"search has no option {word}; {more}", EXIT_USAGE)
    return " ".join(words)


def progress_lines(doing: str, every: int = 20_000) -> Callable[[int, int], None]:
    """A line on standard error now and then, where there is much to do."""
    said = 0

    def tell(done: int, total: int) -> None:
        nonlocal said
        if total >= every and (done - said >= every or done >= total):
            said = done
            err.print(Text(f"{doing}: {done:,} of {total:,}"), soft_wrap=True)

    return tell


def _document(typed: str, found: Found) -> dict[str, Any]:
    return {
        "query": typed,
        "total": found.total,
        "whole": found.whole,
        "notes": list(found.notes),
        "hits": [_row(hit) for hit in found.hits],
        "facets": {
            name: [{"name": each.name, "key": each.key, "count": each.count} for each in facets]
            for name, facets in found.facets.items()
        },
    }


def _row(hit: Hit) -> dict[str, Any]:
    return {
        "key": hit.key,
        "instance": hit.instance,
        "kind": hit.kind,
        "remote_id": hit.remote_id,
        "title": hit.title.text,
        "title_marks": [list(pair) for pair in hit.title.marks],
        "snippet": hit.snippet.text,
        "snippet_marks": [list(pair) for pair in hit.snippet.marks],
        "language": hit.language,
        "machine": hit.machine,
        "state": hit.state,
        "supports": hit.supports,
        "space_key": hit.space,
        "url": hit.url,
        "gone": hit.gone,
        "score": hit.score,
        "copies": list(hit.copies),
    }


def _print(typed: str, found: Found) -> None:
    for note in found.notes:
        err.print(Text(note, style="yellow"), soft_wrap=True)
    if not found.hits:
        out.print(Text(f"nothing has: {typed}"), soft_wrap=True)
        return
    for number, hit in enumerate(found.hits, 1):
        line = Text(f"{number:>3}  ").append_text(_marked(hit.title, "bold"))
        out.print(line, soft_wrap=True)
        facts = [hit.instance, hit.kind, hit.state, f"{show(hit.supports, grouped=True)} supports", hit.language]
        facts += ["machine translation"] if hit.machine else []
        facts += ["gone"] if hit.gone else []
        facts += [f"copied to {', '.join(hit.copies)}"] if hit.copies else []
        out.print(Text(f"     {' · '.join(facts)}", style="dim"), soft_wrap=True)
        if hit.snippet.text:
            out.print(Text("     ").append_text(_marked(hit.snippet, "")), soft_wrap=True)
        out.print(Text(f"     {hit.url or hit.key}", style="dim"), soft_wrap=True)
    more = "" if found.whole else "more than "
    shown = f", {len(found.hits)} shown" if len(found.hits) < found.total else ""
    out.print(Text(f"\n{more}{found.total:,} proposal{'' if found.total == 1 else 's'}{shown}"), soft_wrap=True)
    for name, facets in found.facets.items():
        said = ", ".join(f"{each.name} {each.count:,}" for each in facets[:_FACETS])
        rest = f", {len(facets) - _FACETS} more" if len(facets) > _FACETS else ""
        if said:
            out.print(Text(f"{name:9} {said}{rest}"), soft_wrap=True)


def _marked(marked: Marked, style: str) -> Text:
    """The words that were found: in colour in a terminal, between » and « elsewhere."""
    line = Text()
    at = 0
    for begin, end in marked.marks:
        line.append(marked.text[at:begin], style)
        word = marked.text[begin:end]
        line.append(word if out.is_terminal else f"»{word}«", f"{style} yellow".strip())
        at = end
    return line.append(marked.text[at:], style)
