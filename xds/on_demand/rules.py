"""Rules by which documents are registered to be made on demand: of which, and in which form.

    [[on_demand]]
    form = "pdf"
    rule = [{ type_code = ["11502-2^^2.16.840.1.113883.6.1"], mime_type = ["text/xml"] }]

    [on_demand.entry]               # of the On-Demand entries, in place of what the document has
    class_code = "34109-9^^2.16.840.1.113883.6.1^^Note"
    title = "Report to print"

A document is chosen by one of its ``rule`` tables (:mod:`xds.metadata.entry_rules`); without any,
every document is that can be had in the form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from xds.metadata import entry_rules
from xds.metadata.criteria import ANYTHING, Criterion, any_of, evaluate
from xds.metadata.entry_rules import BadRule as BadRule
from xds.metadata.objects import Code, DocumentEntry

_KEYS: Final = ("form", "rule", "entry")
_CODES: Final = (
    "class_code",
    "confidentiality_code",
    "healthcare_facility_type_code",
    "practice_setting_code",
    "type_code",
)
_OF_ENTRIES: Final = (*_CODES, "title")


@dataclass(frozen=True, slots=True)
class OnDemandRule:
    """One rule."""

    form: str
    criterion: Criterion = ANYTHING
    entry: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of On-Demand entries, in place of those of the document."""

    def chooses(self, entry: DocumentEntry) -> bool:
        """Tell whether it is about a document."""
        return evaluate(self.criterion, entry)


def rule_of(table: object, forms: Mapping[str, object]) -> OnDemandRule:
    """Read a rule, whose form is one of ``forms``; BadRule."""
    if not isinstance(table, Mapping):
        raise BadRule("it is a table")
    if unknown := sorted(table.keys() - set(_KEYS)):
        raise BadRule(f"there is no key {unknown[0]}; known are {', '.join(_KEYS)}")
    form = table.get("form")
    if form not in forms:
        raise BadRule(f"form is one of {', '.join(forms)}")
    rules = table.get("rule", [{}])
    if not isinstance(rules, list) or not all(isinstance(one, Mapping) for one in rules):
        raise BadRule("rule holds tables")
    listed: list[Mapping[str, Any]] = rules
    attributes = dict(_attributes(table.get("entry", {})))
    return OnDemandRule(str(form), any_of(map(entry_rules.criterion_of, listed)), attributes)


def _attributes(table: object) -> Iterator[tuple[str, Any]]:
    if not isinstance(table, Mapping):
        raise BadRule("entry is a table")
    for key, value in table.items():
        if key not in _OF_ENTRIES:
            raise BadRule(f"entry: there is no key {key}; known are {', '.join(_OF_ENTRIES)}")
        if not isinstance(value, str) or not value.strip():
            raise BadRule(f"entry: {key} is a text")
        if key == "title":
            yield key, value
            continue
        code, _, rest = value.partition("^^")
        scheme, _, display = rest.partition("^^")
        if not (code and scheme):
            raise BadRule(f"entry: {key} is of the form code^^codingScheme^^display name")
        found = Code(code, scheme, display)
        yield key, (found,) if key == "confidentiality_code" else found
