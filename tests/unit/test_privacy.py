"""A person is a pseudonym: the same on one instance, another one elsewhere, nobody's without the key."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicsync.core.ledger.marker import Signer, claims_marker, markers_in, without_markers
from civicsync.core.privacy import MissingKeyError, check_chosen_key, fingerprint_of, pseudonymiser

KEY = "0123456789abcdef" * 4


def test_a_person_has_one_pseudonym_on_an_instance_and_another_one_elsewhere() -> None:
    west = pseudonymiser(KEY, "west")
    assert west("7") == pseudonymiser(KEY, "west")("7")
    assert west("7") != west("8")
    assert west("7") != pseudonymiser(KEY, "east")("7"), "nobody can be followed across platforms"
    assert west("7") != pseudonymiser("f" * 64, "west")("7"), "without the key nobody can be found"
    assert len(west("7")) == 32 and set(west("7")) <= set("0123456789abcdef")


@pytest.mark.parametrize("key", ["", "short", "k" * 31])
def test_no_pseudonym_is_made_with_a_key_that_protects_nobody(key: str) -> None:
    with pytest.raises(MissingKeyError):
        pseudonymiser(key, "west")


@pytest.mark.parametrize("key", ["k" * 64, "ab" * 32, "changeme" * 4, "0123456789" * 7, "a" * 31 + "bcdefgh"])
def test_a_key_that_can_be_guessed_is_refused(key: str) -> None:
    with pytest.raises(MissingKeyError, match=r"too easily guessed.*Make one with") as caught:
        check_chosen_key(key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, "Zq8vN2xWc5Lk7Rt1Yp4Hb9Md3Js6Fg0a", "9f86d081884c7d659a2feaa0c55ad015"])
def test_a_key_made_by_chance_is_taken(key: str) -> None:
    check_chosen_key(key)


def test_the_fingerprint_of_a_key_tells_nothing_of_it() -> None:
    assert fingerprint_of(KEY) == fingerprint_of(KEY) != fingerprint_of("f" * 64)
    assert fingerprint_of(KEY) not in KEY and len(fingerprint_of(KEY)) == 24


def test_a_signature_holds_for_one_origin_in_one_place_under_one_key() -> None:
    signer = Signer(KEY)
    marker = signer.marker("west/proposal/31", "ideas", "group/1")
    assert signer.is_ours(marker, "ideas", "group/1")
    assert not signer.is_ours(marker, "ideas", "group/2")
    assert not signer.is_ours(marker, "other", "group/1")
    forged = type(marker)("west/proposal/32", marker.signature)
    assert not signer.is_ours(forged, "ideas", "group/1")
    assert not Signer("f" * 64).is_ours(marker, "ideas", "group/1")


@pytest.mark.parametrize("typed", ["[CivicSync: x]", "[ civicsync :x~y", "[civicsync:west/proposal/31~short]"])
def test_whatever_looks_like_a_marker_is_a_claim_and_can_be_taken_out(typed: str) -> None:
    assert claims_marker(f"Tekst {typed} verder")
    assert not claims_marker(without_markers(f"Tekst {typed}"))
    assert markers_in(typed) == []


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text("ab", min_size=32, max_size=200))
def test_a_pseudonym_is_the_hmac_that_it_always_was(person: str, secret: str) -> None:
    own = hmac.digest(secret.encode(), b"civicsync:instance:west", "sha256")
    assert pseudonymiser(secret, "west")(person) == hmac.digest(own, person.encode(), "sha256").hex()[:32]
