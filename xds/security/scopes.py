"""The scopes of a token, and the interactions that they grant.

Two vocabularies are understood. IUA's scopes are the names of transactions, ``ITI-67`` (ITI TF-2
3.72). SMART's name a resource type and what may be done with it: ``system/DocumentReference.rs``
in version 2, with letters of ``cruds`` in that order, ``system/DocumentReference.read`` in version
1 (SMART App Launch 2.2, scopes and launch context).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

PATIENT: Final = "patient"
CONTEXTS: Final = (PATIENT, "user", "system")

_SCOPE: Final = re.compile(r"(patient|user|system)/([A-Z][A-Za-z]*|\*)\.(read|write|\*|c?r?u?d?s?)")
_VERSION_1: Final[Mapping[str, str]] = {"read": "rs", "write": "cud", "*": "cruds"}


class Permission(NamedTuple):
    """One thing that may be done with one resource type."""

    resource_type: str
    letter: str
    """``c`` create, ``r`` read, ``u`` update, ``d`` delete, ``s`` search."""


def permissions(**letters: str) -> frozenset[Permission]:
    """Return the permissions of some letters for each of some resource types."""
    return frozenset(Permission(name, one) for name, which in letters.items() for one in which)


@dataclass(frozen=True, slots=True)
class ScopeGrant:
    """What the scopes of a token grant of one interaction."""

    granted: bool
    of_patient: bool = False
    """Whether it is granted for the patient of the token alone: by ``patient/`` scopes."""


_REFUSED: Final = ScopeGrant(granted=False)


@lru_cache(1000)
def grant(scopes: frozenset[str], transaction: str, needed: frozenset[Permission]) -> ScopeGrant:
    """Decide by the scopes of a token.

    All transactions (``ITI-66, ITI-67``) have to be named, or all permissions granted. A scope that
    is malformed, or that has conditions (``?category=…``), grants nothing: they are not enforced.
    """
    if set(transaction.split(", ")).issubset(scopes):
        return ScopeGrant(granted=True)
    given = set(_given(scopes))
    everywhere = {one for context, one in given if context != PATIENT}
    of_patient = {one for context, one in given if context == PATIENT}
    if not needed or not _covers(everywhere | of_patient, needed):
        return _REFUSED
    return ScopeGrant(granted=True, of_patient=not _covers(everywhere, needed))


def _given(scopes: Iterable[str]) -> Iterator[tuple[str, Permission]]:
    for scope in scopes:
        if match := _SCOPE.fullmatch(scope):
            context, resource_type, what = match.groups()
            for letter in _VERSION_1.get(what, what):
                yield context, Permission(resource_type, letter)


def _covers(given: Set[Permission], needed: Iterable[Permission]) -> bool:
    return all(one in given or Permission("*", one.letter) in given for one in needed)


def as_scopes(needed: Iterable[Permission], context: str = "system") -> list[str]:
    """Return the scopes of version 2 that grant just this, by resource type."""
    letters: dict[str, set[str]] = {}
    for one in needed:
        letters.setdefault(one.resource_type, set()).add(one.letter)
    return [
        f"{context}/{name}.{''.join(one for one in 'cruds' if one in which)}"
        for name, which in sorted(letters.items())
    ]


def supported(transactions: Iterable[str], needed: Iterable[Permission]) -> list[str]:
    """Return every scope that has a meaning for some interactions, IUA's first, no wildcards."""
    named = sorted(transactions, key=lambda name: (name.rpartition("-")[0], len(name), name))
    needed = frozenset(needed)
    return [*named, *(scope for context in CONTEXTS for scope in as_scopes(needed, context))]
