"""A configuration that nobody should have written: every one ends in a word, none in a traceback, and no secret is told."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from civicsync.config import ConfigError, load
from civicsync.config.shown import shown
from civicsync.core.redaction import forget_concealed, redact

KEY = "0123456789abcdef" * 4
PLANTED = "Pl4nted-s3cret"
GOOD = """\
civicsync: 1
operator: {name: Gemeente, contact: a@b.example}
privacy: {key: "${KEY}"}
instances:
  ideas:
    platform: consul
    url: https://ideas.example/
"""


@pytest.fixture(autouse=True)
def nothing_concealed() -> Any:
    yield
    forget_concealed()


def problems(tmp_path: Path, text: str, **environment: str) -> list[str]:
    file = tmp_path / "civicsync.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {"KEY": KEY, **environment})
    return [line.removeprefix(f"{tmp_path}/") for line in caught.value.lines()]


WRONG = {
    "a user in an address": GOOD.replace("https://ideas", f"https://user:{PLANTED}@ideas"),
    "a query in an address": GOOD.replace("ideas.example/", f"ideas.example/?sid={PLANTED}"),
    "a number for a secret": GOOD + f"    management: {{document_number: [{PLANTED}]}}\n",
    "a whole number for a secret": (GOOD + "    login: 1234567890\n"),
    "an alias for a password": GOOD + f"    password: *{PLANTED}\n",
    "a tag for a password": GOOD + f"    password: !{PLANTED}\n",
    "a secret written in the file": GOOD + f"    password: {PLANTED}\n",
    "a reference in the wrong place": GOOD + '    every: "${PLANTED}"\n',
    "a file in the wrong place": GOOD + "    every: file:planted.key\n",
    "an unknown route end": GOOD
    + 'routes:\n  r: {from: {instance: "${PLANTED}"}, to: {instance: ideas, space: "${PLANTED}"}}\n',
    "an unknown platform": GOOD.replace("consul", '"${PLANTED}"'),
    "an odd key": GOOD + f"    passwort: {PLANTED}\n",
    "a text in an address": GOOD.replace("https://ideas.example/", f"postgresql://u:{PLANTED}@h"),
    "a password twice": GOOD + f"    password: {PLANTED}\n    password: {PLANTED}2\n",
}


@pytest.mark.parametrize("case", list(WRONG))
def test_no_error_of_the_file_tells_a_secret(tmp_path: Path, case: str) -> None:
    (tmp_path / "planted.key").write_text(PLANTED)
    found = problems(tmp_path, WRONG[case], PLANTED=PLANTED)
    assert found and PLANTED not in "\n".join(found) and "1234567890" not in "\n".join(found)


SHOWN = """\
civicsync: 1
operator: {name: "${OPERATOR}", contact: a@b.example}
database: postgresql://someone:%s@db.example/civic?sslpassword=%s&application_name=x
privacy: {key: "file:planted.key"}
instances:
  ideas:
    platform: consul
    url: https://ideas.example/
    login: "${PLANTED}"
    password: "${PLANTED}"
    spaces: ["file:planted.key"]
"""


@pytest.mark.parametrize(
    "database", ["", "postgresql://db.example/civic?password=%s&user=x", "postgresql://u:${PLANTED}@db.example/civic"]
)
def test_show_tells_references_and_no_secret(tmp_path: Path, database: str) -> None:
    planted = PLANTED + "0123456789abcdefghijklmnop"
    (tmp_path / "planted.key").write_text(planted)
    text = SHOWN.replace("%s", planted)
    if database:
        text = text.replace(text.splitlines()[2], f"database: {database.replace('%s', planted)}")
    file = tmp_path / "civicsync.yaml"
    file.write_text(text)
    config = load(file, {"PLANTED": planted, "OPERATOR": "Stad"})
    data = shown(config, file)
    assert planted not in repr(data) and PLANTED not in repr(data)
    assert "db.example" in data["database"] and data["operator"]["name"] == "${OPERATOR}"
    assert data["instances"]["ideas"]["password"] == "${PLANTED}"
    assert data["privacy"]["key"] == data["instances"]["ideas"]["spaces"][0] == "file:planted.key"
    # And whatever the configuration calls a secret is hidden by its value wherever it turns up later.
    assert planted not in redact(f"the site said: {planted} is wrong")


def test_an_yaml_bomb_ends_in_a_word(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    assert "aliases count as often as they stand" in problems(tmp_path, bomb)[0]
    assert problems(tmp_path, GOOD + "    politeness: &a {pause: *a}\n")


@pytest.mark.parametrize("text", ["[" * 3000, "a: " + "[" * 3000 + "]" * 3000, "{a: " * 3000, "- " * 3000 + "x"])
def test_brackets_nested_3000_deep_end_in_a_word(tmp_path: Path, text: str) -> None:
    [line] = problems(tmp_path, text)
    assert "nested far too deep" in line


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    assert "larger than" in problems(tmp_path, "# " + "x" * 1_000_001)[0]


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 64_001)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name, why in {
        "pipe": "a pipe or a device",
        "/dev/zero": "a pipe or a device",
        "/proc/self": "a folder",
        "large": "larger than",
        "bytes": "UTF-8",
        "~nobody-at-all/x": "does not exist",
        "a\\0b": "cannot be read",
    }.items():
        [line] = problems(tmp_path, GOOD.replace('"${KEY}"', f'"file:{name}"'))
        assert line.startswith("civicsync.yaml:3:16: privacy.key: the file ") and why in line
    for file in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match="not a file"):
            load(file, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    names: sometimes\n", "expected one of: never, public"),
        ("    politeness: {pause: 11}\n", "expected at most 10"),
        ("    politeness: {timeout: 0}\n", "expected more than 0"),
        ("    verify_tls: perhaps\n", "expected true or false"),
        ("    spaces: process/1\n", "expected a list"),
        ("    politeness: [1]\n", "expected a mapping"),
        ("    every: 0s\n", "expected an interval such as"),
        ("    full_every: 999999999999d\n", "expected an interval such as"),
        ("  1: {platform: consul, url: https://x.example}\n", "a name"),
        ("  x: {platform: consul, url: 'http://[::1'}\n", "expected an address such as"),
        ("  x: {platform: consul, url: 'https://x.example:99999'}\n", "expected an address such as"),
        ("  x: {platform: 'os:system', url: https://x.example}\n", "not a civicsync Connector"),
        ("  x: {platform: ':', url: https://x.example}\n", "cannot load connector"),
        ("safety: {attempts: 1.5}\n", "expected a whole number"),
        ("routes: {r: {from: {instance: ideas}, to: {instance: y, space: nowhere}}}\n", "as `discover` prints it"),
        (
            "routes: {r: {from: {instance: ideas, where: {state: new}}, to: {instance: y, space: a/1}}}\n",
            "expected one of",
        ),
    ],
)
def test_what_is_wrong_is_said_in_our_words(tmp_path: Path, text: str, expected: str) -> None:
    found = "\n".join(problems(tmp_path, GOOD + text))
    assert expected in found
    for foreign in ("Input should", "valid", "Value error", "pydantic", "pattern", "Traceback"):
        assert foreign not in found


KEYS = st.sampled_from(
    [
        "civicsync",
        "operator",
        "name",
        "contact",
        "database",
        "privacy",
        "key",
        "instances",
        "ideas",
        "platform",
        "url",
        "every",
        "routes",
        "from",
        "to",
        "space",
        "where",
        "safety",
        "politeness",
        "timeout",
        "management",
        "locales",
        "peers",
        "time_zone",
        "<<",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["consul", "decidim", "https://a.example", "http://[::1", "file:x", "${KEY}", "15m", "* * * * *", "sqlite:///x"]
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4) | st.integers(), inner, max_size=6)
    ),
    max_leaves=20,
)
hard = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
some = settings(hard, max_examples=int(os.environ.get("CIVICSYNC_FUZZ", "400")))


def loads(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    try:
        load(file, {"KEY": KEY})
    except ConfigError as error:
        assert error.lines()


@some
@given(tree=TREES)
def test_any_tree_is_a_configuration_or_a_list_of_problems(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    from io import BytesIO

    from ruamel.yaml import YAML

    stream = BytesIO()
    try:
        YAML(typ="safe").dump(tree, stream)
    except Exception:
        return  # ruamel's own business
    loads(tmp_path_factory.getbasetemp() / "any.yaml", stream.getvalue())


@some
@given(content=st.binary(max_size=200) | st.text(alphabet="[]{}:,-&*!|>'\"%@`#? \nab1.\t", max_size=60).map(str.encode))
def test_any_bytes_are_a_configuration_or_a_list_of_problems(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    loads(tmp_path_factory.getbasetemp() / "any.yaml", content)
