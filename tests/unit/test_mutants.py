"""The list of mutants fits the code: each changes one line that is there once, and each has a rule and a test of its own."""

from pathlib import Path

import pytest

from proof.mutant import Mutant
from proof.mutants_publish import MUTANTS as PUBLISH
from proof.mutants_pull import MUTANTS as PULL
from proof.mutants_workers import MUTANTS as WORKERS

ROOT = Path(__file__).parent.parent.parent
MUTANTS = (*PUBLISH, *PULL, *WORKERS)


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 60


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.before) == 1, f"stale: {mutant.file} has it {source.count(mutant.before)} times"
    assert mutant.before != mutant.after
    assert (ROOT / mutant.test.partition("::")[0]).is_file()
