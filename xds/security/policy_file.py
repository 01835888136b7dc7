"""The policy as a file: TOML with a table ``[[rule]]`` for each rule (docs/policy.md).

Whatever is wrong with a file is said at once, a line for each thing with the line of its rule.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from xds.metadata.systems import Systems
from xds.security.policy import FEEDS, TRANSACTIONS, AccessPolicy, PolicyRule

_OID_URN: Final = "urn:oid:"
_HEADING: Final = re.compile(r"[ \t]*\[\[[ \t]*rule[ \t]*\]\]")
_ATTRIBUTES: Final = (
    "class_code",
    "type_code",
    "format_code",
    "confidentiality_code",
    "event_code_list",
    "practice_setting_code",
    "healthcare_facility_type_code",
)
"""What a rule can say of documents."""


class PolicyError(ValueError):
    """A policy cannot be used; the text has a line for each thing that is wrong."""


def _check_code(text: str) -> str:
    if not all(text.partition("^^")):
        raise ValueError(f"{text} is not of the form code^^codingScheme")
    return text


def _canonical(text: str, systems: Systems) -> str:
    code, _, scheme = text.rpartition("^^")
    return f"{code}^^{systems.canonical(scheme)}"


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]
Codes = Annotated[tuple[Annotated[str, AfterValidator(_check_code)], ...], Field(min_length=1)]
"""Those of documents are as metadata has them: compared letter by letter."""


class _Written(BaseModel):
    """A rule as it stands in a file; those keys in camel case are attributes of the TF."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, populate_by_name=False)

    name: Name
    decision: Literal["permit", "deny"]
    transactions: Names | None = None
    roles: Codes | None = None
    organizations: Names | None = None
    purposes: Codes | None = None
    scopes: Names | None = None
    nodes: Names | None = None
    user: Literal["authenticated", "none"] | None = None
    patient: Literal["own", "any"] = "any"
    break_glass: bool = Field(False, strict=True)
    class_code: Codes | None = Field(None, alias="classCode")
    type_code: Codes | None = Field(None, alias="typeCode")
    format_code: Codes | None = Field(None, alias="formatCode")
    confidentiality_code: Codes | None = Field(None, alias="confidentialityCode")
    event_code_list: Codes | None = Field(None, alias="eventCodeList")
    practice_setting_code: Codes | None = Field(None, alias="practiceSettingCode")
    healthcare_facility_type_code: Codes | None = Field(None, alias="healthcareFacilityTypeCode")

    @field_validator("transactions")
    @classmethod
    def _check_transactions(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if unknown := [name for name in names or () if name not in TRANSACTIONS]:
            known = ", ".join(TRANSACTIONS)
            raise ValueError(f"{', '.join(unknown)}: not answered here; there are {known}")
        return names

    @model_validator(mode="after")
    def _check_whole(self) -> Self:
        about_user = (self.roles, self.organizations, self.purposes, self.scopes)
        if self.user == "none" and (any(about_user) or self.patient == "own"):
            raise ValueError('user = "none" stands beside what only a user has')
        if self.break_glass and not (self.decision == "permit" and self.purposes):
            raise ValueError("break_glass is for a permit that names the purposes of an emergency")
        about_documents = self.patient == "own" or any(self._codes())
        if about_documents and self.transactions and not set(self.transactions) - set(FEEDS):
            raise ValueError("a patient feed carries no documents, and nobody's own patient")
        return self

    def _codes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for attribute in _ATTRIBUTES:
            if codes := getattr(self, attribute):
                yield attribute, codes

    def rule(self, systems: Systems) -> PolicyRule:
        """Return the rule; systems of roles and purposes may have any of their names."""
        return PolicyRule(
            name=self.name,
            permits=self.decision == "permit",
            transactions=frozenset(self.transactions or ()),
            roles=frozenset(_canonical(one, systems) for one in self.roles or ()),
            organizations=frozenset(one.removeprefix(_OID_URN) for one in self.organizations or ()),
            purposes=frozenset(_canonical(one, systems) for one in self.purposes or ()),
            scopes=frozenset(self.scopes or ()),
            nodes=frozenset(self.nodes or ()),
            authenticated=None if self.user is None else self.user == "authenticated",
            own_patient=self.patient == "own",
            codes=dict(self._codes()),
            break_glass=self.break_glass,
        )


_KEYS: Final = tuple(
    to_camel(name) if name in _ATTRIBUTES else name for name in _Written.model_fields
)
_MESSAGES: Final = {
    "extra_forbidden": f"there is no such key; there are {', '.join(_KEYS)}",
    "missing": "is required",
    "tuple_type": "a list is wanted, in [ ]",
    "too_short": "an empty list is met by nobody; leave the key out to ask for nothing",
    "string_type": "a text is wanted, in quotation marks",
    "string_too_short": "an empty text is of no use",
    "bool_type": "true or false is wanted",
    "literal_error": "is one of {expected}",
}


def read(content: bytes, systems: Systems) -> AccessPolicy:
    """Read the content of a policy file; PolicyError with everything that is wrong with it.

    ``systems`` knows the code systems of roles and purposes by all their names.
    """
    try:
        text = content.decode()
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"it is not TOML: {error}") from None
    if unknown := sorted(table.keys() - {"rule"}):
        raise PolicyError(f"{unknown[0]}: there are rules in a policy and nothing else, [[rule]]")
    given = table.get("rule")
    if not given or not isinstance(given, list):
        raise PolicyError("there is no [[rule]], so that everything would be denied")
    places = _places(text, len(given))
    written = [_written(one, place) for one, place in zip(given, places, strict=True)]
    problems = [line for one in written if isinstance(one, list) for line in one]
    rules = [one.rule(systems) for one in written if isinstance(one, _Written)]
    for name, times in Counter(rule.name for rule in rules).items():
        if times > 1:
            problems.append(f'{times} rules are called "{name}", and the log could not tell them')
    if problems:
        raise PolicyError("\n".join(problems))
    return AccessPolicy(tuple(rules))


def _places(text: str, rules: int) -> list[str]:
    """Name the rules by the lines of their headings; by their numbers where those stand apart."""
    lines = [i for i, line in enumerate(text.splitlines(), 1) if _HEADING.match(line)]
    if len(lines) != rules:
        return [f"rule {i}" for i in range(1, rules + 1)]
    return [f"line {i}" for i in lines]


def _written(table: Any, place: str) -> _Written | list[str]:
    if not isinstance(table, dict):
        return [f"{place}: a rule is a table"]
    name = table.get("name")
    called = f'{place}, rule "{name}"' if isinstance(name, str) and name else place
    try:
        return _Written.model_validate(table)
    except ValidationError as error:
        return list(dict.fromkeys(f"{called}: {_said(one)}" for one in error.errors()))


def _said(problem: Mapping[str, Any]) -> str:
    message = _MESSAGES.get(problem["type"], problem["msg"]).format(**problem.get("ctx", {}))
    message = message.removeprefix("Value error, ")
    key = str(problem["loc"][0]) if problem["loc"] else ""
    joined = " " if problem["type"] in ("missing", "literal_error") else ": "
    return f"{key}{joined}{message}" if key else message
