"""Publishing between the sandboxes of all three platforms: lost ledgers, two deployments, races, hostile texts. Small; see `make proof`."""

from pathlib import Path

import pytest

from proof.hostile import hostile
from proof.three_cities import Cities, Deployment, following, lost, races, two


@pytest.mark.parametrize("rebuild", [False, True], ids=["publish", "rebuild-map"])
def test_a_deleted_ledger_makes_no_new_posts(tmp_path: Path, rebuild: bool) -> None:
    assert lost(tmp_path, 2, rebuild=rebuild) == (14, "")


def test_two_deployments_settle(tmp_path: Path) -> None:
    assert two(tmp_path, 2, rounds=4) == (14, "")


def test_what_is_withdrawn_while_it_is_copied_or_edited_does_not_stay(tmp_path: Path) -> None:
    told = races(tmp_path, ["west"])
    assert len(told) == 2
    assert not [f"{what}: {why}" for what, why in told.items() if why]


@pytest.mark.parametrize("fault", ["reset after store", "duplicate reply"])
def test_edits_and_withdrawals_follow_through_faults(tmp_path: Path, fault: str) -> None:
    assert following(tmp_path, fault) == (30, "")


def test_hostile_texts_are_harmless_on_every_platform(tmp_path: Path) -> None:
    result = hostile(tmp_path)
    assert result.problem == ""
    assert result.copies == 50


def test_text_that_is_only_text_elsewhere_does_not_become_markup_on_your_priorities(tmp_path: Path) -> None:
    cities = Cities(1)
    own = cities.sandboxes["west"].change("add_proposal", title="Over <img src=x onerror=alert(1)>")
    told = "<p>Zo schrijft men &lt;img src=x onerror=alert(1)&gt; en &amp;amp;quot; in HTML.</p>"
    cities.sandboxes["west"].change("edit", id=own, description=told)
    deployment = Deployment(tmp_path, cities)
    deployment.round()
    deployment.engine.dispose()
    copy = next(number for number, title in cities.copies("ideas").items() if title.startswith("Over"))
    shown = cities.shown("ideas", copy)
    assert "‹img src=x onerror=alert(1)> en ＆amp;quot; in HTML." in shown
    assert "<" not in shown
