"""Mutants of pulling: what would lose or invent data, or leak."""

from proof.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()
