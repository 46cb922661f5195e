"""Every mistake in the file is named at once, with its place and the way out; secrets never show."""

from pathlib import Path

import pytest

from civicsync.config import ConfigError, load
from civicsync.core.durations import seconds
from civicsync.core.privacy import MissingKeyError, check_key

KEY = "0123456789abcdef" * 4
GOOD = """\
civicsync: 1
operator: {name: Gemeente NO, contact: a@b.example}
privacy: {key: "${KEY}"}
instances:
  ideas:
    platform: consul
    url: https://ideas.example/
    every: 15m
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "civicsync.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {"KEY": KEY, **environment})
    return [line.removeprefix(f"{tmp_path}/") for line in caught.value.lines()]


def test_a_good_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD), {"KEY": KEY})
    assert config.instances["ideas"].url == "https://ideas.example"
    assert type(config.instances["ideas"]).__name__ == "ConsulSettings"
    assert config.privacy.key.get_secret_value() == KEY
    assert KEY not in repr(config) and KEY not in config.model_dump_json()


@pytest.mark.parametrize("key", ["full_every", "confirm_within"])
def test_whatever_is_an_interval_is_told_as_one(tmp_path: Path, key: str) -> None:
    [line] = problems(tmp_path, GOOD + f"    {key}: soon\n")
    assert line.endswith(f"instances.ideas.{key}: found 'soon'; expected an interval such as 90s, 15m, 6h or 1d")


def test_yaml_1_2_keeps_norway(tmp_path: Path) -> None:
    text = GOOD.replace("Gemeente NO", "NO")
    assert load(write(tmp_path, text), {"KEY": KEY}).operator.name == "NO"


def test_all_mistakes_at_once_with_their_places(tmp_path: Path) -> None:
    text = GOOD.replace("contact: a@b.example", "contct: x").replace("15m", "often").replace("consul", "consl")
    text += "  other:\n    platform: consul\n    url: ideas.example\n    evry: 1h\n    politeness: {timeout: soon}\n"
    found = problems(tmp_path, text)
    assert any(
        line.startswith("civicsync.yaml:2:31: operator.contct: unknown key; did you mean contact?") for line in found
    )
    assert any("operator.contact: missing" in line for line in found)
    assert any(
        line.startswith("civicsync.yaml:6:15: instances.ideas.platform: unknown platform 'consl'") for line in found
    )
    assert any(line.startswith("civicsync.yaml:11:10: instances.other.url: found 'ideas.example'") for line in found)
    assert any(
        line.startswith("civicsync.yaml:12:5: instances.other.evry: unknown key; did you mean every?") for line in found
    )
    assert any(line.startswith("civicsync.yaml:13:27: instances.other.politeness.timeout:") for line in found)


def test_duplicate_keys_are_errors(tmp_path: Path) -> None:
    [line] = problems(tmp_path, GOOD + "instances: {}\n")
    assert line.startswith("civicsync.yaml:9:1: ") and "duplicate key" in line


def test_broken_yaml_names_its_place(tmp_path: Path) -> None:
    [line] = problems(tmp_path, "civicsync: [1\noperator: x\n")
    assert line.startswith("civicsync.yaml:2:")


def test_secrets_only_by_reference(tmp_path: Path) -> None:
    text = GOOD.replace('"${KEY}"', "topsecret-topsecret-topsecret-topsecret")
    [line] = problems(tmp_path, text)
    assert "privacy.key: a secret is written in the file" in line and "topsecret" not in line
    text = GOOD + "    password: hunter2-hunter2\n"
    [line] = problems(tmp_path, text)
    assert line.startswith("civicsync.yaml:9:15: instances.ideas.password") and "hunter2" not in line


def test_a_toy_city_on_loopback_may_show_its_password(tmp_path: Path) -> None:
    text = GOOD.replace("https://ideas.example/", "http://127.0.0.1:4000") + "    password: toy\n"
    assert load(write(tmp_path, text), {"KEY": KEY}).instances["ideas"].url == "http://127.0.0.1:4000"


def test_what_another_instance_lacks_is_no_matter_of_this_one(tmp_path: Path) -> None:
    text = GOOD + '    login: "${NOT_SET}"\n    password: file:none.password\n'
    text += "  other: {platform: your-priorities, url: 'https://other.example'}\n"
    found = load(write(tmp_path, text), {"KEY": KEY}, only=["other"]).instances
    assert found["ideas"].password is None and list(found) == ["ideas", "other"]
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {"KEY": KEY}, only=["ideas"])
    assert len(caught.value.lines()) == 2


def test_missing_variables_and_files(tmp_path: Path) -> None:
    [line] = problems(tmp_path, GOOD.replace("KEY}", "NOT_SET}"))
    assert "the environment variable NOT_SET is not set" in line
    [line] = problems(tmp_path, GOOD.replace('"${KEY}"', "file:none.key"))
    assert "the file none.key does not exist" in line
    (tmp_path / "some.key").write_text(KEY + "\n")
    config = load(write(tmp_path, GOOD.replace('"${KEY}"', "file:some.key")), {})
    assert config.privacy.key.get_secret_value() == KEY


def test_no_file_and_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.yaml")
    assert "mapping" in problems(tmp_path, "- 1\n")[0]
    assert "mapping" in problems(tmp_path, "")[0]


def test_a_short_key_is_refused_with_the_way_out() -> None:
    with pytest.raises(MissingKeyError, match="Make one with"):
        check_key("short")
    check_key(KEY)


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("15m", 900), ("6h", 21600), ("2 d", 172800)])
def test_intervals(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_a_name_that_no_template_knows_is_an_error_with_its_place(tmp_path: Path) -> None:
    text = GOOD + "  other: {platform: consul, url: https://other.example}\n"
    text += "routes:\n  r:\n    from: {instance: ideas}\n    to: {instance: other, space: section/proposals}\n"
    text += "    title: 'Over {{ titel }}'\n    body: '{% set x = title %}{{ x }} {{ body|upper }}'\n    attribution: '{{ body }}'\n"
    found = problems(tmp_path, text)
    assert len(found) == 2
    assert (
        found[0].startswith("civicsync.yaml:14:12: routes.r.title:") and "knows no 'titel'; there are title" in found[0]
    )
    assert found[1].startswith("civicsync.yaml:16:18: routes.r.attribution:") and "knows no 'body'" in found[1]
