"""People whom others vouch for: a provider of identities by claims, or a proxy by headers."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import unquote

from xds.accounts.roles import ConsoleRole
from xds.accounts.sessions import Person
from xds.errors import FailureKind
from xds.metadata.datatypes import CX
from xds.security.caller import User
from xds.security.texts import UnacceptableText

_SEPARATOR: Final = ";"
EVERYBODY: Final = "*"
"""In place of a patient: the person is not limited to any."""
_MOST: Final = 100
"""Patients of one person."""


class NotVouched(Exception):
    """What is said of a person does not let them in; the text says why, and quotes nothing."""

    failure_kind = FailureKind.REFUSED


@dataclass(frozen=True, slots=True)
class RoleTable:
    """Which groups of others give which role of the console."""

    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By role."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``role=group``, several groups separated by ``;``; ValueError for another role."""
        known = [one.value for one in ConsoleRole]
        found: dict[str, frozenset[str]] = {}
        for part in shlex.split(text):
            role, _, groups = part.partition("=")
            if role not in known:
                raise ValueError(f"{role}: the roles are {', '.join(known)}")
            named = frozenset(filter(None, (one.strip() for one in groups.split(_SEPARATOR))))
            if not named:
                raise ValueError(f"{role}: no group is named")
            found[role] = named
        return cls(found)

    def roles(self, groups: Iterable[str]) -> tuple[str, ...]:
        """Return the roles of somebody of some groups; NotVouched where they have none."""
        held = set(groups)
        found = tuple(role for role, named in self.groups.items() if not named.isdisjoint(held))
        if not found:
            raise NotVouched("none of the person's groups has a role here (console_roles)")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimNames:
    """Which claims say what of a person."""

    groups: str
    patients: str = ""
    """Empty where nobody is limited to patients by a claim."""

    @property
    def wanted(self) -> Sequence[str]:
        """The claims that are to be asked for, by their first names."""
        return [one.lstrip("/").partition("/")[0] for one in (self.groups, self.patients) if one]


def person_of_claims(claims: Mapping[str, Any], names: ClaimNames, table: RoleTable) -> Person:
    """Return the person that a provider's claims are of; NotVouched where they are not let in."""
    user = _user(claims["sub"], claims["iss"], _shown(claims))
    roles = table.roles(_texts(_value(claims, names.groups)))
    patients = _patients(_texts(_value(claims, names.patients))) if names.patients else ()
    return _person(user, roles, patients, "openid")


def user_of_claims(claims: Mapping[str, Any]) -> User | None:
    """Return whom claims are of, for a record; None where that cannot be kept."""
    try:
        return _user(claims["sub"], claims["iss"], _shown(claims))
    except NotVouched:
        return None


def person_of_headers(
    name: str, groups: str, patients: str | None, issuer: str, table: RoleTable
) -> Person:
    """Return the person that a proxy tells of: groups and patients are separated by commas.

    In all of them a character may be percent-encoded, as it has to be where it is not of ASCII.
    ``patients`` is None where nobody is limited to patients. NotVouched.
    """
    user = _user(unquote(name.strip()), issuer, "")
    roles = table.roles(_parts(groups))
    limit = () if patients is None else _patients(_parts(patients))
    return _person(user, roles, limit, "proxy")


def _parts(text: str) -> list[str]:
    return [unquote(one.strip()) for one in text.split(",")]


def _person(user: User, roles: tuple[str, ...], patients: tuple[str, ...], way: str) -> Person:
    try:
        limited = replace(user, resource_ids=patients, patients=patients)
    except UnacceptableText as error:
        raise NotVouched(f"a patient of the person cannot be kept: {error}") from None
    return Person(user=limited, roles=roles, way=way, patients=patients)


def _user(name: str, issuer: str, shown: str) -> User:
    try:
        return User(name_id=name, issuer=issuer, subject_id=shown)
    except UnacceptableText as error:
        raise NotVouched(f"the person's name cannot be kept: {error}") from None


def _shown(claims: Mapping[str, Any]) -> str:
    told = (claims.get(name) for name in ("name", "preferred_username", "email"))
    return next((one.strip() for one in told if isinstance(one, str) and one.strip()), "")


def _value(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; a name that begins with a slash is a JSON Pointer (RFC 6901)."""
    if not name.startswith("/"):
        return claims.get(name)
    found: Any = claims
    for part in name[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _texts(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    return [one.strip() for one in listed if isinstance(one, str) and one.strip()]


def _patients(texts: Sequence[str]) -> tuple[str, ...]:
    """Read the patients that somebody is limited to, none where they are not; NotVouched."""
    told = [one for one in texts if one]
    if not told:
        raise NotVouched("nothing says which patients the person may see")
    if EVERYBODY in told:
        return ()
    if len(told) > _MOST:
        raise NotVouched(f"the person has more than {_MOST} patients")
    try:
        found = [CX.parse(one) for one in told]
    except ValueError:
        raise NotVouched("a patient of the person is no CX") from None
    return tuple(dict.fromkeys(map(str, found)))
