"""Associations between documents, and relatesTo (MHD ConceptMap AssociationTypeVsRelatesTo)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v

if TYPE_CHECKING:
    from xds.registry.queries.views import Relation

RELATES_TO: Final[Mapping[str, tuple[str, ...]]] = {
    v.RPLC: ("replaces",),
    v.XFRM: ("transforms",),
    v.APND: ("appends",),
    v.XFRM_RPLC: ("replaces", "transforms"),
    v.SIGNS: ("signs",),
    v.IS_SNAPSHOT_OF: ("transforms",),
}
"""The codes that an association type is told by; a snapshot comes back as a transformation."""

_TYPES: Final[Mapping[str, str]] = {
    codes[0]: kind
    for kind, codes in RELATES_TO.items()
    if len(codes) == 1 and kind != v.IS_SNAPSHOT_OF
}
_BOTH: Final = frozenset(RELATES_TO[v.XFRM_RPLC])


@dataclass(frozen=True, slots=True)
class RelatesTo:
    """One relatesTo of a document to be: the association type, and what it leads to."""

    association_type: str
    target: Resource
    """A Reference."""
    expression: str
    """The FHIRPath of the Reference."""


def relates_to(relations: "Iterable[Relation]") -> list[Resource]:
    """Return the elements relatesTo of the document that is the source of these associations."""
    return [
        {
            "code": code,
            "target": {"reference": f"DocumentReference/{resource_id(relation.target)}"},
        }
        for relation in relations
        for code in RELATES_TO.get(relation.association_type, ())
    ]


def read_relates_to(resource: Resource, path: str) -> list[RelatesTo]:
    """Return what a DocumentReference relates to.

    Who both replaces and transforms the same document has an XFRM_RPLC to it.
    """
    found: list[RelatesTo] = []
    for i, one in enumerate(resource.get("relatesTo", ())):
        kind, target = _TYPES.get(one.get("code", ""), ""), one.get("target", {})
        place = next((n for n, each in enumerate(found) if each.target == target), None)
        if place is not None and _joined(found[place].association_type, kind):
            found[place] = RelatesTo(v.XFRM_RPLC, target, found[place].expression)
        elif kind:
            found.append(RelatesTo(kind, target, f"{path}.relatesTo[{i}].target"))
    return found


def _joined(one: str, other: str) -> bool:
    return {RELATES_TO[one][0], *RELATES_TO.get(other, ())} == _BOTH
