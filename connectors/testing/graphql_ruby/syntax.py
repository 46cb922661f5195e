"""graphql-ruby's texts for documents that do not parse, and for names that are nearly right.

Whether a document parses is decided by graphql-core; here its complaint is only put into the gem's words.
"""

import re
from collections.abc import Iterable

from graphql import GraphQLSyntaxError, Lexer, Source, Token, TokenKind

from .profile import ErrorEntry

_TOKENS = {
    "Name": "IDENTIFIER", "Int": "INT", "Float": "FLOAT", "String": "STRING", "BlockString": "STRING",
    "{": "LCURLY", "}": "RCURLY", "(": "LPAREN", ")": "RPAREN", "[": "LBRACKET", "]": "RBRACKET", ":": "COLON",
    "$": "VAR_SIGN", "!": "BANG", "=": "EQUALS", "...": "ELLIPSIS", "|": "PIPE", "@": "DIR_SIGN", "&": "AMP",
}  # fmt: skip
_KEYWORDS = frozenset(
    {"directive", "enum", "extend", "fragment", "implements", "input", "interface", "mutation", "on", "query"}
    | {"repeatable", "scalar", "schema", "subscription", "type", "union", "true", "false", "null"}
)
_EXPECTED = re.compile(r"Expected (Name|'[^']+'|\S+), found")
_DEFINITIONS = "one of SCHEMA, SCALAR, TYPE, ENUM, INPUT, UNION, INTERFACE"


def syntax_error(query: str, error: GraphQLSyntaxError, gem: tuple[int, ...]) -> ErrorEntry:
    """The entry for a document that graphql-core could not parse."""
    place = error.locations[0] if error.locations else None
    line, column = (place.line, place.column) if place else (1, 1)
    ended = "<EOF>" in error.message
    last = _last_token(query)
    if ended and (last is None or gem < (2, 2)):
        return {"message": "Unexpected end of document", "locations": []}
    expected = _expected(error.message)
    if ended and last is not None:
        line, column = last.line, last.column
        text = f"Expected {expected}, not end of file at [{line}, {column}]"
    else:
        word, kind = _token_at(query, line, column)
        if gem >= (2, 2):
            text = f'Expected {expected}, actual: {kind} ("{word}") at [{line}, {column}]'
        else:
            text = f'Parse error on "{word}" ({kind}) at [{line}, {column}]'
    return {"message": text, "locations": [{"line": line, "column": column}]}


def _expected(message: str) -> str:
    found = _EXPECTED.search(message)
    if found is None:
        return _DEFINITIONS
    name = found.group(1).strip("'")
    return "NAME" if name == "Name" else _TOKENS.get(name, name.upper())


def _last_token(query: str) -> Token | None:
    last: Token | None = None
    lexer = Lexer(Source(query))
    try:
        while lexer.advance().kind is not TokenKind.EOF:
            last = lexer.token
    except GraphQLSyntaxError:
        pass
    return last


def _token_at(query: str, line: int, column: int) -> tuple[str, str]:
    lexer = Lexer(Source(query))
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            if (token.line, token.column) == (line, column):
                word = token.value if token.value is not None else token.kind.value
                kind = word.upper() if word in _KEYWORDS else _TOKENS.get(token.kind.value, "UNKNOWN_CHAR")
                return word, kind
    except GraphQLSyntaxError:
        pass
    lines = query.splitlines() or [""]
    return lines[line - 1][column - 1 : column] if line <= len(lines) else "", "UNKNOWN_CHAR"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """The hint that the gem appends from 2.4 on; empty if nothing is near."""
    near = [f"`{each}`" for each in corrections(name, candidates)]
    if not near:
        return ""
    listed = near[0] if len(near) == 1 else f"{', '.join(near[:-1])} or {near[-1]}"
    return f" (Did you mean {listed}?)"


def corrections(name: str, candidates: Iterable[str]) -> list[str]:
    """Ruby's DidYouMean::SpellChecker, whose thresholds decide whether a hint appears at all."""
    wanted = name.lower()
    threshold = 0.834 if len(wanted) > 3 else 0.77
    scored = [(_jaro_winkler(each.lower(), wanted), each) for each in candidates if each != name]
    words = [each for score, each in sorted(scored, key=lambda pair: -pair[0]) if score >= threshold]
    limit = -(-len(wanted) // 4)
    near = [each for each in words if _levenshtein(each.lower(), wanted) <= limit]
    if near:
        return near
    return [each for each in words if _levenshtein(each.lower(), wanted) < min(len(wanted), len(each))][:1]


def _jaro_winkler(one: str, other: str) -> float:
    distance = _jaro(one, other)
    if distance <= 0.7:
        return distance
    prefix = 0
    for left, right in zip(one[:4], other[:4], strict=False):
        if left != right:
            break
        prefix += 1
    return distance + prefix * 0.1 * (1 - distance)


def _jaro(one: str, other: str) -> float:
    if len(one) > len(other):
        one, other = other, one
    reach = max(len(other) // 2 - 1, 0)
    taken = [False] * len(other)
    matched: list[str] = []
    for i, character in enumerate(one):
        for j in range(max(0, i - reach), min(len(other), i + reach + 1)):
            if not taken[j] and other[j] == character:
                taken[j] = True
                matched.append(character)
                break
    if not matched:
        return 0.0
    opposite = [character for j, character in enumerate(other) if taken[j]]
    swapped = sum(a != b for a, b in zip(matched, opposite, strict=True)) // 2
    count = len(matched)
    return (count / len(one) + count / len(other) + (count - swapped) / count) / 3


def _levenshtein(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]
