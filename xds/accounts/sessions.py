"""Sessions: who has logged in, known by a secret of which the database has the hash alone."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from xds.accounts.tables import account_session
from xds.database.access import Database, retried
from xds.metadata.objects import Code
from xds.security.caller import User

_S: Final = account_session.c
_NOTED: Final = 60_000
"""Milliseconds between two notes that a session is in use: not each page is a write."""
_CODES: Final = ("roles", "purposes_of_use")


@dataclass(frozen=True, slots=True)
class Emergency:
    """That somebody has broken the glass for a patient."""

    patient: int
    """The number of the patient, as the registry counts them."""
    reason: str
    until: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who has logged in, and by what."""

    user: User
    """As the policy and the audit records know them."""
    roles: tuple[str, ...]
    """Those of the console."""
    way: str
    """``password``, ``openid`` or ``proxy``."""
    patients: tuple[str, ...] = ()
    """The patients (CX) that they are limited to; empty where they are not."""
    emergencies: tuple[Emergency, ...] = ()
    id_token: str = field(default="", repr=False)
    """By which the provider knows whose login there is to end."""

    @property
    def name(self) -> str:
        """The name to be shown."""
        return self.user.subject_id or self.user.name_id


@dataclass(frozen=True, slots=True)
class Session:
    """One that is under way."""

    key: str
    person: Person
    secret: str = field(repr=False)
    """What the browser has of it."""
    now: int = 0
    """When it was found, by the database's clock: milliseconds since 1970."""

    def emergency(self, patient: int) -> Emergency | None:
        """Return the emergency of a patient, while it lasts."""
        found = (e for e in self.person.emergencies if e.patient == patient and e.until > self.now)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of a deployment; safe to use from many threads and processes."""

    database: Database
    idle: int
    """Milliseconds after which one ends that is not used."""
    longest: int
    """Milliseconds after which one ends in any case."""

    def begin(self, person: Person, *, account: str | None = None) -> Session:
        """Begin one, with a secret that nobody has had before."""
        secret = secrets.token_urlsafe(32)
        key = _key(secret)

        def write() -> int:
            with self.database.write() as connection:
                now = self.database.milliseconds(connection)
                over = (_S.until <= now) | (_S.seen <= now - self.idle)
                connection.execute(delete(account_session).where(over))
                row = {
                    "key": key,
                    "account": account,
                    "person": _written(person),
                    "began": now,
                    "seen": now,
                    "until": now + self.longest,
                }
                connection.execute(insert(account_session), row)
                return now

        return Session(key, person, secret, retried(write))

    def find(self, secret: str) -> Session | None:
        """Return the session of a secret, and note that it is used; None where it is over."""
        key = _key(secret)
        with self.database.read() as connection:
            now = self.database.milliseconds(connection)
            row = connection.execute(select(account_session).where(_S.key == key)).one_or_none()
        if row is None or row.until <= now or row.seen <= now - self.idle:
            return None
        if row.seen <= now - min(_NOTED, self.idle // 4):
            with self.database.write() as connection:
                connection.execute(update(account_session).where(_S.key == key).values(seen=now))
        return Session(key, _read(row.person), secret, now)

    def note_emergency(self, session: Session, emergency: Emergency) -> None:
        """Note that somebody has broken the glass, for the rest of a session."""
        others = (e for e in session.person.emergencies if e.patient != emergency.patient)
        person = replace(session.person, emergencies=(*others, emergency))
        changed = update(account_session).where(_S.key == session.key)
        with self.database.write() as connection:
            connection.execute(changed.values(person=_written(person)))

    def end(self, session: Session) -> None:
        """End a session."""
        with self.database.write() as connection:
            connection.execute(delete(account_session).where(_S.key == session.key))


def _key(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


# --- a person as JSON ----------------------------------------------------------------------------


def _written(person: Person) -> str:
    user = {one.name: _plain(getattr(person.user, one.name)) for one in fields(User)}
    return json.dumps(
        {
            "user": user,
            "roles": person.roles,
            "way": person.way,
            "patients": person.patients,
            "emergencies": [[e.patient, e.reason, e.until] for e in person.emergencies],
            "id_token": person.id_token,
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Code):
        return [value.code, value.coding_scheme, value.display_name]
    if isinstance(value, frozenset):
        return sorted(value)
    return list(map(_plain, value)) if isinstance(value, tuple) else value


def _read(text: str) -> Person:
    found: Mapping[str, Any] = json.loads(text)
    told = {name: _value(name, value) for name, value in found["user"].items()}
    return Person(
        user=User(**told),
        roles=tuple(found["roles"]),
        way=found["way"],
        patients=tuple(found["patients"]),
        emergencies=tuple(Emergency(*one) for one in found["emergencies"]),
        id_token=found.get("id_token", ""),
    )


def _value(name: str, value: Any) -> Any:
    if name in _CODES:
        return tuple(Code(*one) for one in value)
    if name == "scopes":
        return frozenset(value)
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
