"""The guards against echo that look at a text: the marker and the pending write. (The two in SQL: `test_origins`.)"""

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState, Reason
from civicsync.sync.origins import Origin, load_origins
from civicsync.sync.publish.guards import Guards, Provenance
from tests.support.ledger import SPACE, Desk

K, W, P = OperationKind, OperationState, PublicationState


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def guards(desk: Desk, instance: str = "b", *spaces: str) -> Guards:
    return Guards(desk.ledger, desk.signer, instance, spaces or (SPACE,))


def on_b(desk: Desk, body: str, number: int = 7, **columns: object) -> Origin:
    """A text on `b`, which is a target and may be a source as well."""
    own = desk.origin(number, body, instance="b", **columns)
    return load_origins(desk.engine, [own])[own]


def test_a_citizens_text_is_an_original(desk: Desk) -> None:
    assert guards(desk).judge(on_b(desk, "Een bankje, graag.")).provenance is Provenance.ORIGINAL


def test_a_text_with_a_marker_from_elsewhere_is_held_when_our_account_did_not_write_it(desk: Desk) -> None:
    found = guards(desk).judge(on_b(desk, f"tekst {desk.marker()}"))
    assert (found.provenance, found.reason) == (Provenance.HELD, Reason.FOREIGN_MARKER)


def test_a_forged_or_broken_marker_is_held(desk: Desk) -> None:
    for number, body in enumerate(("[civicsync:b/proposal/3~aaaaaaaaaaaaaaaa]", "[ CivicSync : half"), start=1):
        found = guards(desk).judge(on_b(desk, body, number))
        assert (found.provenance, found.reason) == (Provenance.HELD, Reason.DOUBTFUL_MARKER)


def test_a_marker_in_the_title_or_only_in_the_html_is_seen(desk: Desk) -> None:
    titled = on_b(desk, "tekst", 1, title=desk.marker())
    plain = on_b(desk, "tekst", 2)
    hidden = replace(plain, texts=(replace(plain.texts[0], html=f"<p>tekst {desk.marker()}</p>"),))
    for origin in (titled, hidden):
        assert guards(desk).judge(origin).provenance is Provenance.HELD


def test_a_marker_in_a_machine_translation_is_seen(desk: Desk) -> None:
    plain = on_b(desk, "tekst")
    more = replace(plain.texts[0], locale="en", machine=True, plain=desk.marker())
    assert guards(desk).judge(replace(plain, texts=(*plain.texts, more))).provenance is Provenance.HELD


def test_an_official_copy_is_known_by_its_signature(desk: Desk) -> None:
    """What is made in the organisation's name has no author; there only the signature tells."""
    official = on_b(desk, f"tekst {desk.marker()}", author=None)
    assert guards(desk).judge(official).provenance is Provenance.COPY


def test_an_official_text_with_a_signature_for_another_place_is_held(desk: Desk) -> None:
    official = on_b(desk, f"tekst {desk.marker()}", author=None)
    assert guards(desk, "b", "board/2").judge(official).provenance is Provenance.HELD
    forged = on_b(desk, "tekst [civicsync:a/proposal/1~aaaaaaaaaaaaaaaa]", 8, author=None)
    assert guards(desk).judge(forged).provenance is Provenance.HELD


@pytest.mark.parametrize("state", [W.SENDING, W.UNKNOWN])
def test_a_pending_write_may_be_what_was_just_pulled(desk: Desk, state: OperationState) -> None:
    desk.operation(desk.publication(P(state.value), 3), K.CREATE, state)
    twin = on_b(desk, "een tekst die een ander platform verhaspelde", title="Meer  bomen 3!")
    found = guards(desk).judge(twin)
    assert found.provenance is Provenance.COPY
    assert "being made" in found.why


@pytest.mark.parametrize("state", [W.APPROVED, W.SENT, W.REJECTED])
def test_what_is_not_under_way_is_no_pending_write(desk: Desk, state: OperationState) -> None:
    desk.operation(desk.publication(P.SENT, 3), K.CREATE, state)
    assert guards(desk).judge(on_b(desk, "tekst", title="Meer bomen 3")).provenance is Provenance.ORIGINAL


def test_a_pending_write_elsewhere_or_of_another_kind_says_nothing(desk: Desk) -> None:
    desk.operation(desk.publication(P.SENT, 3), K.EDIT, W.UNKNOWN)
    desk.operation(desk.publication(P.UNKNOWN, 4), K.CREATE, W.UNKNOWN, target_instance="c")
    for number in (3, 4):
        origin = on_b(desk, "tekst", number, title=f"Meer bomen {number}")
        assert guards(desk).judge(origin).provenance is Provenance.ORIGINAL
