"""Configuration: the options with where they come from, and what the files that they name say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.visits import Answer, PageContent, Visit
from xds.messaging.flavours.reading import FlavourError, read_flavours
from xds.messaging.flavours.table import FlavourRow
from xds.metadata.code_sets import SCHEMES
from xds.metadata.systems import System, Systems
from xds.security.policy import PolicyRule
from xds.security.policy_interceptor import PolicyInterceptor

READERS: Final = frozenset({ConsoleRole.INTEGRATION, ConsoleRole.OPERATOR})
_MOST_CODES: Final = 200
"""Codes of one attribute that are shown."""


@dataclass(frozen=True, slots=True)
class ShownCodeSet:
    """The codes that an attribute may have."""

    attribute: str
    number: int
    codes: Sequence[str]


@dataclass(frozen=True, slots=True)
class ShownRule:
    """A rule of the policy: what it asks for, and what it decides."""

    name: str
    decision: str
    asked: Sequence[tuple[str, str]]


def show(visit: Visit) -> Answer:
    """Show the configuration; nothing of it can be changed here."""
    options = visit.console.config.options()
    problem, flavours = _flavours(visit)
    return PageContent(
        {
            "sections": [
                (title, list(members)) for title, members in groupby(options, lambda o: o.section)
            ],
            "code_sets": list(_code_sets(visit)),
            "mime_types": sorted(_mime_types(visit) or ()),
            "codes_from": _from(visit, "code_sets"),
            "systems": list(_systems(visit)),
            "flavours": flavours,
            "flavour_problem": problem,
            "rules": [_rule(one) for one in _rules(visit)],
            "has_policy": visit.console.config.policy is not None,
            "sees_unknown": visit.has(ConsoleRole.INTEGRATION),
        }
    )


def _code_sets(visit: Visit) -> Iterator[ShownCodeSet]:
    if visit.domain.registry_here is None:
        return
    codes = visit.domain.registry_here.policy.code_sets.codes
    for attribute, schemes in SCHEMES.items():
        allowed = {one for scheme in schemes for one in codes.get(scheme, ())}
        if any(scheme in codes for scheme in schemes):
            texts = sorted(f"{code}^^{scheme}" for code, scheme in allowed)
            yield ShownCodeSet(attribute, len(texts), texts[:_MOST_CODES])


def _mime_types(visit: Visit) -> frozenset[str] | None:
    registry = visit.domain.registry_here
    return None if registry is None else registry.policy.code_sets.mime_types


def _systems(visit: Visit) -> Iterator[tuple[System, str]]:
    """Yield each system, and where its row is from."""
    shipped = set(Systems.read().rows)
    given = _from(visit, "identifier_systems")
    for row in visit.domain.systems.rows:
        yield row, "shipped" if row in shipped else given


def _from(visit: Visit, name: str) -> str:
    """Return which file an option names, and where the option is from."""
    option = next(one for one in visit.console.config.options() if one.name == name)
    return f"{option.shown}, by the option {name} ({option.source})"


def _flavours(visit: Visit) -> tuple[str, Sequence[tuple[FlavourRow, str]]]:
    """Return the flavours as `xds flavours` lists them, or why they cannot be read by now."""
    try:
        rows = read_flavours(visit.console.config.flavours).rows
    except FlavourError as error:
        return str(error), ()
    return "", [(row, "; ".join(map(str, row.matches))) for row in rows]


def _rules(visit: Visit) -> Sequence[PolicyRule]:
    """Return the rules in force: those of the start, whatever the file says by now."""
    for one in visit.domain.interceptors.interceptors:
        if isinstance(one, PolicyInterceptor):
            return one.policy.rules
    return ()


def _rule(rule: PolicyRule) -> ShownRule:
    asked = []
    for field in fields(PolicyRule):
        value = getattr(rule, field.name)
        if field.name in ("name", "permits") or value in (None, False, frozenset()):
            continue
        if field.name == "codes":
            asked += [(name, ", ".join(codes)) for name, codes in value.items()]
        else:
            text = ", ".join(sorted(value)) if isinstance(value, frozenset) else "yes"
            asked.append((field.name, text))
    if rule.authenticated is False:
        asked.append(("authenticated", "no"))
    return ShownRule(rule.name, "permit" if rule.permits else "deny", asked)
