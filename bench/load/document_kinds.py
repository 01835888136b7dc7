"""What is shared: kinds of documents with their codes, and the names of people and places."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Any, Final

from xds.metadata.attributes import Code

_FILE: Final = "documents.toml"
_LOINC: Final = "LOINC"
_SNOMED: Final = "SNOMED"


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One kind of document."""

    weight: int
    """How often it comes, in relation to the others."""
    title: str
    class_code: Code
    type_code: Code
    format_code: Code
    mime_type: str
    practice_setting_code: Code
    healthcare_facility_type_code: Code
    confidentiality_code: tuple[Code, ...]
    events: tuple[Code, ...]
    role: str
    size: int
    """Bytes of a typical one."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything of the file."""

    kinds: Sequence[DocumentKind]
    weights: Sequence[int]
    """Of the kinds, each with those before it."""
    family: Sequence[str]
    given: Sequence[str]
    street: Sequence[str]
    town: Sequence[str]
    hospital: Sequence[str]


@cache
def catalogue() -> Catalogue:
    """Read the file."""
    found = tomllib.loads(resources.files(__package__).joinpath(_FILE).read_text("utf-8"))
    schemes = found["schemes"]
    kinds = [_kind(one, schemes) for one in found["document"]]
    return Catalogue(kinds, list(accumulate(kind.weight for kind in kinds)), **found["people"])


def _kind(one: Mapping[str, Any], schemes: Mapping[str, str]) -> DocumentKind:
    def code(text: str, scheme: str = "") -> Code:
        named, _, rest = text.partition(" ")
        if named in schemes:
            scheme, text = named, rest
        value, _, display = text.partition(" ")
        return Code(value, schemes[scheme], display)

    return DocumentKind(
        weight=one["weight"],
        title=one["title"],
        class_code=code(one["class"], _LOINC),
        type_code=code(one["type"], _LOINC),
        format_code=code(one["format"]),
        mime_type=one["mime_type"],
        practice_setting_code=code(one["setting"], _SNOMED),
        healthcare_facility_type_code=code(one["facility"], _SNOMED),
        confidentiality_code=tuple(
            code(text, "CONFIDENTIALITY") for text in one.get("confidentiality", ["N normal"])
        ),
        events=tuple(code(text, _SNOMED) for text in one["events"]),
        role=one["role"],
        size=one["bytes"],
    )
