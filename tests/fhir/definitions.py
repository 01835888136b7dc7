"""Writes ``xds/fhir/r4/elements.txt`` from the R4 definitions in the npm package ``fhir``.

    python -m tests.fhir.definitions > xds/fhir/r4/elements.txt

The package was chosen because its tables are those of R4 as published: other copies of the
definitions have had elements of R5 and of their makers added. What it has lost is added here.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tests.fhir.node import node_packages

HEAD: Final = """\
# The elements of HL7 FHIR R4 (4.0.1): made by tests/fhir/definitions.py, not by hand.
#
#   = set: code code            the codes of a required binding
#   Type: BaseType              followed by its own elements, in their order
#    name type [min..max] [set] 0..1 where no cardinality stands; name[x] is a choice of types,
#                               @name an attribute in the XML form
"""

BASES: Final = ("Element", "BackboneElement", "Resource", "DomainResource")
# Profiles of Quantity, and a pattern: not types of their own (R4, 2.24.0)
LEFT_OUT: Final = ("MoneyQuantity", "SimpleQuantity", "MetadataResource")

# What the XML form has as attributes, with the types that R4 gives them in its text (2.24.0.1).
ATTRIBUTES: Final = {("Element", "id"): "string", ("Extension", "url"): "uri"}

# Elements that the package lacks, since each has its content from an element of the same name:
# the element, the one it stands before, its line.
LACKING: Final = (
    ("ClaimResponse", "total", "adjudication ClaimResponse.item.adjudication 0..*"),
    ("ExplanationOfBenefit", "total", "adjudication ExplanationOfBenefit.item.adjudication 0..*"),
    ("Invoice", "totalNet", "totalPriceComponent Invoice.lineItem.priceComponent 0..*"),
    (
        "SubstanceSpecification",
        "relationship",
        "molecularWeight SubstanceSpecification.structure.isotope.molecularWeight 0..*",
    ),
)

# Value sets of which the package has more codes than may be used, or none: those that take in a
# part of a code system, and one with an abstract code.
CODES: Final = {
    "care-plan-activity-kind": "Appointment CommunicationRequest DeviceRequest MedicationRequest"
    " NutritionOrder Task ServiceRequest VisionPrescription",
    "care-plan-intent": "proposal plan order option",
    "clinicalimpression-status": "in-progress completed entered-in-error",
    "immunization-evaluation-status": "completed entered-in-error",
    "immunization-status": "completed entered-in-error not-done",
    "item-type": "group display boolean decimal integer date dateTime time string text url choice"
    " open-choice attachment reference quantity",
    "system-restful-interaction": "transaction batch search-system history-system",
    "task-intent": "unknown proposal plan order original-order reflex-order filler-order"
    " instance-order option",
    "type-restful-interaction": "read vread update patch delete history-instance history-type"
    " create search-type",
    "v3-ConfidentialityClassification": "U L M N R V",
}

Definition = dict[str, Any]


def table(package: Path) -> str:
    """Return the text of the table, from the folder of the package ``fhir``."""
    types: Mapping[str, Definition] = _json(package / "profiles" / "types.json")
    value_sets: Mapping[str, Definition] = _json(package / "profiles" / "valuesets.json")
    written = {
        name: definition
        for name, definition in types.items()
        if definition["_kind"] != "primitive-type" and name not in LEFT_OUT
    }
    codes = dict(_codes(written.values(), value_sets))
    writer = _Writer({name: _names(types[name]) for name in BASES}, frozenset(codes))
    sets = [f"= {name}: {codes[name]}\n" for name in sorted(codes)]
    blocks = [line for name, one in written.items() for line in writer.lines(name, one)]
    return "".join([HEAD, *sets, *blocks])


def _json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _own(definition: Definition) -> list[Definition]:
    """Return the elements of a definition, without those that JSON has for extensions."""
    return [one for one in definition["_properties"] if not one["_name"].startswith("_")]


def _names(definition: Definition) -> list[str]:
    return [one["_name"] for one in _own(definition)]


def _codes(
    types: Iterable[Definition], value_sets: Mapping[str, Definition]
) -> Iterator[tuple[str, str]]:
    bound = {url for definition in types for url in _bound(definition)}
    for url in sorted(bound):
        name = _name_of_set(url)
        if name in CODES:
            yield name, CODES[name]
        elif url in value_sets:
            found = (
                one["code"] for system in value_sets[url]["systems"] for one in system["codes"]
            )
            yield name, " ".join(dict.fromkeys(found))


def _bound(definition: Definition) -> Iterator[str]:
    for one in definition.get("_properties", ()):
        if url := _binding(one):
            yield url
        yield from _bound(one)


def _binding(element: Definition) -> str:
    """Return the URL of the value set whose codes are demanded."""
    if element.get("_valueSetStrength") != "required" or element["_type"] != "code":
        return ""
    return str(element["_valueSet"]).partition("|")[0]


def _name_of_set(url: str) -> str:
    return url.rpartition("/")[2]


@dataclass(frozen=True)
class _Writer:
    """Writes types; knows what the base types have, and which codes are known."""

    bases: Mapping[str, list[str]]
    sets: frozenset[str]

    def lines(self, name: str, definition: Definition) -> Iterator[str]:
        """Return the lines of a type, and of those that are defined within it."""
        base = self._base(name, definition)
        own = [one for one in _own(definition) if one["_name"] not in self.bases.get(base, ())]
        yield f"{name}: {base}".rstrip() + "\n"
        for (choice, stem), variants in groupby(own, _choice):
            yield from (f" {row}\n" for *place, row in LACKING if place == [name, stem])
            yield " " + self._line(name, f"{stem}[x]" if choice else stem, list(variants)) + "\n"
        for one in own:
            if _own_content(one):
                yield from self.lines(f"{name}.{one['_name']}", one)

    def _base(self, name: str, definition: Definition) -> str:
        """Return the base type that has the most of the elements with which a type begins."""
        names = _names(definition)
        fitting = [base for base, its in self.bases.items() if names[: len(its)] == its]
        return max((base for base in fitting if base != name), key=self._depth, default="")

    def _depth(self, base: str) -> int:
        return len(self.bases[base])

    def _line(self, parent: str, name: str, variants: list[Definition]) -> str:
        one = variants[0]
        type_ = "|".join(variant["_type"].removeprefix("#") for variant in variants)
        if _own_content(one):
            type_ = f"{parent}.{name}"
        if (parent, name) in ATTRIBUTES:
            name, type_ = f"@{name}", ATTRIBUTES[parent, name]
        cardinality = f"{1 if one['_required'] else 0}..{'*' if one['_multiple'] else 1}"
        bound = _name_of_set(_binding(one))
        words = [name, type_]
        words += [cardinality] if cardinality != "0..1" else []
        words += [bound] if bound in self.sets else []
        return " ".join(words)


def _choice(element: Definition) -> tuple[bool, str]:
    stem = str(element.get("_choice") or element["_name"])
    return "_choice" in element, stem.removesuffix("[x]")


def _own_content(element: Definition) -> bool:
    """Tell whether an element's content is defined in its place."""
    return element["_type"] in ("Element", "BackboneElement") and bool(element.get("_properties"))


if __name__ == "__main__":
    found = node_packages("fhir")
    if found is None:
        sys.exit("Node 20 and its package fhir are needed, and are not to be had.")
    sys.stdout.write(table(found / "fhir"))
