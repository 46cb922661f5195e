"""A mutant: one line of the code made wrong, the rule that it breaks, and the test that must notice."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`before`, which stands once in `file`, becomes `after`; `test` (a pytest id whose name says the rule) must then fail."""

    rule: str
    file: str
    before: str
    after: str
    test: str

    def __str__(self) -> str:
        return (
            f"{self.rule}  {self.file}: {_line(self.before)} -> {_line(self.after)}  by {self.test.partition('::')[2]}"
        )

    def apply(self, text: str) -> str:
        """The text of the file with the change.

        Raises:
            StaleMutant: the text is not what this mutant was written for.
        """
        found = text.count(self.before)
        if found != 1:
            raise StaleMutant(f"{self.file} holds {found} times what {self.rule!r} changes: {_line(self.before)}")
        before, after = self.before.split("\n"), self.after.split("\n")
        changed = sum(one != other for one, other in zip(before, after, strict=False))
        if len(before) != len(after) or changed != 1:
            raise StaleMutant(f"{self.rule!r} does not change exactly one line")
        return text.replace(self.before, self.after)


class StaleMutant(Exception):
    """The code has changed since the mutant was written: write it anew."""


def _line(text: str) -> str:
    return " ".join(text.split()) or "nothing"
