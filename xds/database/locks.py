"""Locks by name: what a transaction holds from its beginning to its end."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

_MOST: Final = 64
"""Names that one transaction locks one by one: PostgreSQL's lock table has room for so many."""
_EVERY_NAME: Final = "every name"
"""Shared by all who lock names, so that a transaction with very many can lock all at once."""


@dataclass(frozen=True, slots=True)
class Locks:
    """Names that a transaction locks: to rely on (shared), or to change (exclusive).

    A name is any text; what it stands for is the user's affair. SQLite needs none of them: its one
    writer holds everything.
    """

    shared: frozenset[str] = frozenset()
    exclusive: frozenset[str] = frozenset()

    @property
    def are_of_everything(self) -> bool:
        """Whether they are so many that they keep everybody else from locking a name."""
        names = self.shared | self.exclusive
        return len(names) > _MOST or _EVERY_NAME in names

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.shared or self.exclusive)

    def without(self, held: "Locks") -> "Locks":
        """Return those that are needed beside others that are held."""
        if held.are_of_everything:
            return Locks()
        return Locks(
            shared=self.shared - held.shared - held.exclusive,
            exclusive=self.exclusive - held.exclusive,
        )

    def numbers(self) -> Iterator[tuple[int, bool]]:
        """Yield each lock's number, and whether it is shared, in the one order of all takers."""
        names = self.shared | self.exclusive
        if self.are_of_everything:
            yield _key(_EVERY_NAME), False
        elif names:
            found = {_key(name): name not in self.exclusive for name in names}
            yield from sorted([(_key(_EVERY_NAME), True), *found.items()])


NOTHING: Final = Locks()
EVERYTHING: Final = Locks(exclusive=frozenset({_EVERY_NAME}))
"""Waits for all who lock any name, and keeps others from it."""


def _key(name: str) -> int:
    """Return a number of 64 bits; two names of one number would only wait for each other."""
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
