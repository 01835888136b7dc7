"""Stored query parameters: how they are declared, and how a Slot's text becomes values.

Syntax (ITI TF-2 3.18.4.1.2.3.5): ``'text'`` with quotes doubled, a bare number or time, or a list
of these in parentheses; several Values of a Slot are one list (OR), a repeated Slot is one more
condition (AND) where the parameter admits that.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSRegistryError,
    XDSStoredQueryMissingParam,
    XDSStoredQueryParamNumber,
)
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.criteria import (
    And,
    Comparison,
    Criterion,
    Not,
    Operator,
    Or,
    given,
)
from xds.metadata.ebrim import Slot
from xds.metadata.white_space import trimmed, trimmed_value
from xds.registry.tables import searchable

Groups = tuple[tuple[str, ...], ...]
"""The values of a parameter: AND of groups, OR within a group."""


@dataclass(frozen=True, slots=True)
class ParameterKind:
    """How one value of a parameter is written and checked."""

    name: str
    quoted: bool
    """Whether the value must stand in quotes; a bare one may be a number or time only."""
    check: Callable[[str], object] | None = None
    known: frozenset[str] | None = None
    """Where given, any other value counts as absent (ITI TF-2 3.18.4.1.2.3.6.1)."""
    trim: Callable[[str], str] = trimmed_value
    """Takes the white space off a value, as it is off what is stored."""


def _check_code(text: str) -> None:
    code, separator, scheme = text.partition("^^")
    if not (code and separator and scheme):
        raise ValueError("not of the form code^^codingScheme")


def _check_level(text: str) -> None:
    if text not in ("1", "2"):
        raise ValueError("neither 1 nor 2")


def _trimmed_code(text: str) -> str:
    return "^^".join(map(trimmed, text.split("^^")))


TEXT: Final = ParameterKind("text", quoted=True)
CODE: Final = ParameterKind("code", quoted=True, check=_check_code, trim=_trimmed_code)
PATTERN: Final = ParameterKind("LIKE pattern", quoted=True)
TIME: Final = ParameterKind("time", quoted=False, check=datatypes.DATA_TYPES["DTM"])
STATUS: Final = ParameterKind("status", quoted=True, known=frozenset({v.APPROVED, v.DEPRECATED}))
LEVEL: Final = ParameterKind("metadata level", quoted=False, check=_check_level)
AVAILABILITY: Final = ParameterKind(
    "document availability", quoted=True, known=frozenset({v.ONLINE, v.OFFLINE})
)
ENTRY_TYPE: Final = ParameterKind(
    "DocumentEntry type",
    quoted=True,
    known=frozenset({v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One row of a query's table of parameters (ITI TF-2 3.18.4.1.2.3.7)."""

    name: str
    attribute: str = ""
    """The declared attribute, and so the column, that it looks at."""
    kind: ParameterKind = TEXT
    operator: Operator | None = Operator.EQUAL
    """How values are compared; None where the query's own step takes them."""
    required: bool = False
    multiple: bool = False
    conjunctive: bool = False
    """Whether the Slot may be repeated, for AND."""
    default: Groups = field(default=())
    counts_as: str = ""
    """The value that an object without the attribute counts as having."""
    of_updates: bool = False
    """Whether it is one of the Document Metadata Update option, and unknown without it."""

    def criterion(self, group: Sequence[str]) -> Criterion:
        """Return what an object has to meet for one group of values.

        A time that is absent is within any bounds (ITI TF-2 3.18.4.1.2.3.7.1).
        """
        assert self.operator is not None, "the step takes its values"
        values = tuple(group)
        if self.operator is Operator.LIKE:
            # IHE defines no escape character, so a backslash in a pattern means itself
            values = tuple(pattern.replace("\\", "\\\\") for pattern in values)
        criterion = Comparison(self.attribute, self.operator, values)
        if self.kind is TIME or (self.counts_as and self.counts_as in group):
            return Or(criterion, Not(given(self.attribute)))
        return criterion


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a request gave for the parameters of one query."""

    values: Mapping[str, Groups]

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def groups(self, name: str) -> Groups:
        """Return the groups of a parameter, none when it was not given."""
        return self.values.get(name, ())

    def all(self, name: str) -> tuple[str, ...]:
        """Return the values of a parameter that is given once at most."""
        return tuple(value for group in self.groups(name) for value in group)


def criterion_of(parameters: Iterable[Parameter], arguments: Arguments) -> Criterion:
    """Return what an object has to meet for each group of each parameter that is given."""
    return And(
        *(
            parameter.criterion(group)
            for parameter in parameters
            if parameter.operator is not None and parameter.name in arguments.values
            for group in arguments.values[parameter.name]
        )
    )


# --- the tokenizer -------------------------------------------------------------------------------

_ITEM: Final = re.compile(r"\s*(?:'((?:[^']|'')*)'|([0-9]+))\s*")
_MOST_VALUES: Final = 10_000
_DOUBLED: Final = "an apostrophe within a text is written twice, as in 'O''Brien'"


def items(text: str) -> list[tuple[str, bool]]:
    """Cut one Value into (value, was it quoted); ValueError where it is malformed."""
    body = text.strip()
    listed = body.startswith("(")
    if listed:
        if not body.endswith(")"):
            raise ValueError("the list lacks its closing parenthesis")
        body = body[1:-1]
    found: list[tuple[str, bool]] = []
    position = 0
    while True:
        match = _ITEM.match(body, position)
        if match is None:
            raise ValueError(f"neither a number nor a text in single quotes ({_DOUBLED})")
        quoted = match[1] is not None
        found.append((match[1].replace("''", "'") if quoted else match[2], quoted))
        position = match.end()
        if position == len(body):
            break
        if not listed or body[position] != ",":
            raise ValueError(_not_a_comma(body[position - 1], body[position]))
        position += 1
    return found


def _not_a_comma(before: str, found: str) -> str:
    """Say what is wrong where after a value something else than a comma stands."""
    if before == "'" and found != ",":
        return f"more follows after the closing quote of a text: {_DOUBLED}"
    return "the values of a list stand in parentheses with commas between"


def _group(parameter: Parameter, slot: Slot) -> tuple[str, ...]:
    kind = parameter.kind
    values: dict[str, None] = {}
    for text in slot.values:
        for item, quoted in items(text):
            if kind.quoted and not quoted:
                raise ValueError("the value must stand in single quotes")
            value = kind.trim(item)
            if kind.check is not None:
                kind.check(value)
            values[searchable(value)] = None
    if not values:
        raise ValueError("there is no Value")
    if len(values) > _MOST_VALUES:
        raise ValueError(f"more than {_MOST_VALUES} values")
    return tuple(values)


# --- decoding ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Parameters of which exactly one is given, or at least one where more are admitted."""

    names: tuple[str, ...]
    exclusive: bool = True


def decode(
    slots: Sequence[Slot],
    parameters: Iterable[Parameter],
    alternatives: Alternatives | None = None,
) -> Arguments:
    """Decode a query's Slots; TransactionFailure with all errors.

    Unknown ones are passed over (ebRS 6.3.2.1), which :func:`passed_over` tells of.
    """
    errors: list[RegistryError] = []
    values: dict[str, Groups] = {}
    by_name: dict[str, list[Slot]] = {}
    for slot in slots:
        by_name.setdefault(slot.name, []).append(slot)
    for parameter in parameters:
        given = by_name.get(parameter.name, ())
        try:
            groups = _decoded(parameter, given) if given else ()
        except RegistryError as error:
            errors.append(error)
            continue
        if groups or parameter.default:
            values[parameter.name] = groups or parameter.default
        elif parameter.required:
            reason = _missing(parameter, is_given=bool(given))
            errors.append(XDSStoredQueryMissingParam(reason, attribute=parameter.name))
    if alternatives is not None and not errors:
        errors.extend(_unlike(alternatives, values))
    if errors:
        raise TransactionFailure(errors)
    return Arguments(values)


def passed_over(slots: Iterable[Slot], parameters: Iterable[Parameter]) -> list[RegistryError]:
    """Return a warning for each Slot that is no parameter of the query.

    A misspelt filter would else widen the result without a word.
    """
    known = [parameter.name for parameter in parameters]
    return [
        XDSRegistryError(
            f"{name} is no parameter of this query and was passed over", attribute=name
        ).as_warning()
        for name in dict.fromkeys(slot.name for slot in slots)
        if name not in known
    ]


def _missing(parameter: Parameter, *, is_given: bool) -> str:
    if not is_given or parameter.kind.known is None:
        return f"{parameter.name} is required"
    known = ", ".join(sorted(parameter.kind.known))
    return f"{parameter.name} is required: what is given is no known value; known are {known}"


def _decoded(parameter: Parameter, given: Sequence[Slot]) -> Groups:
    if len(given) > 1 and not parameter.conjunctive:
        reason = f"{parameter.name} may stand once, stands {len(given)} times"
        raise XDSStoredQueryParamNumber(reason, attribute=parameter.name)
    groups = []
    for slot in given:
        try:
            group = _group(parameter, slot)
        except ValueError as reason:
            raise XDSRegistryError(
                f"{parameter.name}: {reason}", attribute=parameter.name
            ) from None
        if len(group) > 1 and not parameter.multiple:
            raise XDSStoredQueryParamNumber(
                f"{parameter.name} takes one value", attribute=parameter.name
            )
        if parameter.kind.known is not None:
            group = tuple(value for value in group if value in parameter.kind.known)
        if group:
            groups.append(group)
    return tuple(groups)


def _unlike(alternatives: Alternatives, values: Mapping[str, Groups]) -> list[RegistryError]:
    given = [name for name in alternatives.names if name in values]
    names = ", ".join(alternatives.names)
    if not given:
        return [XDSStoredQueryMissingParam(f"one of {names} is required", attribute=names)]
    if len(given) > 1 and alternatives.exclusive:
        return [XDSStoredQueryParamNumber(f"only one of {names} may be given", attribute=names)]
    return []
