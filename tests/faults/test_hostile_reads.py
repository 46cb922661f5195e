"""A hostile instance beside three healthy ones, small: some kinds of trouble by `sync`, as many at once by `run`; all in `make proof`."""

import asyncio

import pytest

from proof.hostile_reads import KINDS, measured


def test_there_are_forty_kinds_of_trouble() -> None:
    assert len(KINDS) >= 40


@pytest.mark.parametrize("verb", ["sync", "run"])
async def test_the_healthy_ones_are_read_whatever_the_hostile_one_answers(verb: str) -> None:
    told = await asyncio.to_thread(measured, verb, 2, [0])
    assert told["kinds"] >= 2 and told["healthy"] >= 3
    assert (told["unhealthy"], told["silent"], told["unforeseen"]) == (0, 0, 0)
    assert told["memory"] < 300
