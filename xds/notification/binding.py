"""Tokens by which whoever may read subscriptions has a connection bound to them.

A token is known here by its digest alone, so that whoever reads the database cannot use it. It can
be used until it runs out, by whatever process.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from xds.database.access import Database, InCommit, retried
from xds.notification.tables import subscription_token

_BYTES: Final = 32
_LONGEST: Final = 256
_C: Final = subscription_token.c
_FIND: Final = select(_C.subscriptions).where(
    _C.digest == bindparam("wanted"),
    _C.expires > bindparam("now"),
    # what runs out later than a token lives was made before the clock was set back
    _C.expires <= bindparam("latest"),
)
_EXPIRED: Final = delete(subscription_token).where(_C.expires <= bindparam("now"))


@dataclass(frozen=True, slots=True)
class BindingTokens:
    """The tokens of one database; ``seconds`` is how long each can be used."""

    database: Database
    seconds: int

    def issue(self, keys: Sequence[int], in_commit: InCommit | None = None) -> tuple[str, int]:
        """Make a token for subscriptions by their keys; return it and when it runs out."""
        token = secrets.token_urlsafe(_BYTES)

        def once() -> tuple[str, int]:
            with self.database.write() as connection:
                now = self.database.milliseconds(connection)
                expires = now + self.seconds * 1000
                connection.execute(_EXPIRED, {"now": now})
                row = {"digest": _digest(token), "expires": expires}
                row["subscriptions"] = " ".join(map(str, keys))
                connection.execute(insert(subscription_token), row)
                if in_commit is not None:
                    in_commit(connection)
            return token, expires

        return retried(once)

    def bound_by(self, token: str) -> Sequence[int]:
        """Return the keys of the subscriptions of a token; none where it is none, or has run out.

        Raises DatabaseUnavailable.
        """
        if len(token) > _LONGEST:
            return ()
        with self.database.read() as connection:
            now = self.database.milliseconds(connection)
            asked = {"wanted": _digest(token), "now": now, "latest": now + self.seconds * 1000}
            found = connection.scalar(_FIND, asked)
        return tuple(map(int, (found or "").split()))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
