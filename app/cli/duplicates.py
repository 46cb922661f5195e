"""`civicsync duplicates`: the same idea on several platforms, or twice on one: find, review, evaluate, export."""

import getpass
import json as json_module
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from ...analysis.duplicates import pairs as pairs_module
from ...analysis.duplicates.find import find
from ...analysis.duplicates.lexical import Comparable, shared_words
from ...analysis.duplicates.pairs import Decision, NoPair, Pair, Side
from ...analysis.duplicates.probe import AtThreshold, Evaluation, evaluate
from ...analysis.duplicates.scoring import THRESHOLD
from ...core.clock import Clock
from .common import (
    EXIT_FAILED,
    EXIT_USAGE,
    NO_INSTANCE,
    chosen,
    configuration,
    database,
    err,
    fail,
    out,
    print_json,
    print_table,
    show,
)
from .search import progress_lines

app = typer.Typer(
    help="The same idea on several platforms, or twice on one. People decide; nothing is merged and no supports are summed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
review_app = typer.Typer(help="Pairs that wait for a person.", rich_markup_mode=None)
app.add_typer(review_app, name="review")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="The ids that `duplicates review` lists.")]
OfInstance = Annotated[
    list[str] | None, typer.Option("--instance", help="Only pairs with a proposal of this instance; may be repeated.")
]
_COLUMNS = {
    "id": "id",
    "score": "score",
    "instance_a": "instance",
    "title_a": "title",
    "supports_a": "supports",
    "instance_b": "instance",
    "title_b": "title",
    "supports_b": "supports",
    "method": "alike by",
}


@app.command("find")
def find_(
    instance: OfInstance = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0.3, max=1.0, help="Show pairs from this score on, 0.3 to 1.")
    ] = THRESHOLD,
    words_only: Annotated[
        bool, typer.Option("--words-only", help="Compare words alone, within a language, as without the extra.")
    ] = False,
    json: Json = False,
) -> None:
    """Compare all proposals and list the pairs that may be one idea, for `duplicates review`."""
    config = configuration(NO_INSTANCE)
    names = chosen(config, instance) if instance else None
    with database(config) as engine:
        ran = find(
            engine,
            clock=Clock(),
            instances=names,
            threshold=threshold,
            semantic=not words_only,
            progress=None if json else _progress(),
        )
        counts = {
            "compared": ran.compared,
            "too_short": ran.short,
            "pairs": len(ran.pairs),
            "new": ran.kept.new,
            "again": ran.kept.again,
            "decided_before": ran.kept.decided,
            "not_found_again": ran.kept.dropped,
            "threshold": ran.threshold,
            "model": ran.model,
            "notes": list(ran.notes),
        }
        rows = _rows(engine, pairs_module.waiting(engine, names))
    if json:
        print_json({**counts, "waiting": rows}, data=True)
        return
    for note in ran.notes:
        err.print(Text(note, style="yellow"), soft_wrap=True)
    _print_pairs(rows[:20], "no two proposals are that much alike")
    if len(rows) > 20:
        out.print(Text(f"{len(rows) - 20:,} more; `civicsync duplicates review` lists all"), soft_wrap=True)
    out.print(
        Text(
            f"{ran.compared:,} proposals compared: {ran.kept.new:,} new pair(s), {ran.kept.again:,} that waited, "
            f"{ran.kept.decided:,} decided before, {ran.kept.dropped:,} no longer alike; {ran.short:,} too short to tell"
        ),
        soft_wrap=True,
    )


@review_app.callback(invoke_without_command=True)
def review(context: typer.Context, instance: OfInstance = None, json: Json = False) -> None:
    """List the pairs that wait, the most alike first."""
    if context.invoked_subcommand is not None:
        return
    config = configuration(NO_INSTANCE)
    names = chosen(config, instance) if instance else None
    with database(config) as engine:
        rows = _rows(engine, pairs_module.waiting(engine, names))
    if json:
        print_json(rows, data=True)
    else:
        _print_pairs(rows, "no pair waits; `civicsync duplicates find` looks for some")


@review_app.command("show")
def show_(
    own: Annotated[str, typer.Argument(metavar="ID", help="The id that `duplicates review` lists.")], json: Json = False
) -> None:
    """Show both texts of a pair, and why it was found."""
    with database(configuration(NO_INSTANCE)) as engine:
        pair = _by_id(engine, own)
        [row] = _rows(engine, [pair], whole=True)
    if json:
        print_json(row, data=True)
        return
    for side in ("a", "b"):
        head = f"{row[f'instance_{side}']} · {row[f'kind_{side}']} · {row[f'state_{side}']} · {row[f'language_{side}']}"
        head += f" · {show(row[f'supports_{side}'], grouped=True)} supports on {row[f'instance_{side}']}"
        out.print(Text(row[f"title_{side}"] or row[f"key_{side}"], style="bold"), soft_wrap=True)
        out.print(Text(head, style="dim"), soft_wrap=True)
        out.print(Text(row[f"body_{side}"] or ""), soft_wrap=True)
        out.print(Text(f"{row[f'url_{side}'] or row[f'key_{side}']}\n", style="dim"), soft_wrap=True)
    said = f"score {row['score']:.2f} by {row['method']}"
    for name, value in (("words", row["lexical"]), ("meaning", row["semantic"])):
        said += "" if value is None else f", {name} {value:.2f}"
    out.print(Text(f"{said} (method {row['version']})"), soft_wrap=True)
    if row["words"]:
        out.print(Text(f"words in both: {', '.join(row['words'])}"), soft_wrap=True)
    if row["decision"]:
        out.print(
            Text(f"decided: {row['decision']}, by {row['decided_by']}, {show(row['decided_at'])}"), soft_wrap=True
        )


@review_app.command("confirm")
def confirm(ids: Ids, json: Json = False) -> None:
    """They are the same idea. Nothing is merged; reports show them together, each with its own supports."""
    _decide(ids, Decision.SAME, json)


@review_app.command("reject")
def reject(ids: Ids, json: Json = False) -> None:
    """They are not the same idea; the pair is never proposed again."""
    _decide(ids, Decision.DIFFERENT, json)


@review_app.command("reopen")
def reopen(ids: Ids, json: Json = False) -> None:
    """Take a decision back; the pair waits again."""
    _decide(ids, None, json)


def _decide(ids: Sequence[str], decision: Decision | None, json: bool) -> None:
    results: list[dict[str, Any]] = []
    with database(configuration(NO_INSTANCE)) as engine:
        known: list[Pair] = []
        for own in dict.fromkeys(ids):
            known.append(_by_id(engine, own))  # all of them before the first is decided
        for pair in known:
            try:
                done = pairs_module.decide(engine, pair, decision, Clock(), _who())
            except NoPair as error:
                fail(str(error))
            outcome = done.decision.value if done.decision else "waiting"
            results.append({"id": pair.id, "key_a": pair.key_a, "key_b": pair.key_b, "outcome": outcome})
    if json:
        print_json(results)
    else:
        print_table(
            results, {"id": "id", "key_a": "one", "key_b": "other", "outcome": "outcome"}, empty="nothing to decide"
        )


@app.command("export")
def export(
    path: Annotated[Path, typer.Argument(help="The file to write: a line of JSON per decision.")],
    json: Json = False,
) -> None:
    """Write what people decided to a file, a line of JSON each. It holds keys, scores and names of those who decided, no texts."""
    if not path.parent.is_dir():
        fail(f"{path}: the folder {path.parent} does not exist", EXIT_USAGE)
    if path.exists() and not path.is_file():
        fail(f"{path} is not a file", EXIT_USAGE)
    with database(configuration(NO_INSTANCE)) as engine:
        try:
            count = _write(path, (_line(pair) for pair in pairs_module.decided(engine)))
        except OSError as error:
            fail(f"{path} cannot be written ({error.strerror or type(error).__name__})", EXIT_FAILED)
    if json:
        print_json({"path": str(path), "decisions": count})
    else:
        out.print(Text(f"{count:,} decision(s) in {path}"), soft_wrap=True)


def _line(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.id,
        "key_a": pair.key_a,
        "key_b": pair.key_b,
        "decision": pair.decision.value if pair.decision else None,
        "decided_at": pair.decided_at.isoformat() if pair.decided_at else None,
        "decided_by": pair.decided_by,
        "score": pair.score,
        "lexical": pair.lexical,
        "semantic": pair.semantic,
        "method": pair.method,
        "version": pair.version,
        "found_at": pair.found_at.isoformat(),
    }


def _write(path: Path, lines: Iterable[dict[str, Any]]) -> int:
    """Whole or not at all: beside the file, then in its place."""
    count = 0
    handle, name = tempfile.mkstemp(dir=path.parent or ".", prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for line in lines:
                file.write(json_module.dumps(line, ensure_ascii=False) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return count


@app.command("evaluate")
def evaluate_(
    words_only: Annotated[bool, typer.Option("--words-only", help="Words alone, as without the extra.")] = False,
    json: Json = False,
) -> None:
    """How good the finder is, on a probe set of our own texts in six languages whose answers are known."""
    done = evaluate(semantic=not words_only)
    if json:
        print_json(_document(done))
        return
    for note in done.notes:
        err.print(Text(note, style="yellow"), soft_wrap=True)
    out.print(
        Text(
            f"{done.texts} texts of our own: {done.same:,} pairs that are the same idea, {done.different:,} that are not, "
            f"{done.hard:,} of these hard to tell apart. By {'words and meaning (' + done.model + ')' if done.model else 'words alone'}."
        ),
        soft_wrap=True,
    )
    rows = [
        {"languages": f"{a} - {b}", "asked": each.asked, "first": each.first, "recall": f"{each.recall:.3f}"}
        for each in done.firsts
        for a, b in [each.languages]
    ]
    columns = {"languages": "languages", "asked": "texts", "first": "found first", "recall": "recall@1"}
    print_table(rows, columns, empty="nothing can be compared")
    for title, steps in (("all pairs that are compared", done.thresholds), ("pairs within one language", done.within)):
        table = [_step(step) for step in steps]
        heads = {
            "threshold": "threshold",
            "right": "right",
            "wrong": "wrong",
            "hard": "of these hard",
            "missed": "missed",
        }
        heads |= {"precision": "precision", "recall": "recall"}
        print_table(table, heads, empty="", title=f"\n{title}; the threshold of `find` is {THRESHOLD}")


def _step(step: AtThreshold) -> dict[str, Any]:
    precision, recall = (None if each is None else f"{each:.3f}" for each in (step.precision, step.recall))
    return {
        "threshold": f"{step.threshold:.2f}",
        "right": step.right,
        "wrong": step.wrong,
        "hard": step.hard,
        "missed": step.missed,
        "precision": precision,
        "recall": recall,
    }


def _document(done: Evaluation) -> dict[str, Any]:
    def step(each: AtThreshold) -> dict[str, Any]:
        return {
            "threshold": each.threshold,
            "right": each.right,
            "wrong": each.wrong,
            "hard": each.hard,
            "missed": each.missed,
            "precision": each.precision,
            "recall": each.recall,
        }

    return {
        "texts": done.texts,
        "same": done.same,
        "different": done.different,
        "hard": done.hard,
        "model": done.model,
        "threshold": THRESHOLD,
        "notes": list(done.notes),
        "recall_at_1": [
            {"languages": list(each.languages), "texts": each.asked, "first": each.first, "recall": each.recall}
            for each in done.firsts
        ],
        "thresholds": [step(each) for each in done.thresholds],
        "within_a_language": [step(each) for each in done.within],
    }


def _rows(engine: Engine, pairs: Sequence[Pair], *, whole: bool = False) -> list[dict[str, Any]]:
    """Pairs as people and programs read them. `whole`: with both texts."""
    known = pairs_module.sides(engine, pairs)
    return [_row(pair, known.get(pair.key_a), known.get(pair.key_b), whole=whole) for pair in pairs]


def _row(pair: Pair, a: Side | None, b: Side | None, *, whole: bool) -> dict[str, Any]:
    evidence = pair.evidence or {}
    words = evidence.get("words")
    if words is None and a is not None and b is not None:
        # What was stored went with the text that it was taken from: what they share now.
        words = shared_words(Comparable(a.title, a.body, a.language), Comparable(b.title, b.body, b.language))
    row: dict[str, Any] = {
        "id": pair.id,
        "score": pair.score,
        "lexical": pair.lexical,
        "semantic": pair.semantic,
        "method": pair.method,
        "version": pair.version,
        "words": list(words or ()),
        "found_at": pair.found_at,
        "decision": pair.decision.value if pair.decision else None,
        "decided_at": pair.decided_at,
        "decided_by": pair.decided_by,
    }
    for name, key, side in (("a", pair.key_a, a), ("b", pair.key_b, b)):
        row[f"key_{name}"] = key
        row[f"instance_{name}"] = side.instance if side else key.partition("/")[0]
        row[f"kind_{name}"] = side.kind if side else None
        row[f"title_{name}"] = side.title if side else None
        row[f"language_{name}"] = side.language if side else None
        row[f"state_{name}"] = side.state if side else None
        row[f"supports_{name}"] = side.supports if side else None
        row[f"url_{name}"] = side.url if side else None
        if whole:
            row[f"body_{name}"] = side.body if side else None
    return row


def _print_pairs(rows: Sequence[dict[str, Any]], empty: str) -> None:
    shown = [{**row, "score": f"{row['score']:.2f}"} for row in rows]
    print_table(shown, _COLUMNS, empty=empty, counts={"supports_a", "supports_b"})


def _progress() -> Callable[[str, int, int], None]:
    tellers: dict[str, Callable[[int, int], None]] = {}

    def tell(doing: str, done: int, total: int) -> None:
        tellers.setdefault(doing, progress_lines(doing, 640))(done, total)

    return tell


def _by_id(engine: Engine, own: str) -> Pair:
    try:
        return pairs_module.by_id(engine, own)
    except NoPair as error:
        fail(str(error))


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "somebody"
