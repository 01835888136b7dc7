"""Rules that choose DocumentEntries: a table of a TOML file becomes a Criterion.

All keys of a rule have to hold, of a key one of its values::

    type_code = ["1054161000000101^^2.16.840.1.113883.6.96"]
    any = [{ mime_type = ["application/pdf"] }, { event_code = ["M1.1^^*"] }]
    not = { confidentiality_code = ["V^^2.16.840.1.113883.5.25"] }
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from xds.metadata.criteria import (
    ANYTHING,
    Comparison,
    Criterion,
    Operator,
    all_of,
    any_of,
    equal,
    negated,
)
from xds.metadata.objects import DocumentEntry
from xds.metadata.searched import Searched

Further = Mapping[str, Callable[[str], Criterion]]
"""Keys that a rule may have beside those of metadata, with what each value of them demands."""

NO_FURTHER: Final[Further] = {}
_NAMES: Final[Mapping[str, str]] = {
    "class_code": "class_code",
    "type_code": "type_code",
    "format_code": "format_code",
    "confidentiality_code": "confidentiality_code",
    "event_code": "event_code_list",
    "practice_setting_code": "practice_setting_code",
    "healthcare_facility_type_code": "healthcare_facility_type_code",
    "mime_type": "mime_type",
    "patient_id": "patient_id",
    "author_institution": "author_institution",
    "author_person": "author",
    "reference_id": "reference_id_list",
    "title": "title",
}
_TEXTS: Final = frozenset({"author_institution", "author", "title", "reference_id_list"})
"""Attributes of which a value is a pattern: * stands for any characters."""
KNOWN: Final = (*_NAMES, "created_since", "any", "not")
"""The keys of a rule."""


class BadRule(ValueError):
    """A rule cannot be used; the sentence says why."""


def criterion_of(table: Mapping[str, Any], further: Further = NO_FURTHER) -> Criterion:
    """Return the criterion that a rule says; BadRule."""
    return all_of(_criteria(table, further)) if table else ANYTHING


def _criteria(table: Mapping[str, Any], further: Further) -> Iterator[Criterion]:
    for key, value in table.items():
        match key:
            case "any":
                yield any_of(criterion_of(one, further) for one in _tables(key, value))
            case "not":
                yield negated(criterion_of(_tables(key, [value])[0], further))
            case "created_since":
                yield Comparison("creation_time", Operator.FROM, (_time(key, value),))
            case _ if key in further:
                yield any_of(map(further[key], _texts(key, value)))
            case _ if key in _NAMES:
                yield any_of(_of_metadata(key, one) for one in _texts(key, value))
            case _:
                raise BadRule(f"rule: unknown key {key}; known are {', '.join((*KNOWN, *further))}")


def _tables(key: str, value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise BadRule(f"rule: {key} holds tables of the same keys")
    return value


def _texts(key: str, value: Any) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        raise BadRule(f"rule: {key} is a text or a list of texts")
    return texts


def _time(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.isdecimal() or len(value) % 2 or len(value) > 14:
        raise BadRule(f"rule: {key} is a DTM such as 20260101")
    return value


def _of_metadata(key: str, value: str) -> Criterion:
    attribute = _NAMES[key]
    if attribute in _TEXTS or "*" in value:
        return Comparison(attribute, Operator.LIKE, (pattern(value),))
    if DocumentEntry.searched_as(attribute) is Searched.CODE and "^^" not in value:
        raise BadRule(f"rule: {key}: {value} is not of the form code^^codingScheme")
    return equal(attribute, [value])


def pattern(value: str) -> str:
    """Return the pattern of a text in which * stands for any characters."""
    wild = value.translate({ord(sign): f"\\{sign}" for sign in "\\%_"})
    return wild.replace("*", "%")
