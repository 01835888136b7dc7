"""How often somebody may try to log in: each failure in turn has the next wait longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import delete, insert, select, update

from xds.accounts.tables import login_failure
from xds.database.access import Database, retried

_F: Final = login_failure.c
_FORGOTTEN: Final = 3_600_000
"""Milliseconds without a failure after which those of before no longer count."""
_FIRST_WAIT: Final = 30_000
_LONGEST_WAIT: Final = 900_000


@dataclass(frozen=True, slots=True)
class Attempts:
    """One who tries, and how many failures are free."""

    kind: str
    """What is counted, such as ``address``."""
    text: str
    free: int

    @property
    def key(self) -> str:
        """The name of the row, which tells no name and no address."""
        return sha256(f"{self.kind}\0{self.text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """Counts attempts as failures until they have succeeded, for all processes together."""

    database: Database

    def admit(self, attempts: Sequence[Attempts]) -> int:
        """Return 0 where another attempt is admitted, which counts then; else milliseconds to wait.

        It is counted before the password is looked at, so that many at once are counted as well.
        """

        def count() -> int:
            with self.database.write() as connection:
                now = self.database.milliseconds(connection)
                connection.execute(delete(login_failure).where(_F.last < now - _FORGOTTEN))
                keys = [one.key for one in attempts]
                query = select(_F.key, _F.failures, _F.last).where(_F.key.in_(keys))
                found = {row.key: row for row in connection.execute(query)}
                waits = [
                    row.last + _wait(row.failures - one.free) - now
                    for one in attempts
                    if (row := found.get(one.key)) is not None
                ]
                if (longest := max(waits, default=0)) > 0:
                    return longest
                for key in keys:
                    if key in found:
                        more = update(login_failure).where(_F.key == key)
                        connection.execute(more.values(failures=_F.failures + 1, last=now))
                    else:
                        first = {"key": key, "failures": 1, "last": now}
                        connection.execute(insert(login_failure), first)
                return 0

        return retried(count)

    def succeed(self, attempts: Sequence[Attempts]) -> None:
        """Count no failure where one has logged in."""
        keys = [one.key for one in attempts]

        def take_back() -> None:
            with self.database.write() as connection:
                less = update(login_failure).where(_F.key.in_(keys), _F.failures > 0)
                connection.execute(less.values(failures=_F.failures - 1))

        retried(take_back)

    def clear(self, attempts: Sequence[Attempts]) -> None:
        """Forget all failures of one who has logged in."""
        keys = [one.key for one in attempts]

        def forget() -> None:
            with self.database.write() as connection:
                connection.execute(delete(login_failure).where(_F.key.in_(keys)))

        retried(forget)


def _wait(beyond: int) -> int:
    """Return how long one waits after so many failures beyond those that are free."""
    if beyond < 0:
        return 0
    return int(min(_FIRST_WAIT * 2 ** min(beyond, 10), _LONGEST_WAIT))
