"""Mutants of publishing: what would publish twice, overwrite people, or leave a text where it must not stand."""

from proof.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a day's cap is counted by copies made",
        "sync/publish/queue.py",
        "return max(0, route.max_per_day - ",
        "return max(0, route.max_per_day + ",
        "tests/integration/test_publish.py::test_caps_hold_and_the_rest_waits",
    ),
)
