"""Local accounts: made by a command, for trials and where no provider of identities is at hand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from xds.accounts import passwords
from xds.accounts.tables import account, account_session
from xds.database.access import Database, retried

_A: Final = account.c
_S: Final = account_session.c
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")


class AccountError(ValueError):
    """An account cannot be made or changed; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A local account, without its password."""

    name: str
    roles: tuple[str, ...]
    patients: tuple[str, ...]
    """The patients (CX) that it is limited to; empty where it is not."""
    created: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The local accounts of a deployment; safe to use from many threads and processes."""

    database: Database

    def all(self) -> list[Account]:
        """Return every account, by name."""
        with self.database.read() as connection:
            return [_account(row) for row in connection.execute(select(account).order_by(_A.name))]

    def put(
        self, name: str, password: str, roles: Sequence[str], patients: Sequence[str] = ()
    ) -> None:
        """Make an account, or have an old one be like this; whoever is logged in by it is not now.

        AccountError, or WeakPassword.
        """
        if not _NAME.fullmatch(name):
            raise AccountError("a name has letters, digits and . _ @ -, and at most 100 of them")
        row = {
            "password": passwords.hashed(password, name=name),
            "roles": " ".join(dict.fromkeys(roles)),
            "patients": "\n".join(dict.fromkeys(patients)),
        }

        def write() -> None:
            with self.database.write() as connection:
                now = self.database.milliseconds(connection)
                connection.execute(delete(account).where(_A.name == name))
                connection.execute(delete(account_session).where(_S.account == name))
                connection.execute(insert(account), {"name": name, "created": now, **row})

        retried(write)

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password, which ends its sessions; AccountError, WeakPassword."""
        known = passwords.hashed(password, name=name)

        def write() -> None:
            with self.database.write() as connection:
                changed = update(account).where(_A.name == name).values(password=known)
                if not connection.execute(changed).rowcount:
                    raise AccountError(f"there is no account {name}")
                connection.execute(delete(account_session).where(_S.account == name))

        retried(write)

    def remove(self, name: str) -> None:
        """Remove an account and end its sessions; AccountError where there is none."""

        def write() -> None:
            with self.database.write() as connection:
                if not connection.execute(delete(account).where(_A.name == name)).rowcount:
                    raise AccountError(f"there is no account {name}")
                connection.execute(delete(account_session).where(_S.account == name))

        retried(write)

    def verified(self, name: str, password: str) -> Account | None:
        """Return the account of a name and its password; None where they are not of one."""
        with self.database.read() as connection:
            row = connection.execute(select(account).where(_A.name == name)).one_or_none()
        if not passwords.verify(row.password if row else None, password) or row is None:
            return None
        if passwords.is_outdated(row.password):
            self._renew(name, row.password, password)
        return _account(row)

    def _renew(self, name: str, old: str, password: str) -> None:
        try:
            known = passwords.hashed(password)
        except passwords.WeakPassword:
            return
        is_old = (_A.name == name) & (_A.password == old)
        with self.database.write() as connection:
            connection.execute(update(account).where(is_old).values(password=known))


def _account(row: Row[Any]) -> Account:
    return Account(
        name=row.name,
        roles=tuple(row.roles.split()),
        patients=tuple(filter(None, row.patients.split("\n"))),
        created=row.created,
    )
