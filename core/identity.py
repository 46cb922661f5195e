"""Identity: (instance, kind, remote id) turned into one deterministic key.

A key is readable (`participa-west/proposal/31`), so an analyst can type it and a page of records can be written together
with its children without reading anything back.
"""

Ref = str
"""`kind/remote id` on one instance, for example `proposal/31`."""

Key = str
"""`instance/kind/remote id`, unique in the database."""


def ref(kind: str, remote_id: str | int) -> Ref:
    """The reference of a record on its own instance."""
    return f"{kind}/{remote_id}"


def key(instance: str, reference: Ref) -> Key:
    """The key of a record in the database."""
    return f"{instance}/{reference}"


def split_ref(reference: Ref) -> tuple[str, str]:
    """The kind and the remote id of a reference.

    Raises:
        ValueError: the text holds no `/`.
    """
    kind, slash, remote_id = reference.partition("/")
    if not slash or not remote_id:
        raise ValueError(f"not a reference: {reference!r}; expected kind/id, for example proposal/31")
    return kind, remote_id


def by_number(reference: Ref) -> tuple[int, str]:
    """For sorting references in the order in which they were made, where their numbers tell."""
    own = split_ref(reference)[1]
    return (int(own) if own.isascii() and own.isdigit() and len(own) < 20 else 0, reference)
