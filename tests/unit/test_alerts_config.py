"""What a configuration may say of alerts: secrets by reference alone, and none in the clear over a network."""

from pathlib import Path

import pytest

from civicsync.config import Config, ConfigError, load
from civicsync.config.alerts import signing_bytes
from civicsync.config.shown import shown
from civicsync.core.redaction import redact

BASE = """civicsync: 1
operator: {name: Stad, contact: a@b.example}
privacy: {key: "${KEY}"}
instances:
  ideas: {platform: consul, url: "https://ideas.example"}
alerts:
"""
ENVIRONMENT = {"KEY": "0123456789abcdef" * 4, "LONG": "pl4nted-long-enough", "SHORT": "pl4nted"}
MAIL = '  mail: {{host: {host}, tls: {tls}, user: u, password: "${{LONG}}", from: a@b.example, to: [c@d.example]}}\n'


def loaded(tmp_path: Path, text: str, **more: str) -> Config:
    (tmp_path / "civicsync.yaml").write_text(BASE + text)
    return load(tmp_path / "civicsync.yaml", {**ENVIRONMENT, **more})


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in caught.value.lines()]


def test_channels_have_names_that_the_outbox_knows(tmp_path: Path) -> None:
    text = '  webhooks: {chat: {url: "https://h.example", secret: "${LONG}"}}\n  apprise: {pager: "${LONG}"}\n'
    config = loaded(tmp_path, text + MAIL.format(host="mail.example", tls="starttls"))
    assert config.alerts.channels == ["webhook:chat", "mail:c@d.example", "apprise:pager"]
    assert config.alerts.mail is not None and config.alerts.mail.where == ("mail.example", 587)
    assert "pl4nted" not in repr(config) + config.model_dump_json() + str(shown(config, tmp_path / "civicsync.yaml"))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            '  webhooks: {chat: {url: "https://h.example", secret: pl4nted-pl4nted-pl4nted}}',
            7,
            "a secret is written in the file",
        ),
        ("  apprise: {pager: 'json://pl4nted'}", 7, "alerts.apprise.pager: a secret is written in the file"),
        ('  webhooks: {chat: {url: "https://h.example", secret: "${SHORT}"}}', 7, "shorter than 16 bytes"),
        ('  webhooks: {chat: {url: "https://u:pl4nted@h.example", secret: "${LONG}"}}', 7, "without a user"),
        (MAIL.format(host="mail.example", tls="off"), 7, "a password is never sent without TLS"),
        (
            '  mail: {host: m.example, from: "a@b.example>\\r\\nBcc: x", to: [c@d.example]}',
            7,
            "expected an e-mail address",
        ),
        ("  mail: {host: m.example, user: u, from: a@b.example, to: [c@d.example]}", 7, "belong together"),
        ("  no_good_pull_of: {nope: 2d}", 7, "no such instance; name one of: ideas"),
        ("  no_good_pull_for: soon", 7, "expected an interval such as 90s, 15m, 6h or 1d, or `off`"),
        ("  overview: 15m", 7, "expected a cron line"),
        ("  overview: 0 25 * * *", 7, "not a cron line"),
        ("  overveiw: off", 7, "did you mean overview?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_no_secret(tmp_path: Path, text: str, line: int, says: str) -> None:
    found = problems(tmp_path, text + "\n")
    assert any(each.startswith(f"civicsync.yaml:{line}:") and says in each for each in found), found
    assert "pl4nted" not in "".join(found)


def test_a_password_may_go_to_this_machine_itself_in_the_clear(tmp_path: Path) -> None:
    assert loaded(tmp_path, MAIL.format(host="127.0.0.1", tls="off")).alerts.channels == ["mail:c@d.example"]


def test_the_token_of_an_address_is_hidden_wherever_it_would_be_told(tmp_path: Path) -> None:
    text = '  webhooks: {chat: {url: "${ADDRESS}", secret: "${LONG}"}}\n'
    loaded(tmp_path, text, ADDRESS="https://h.example/T0KEN-of-it/x?key=T0KEN-of-it")
    assert "T0KEN" not in redact("POST https://h.example/T0KEN-of-it/x?key=T0KEN-of-it: failed")
    assert "T0KEN" not in redact("POST h.example/T0KEN-of-it/x: failed") + redact("it was sent key=T0KEN-of-it")
    loaded(tmp_path, text.replace("${ADDRESS}", "https://h.example/${ADDRESS}"), ADDRESS="T0KEN-part")
    assert "T0KEN" not in redact("it was T0KEN-part")


def test_the_key_of_a_signature_is_what_the_standard_says() -> None:
    assert signing_bytes("whsec_cGw0bnRlZC1zaWduaW5nLXNlY3JldA==") == b"pl4nted-signing-secret"
    assert signing_bytes("just a long text") == b"just a long text"
    for wrong in ("whsec_c2hvcnQ=", "whsec_not base64 at all", "short"):
        with pytest.raises(ValueError, match=r"16 bytes|Base64"):
            signing_bytes(wrong)
