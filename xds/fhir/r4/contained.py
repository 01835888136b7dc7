"""Contained resources: which of them an element refers to (FHIR R4, references 2.3.0.2)."""

from collections.abc import Iterator, Mapping
from typing import Any

from xds.fhir.r4.resource import Resource


def local_references(element: Any) -> Iterator[str]:
    """Yield the ids of contained resources that an element refers to."""
    if isinstance(element, list):
        for one in element:
            yield from local_references(one)
    elif isinstance(element, dict):
        reference = element.get("reference")
        if isinstance(reference, str) and reference.startswith("#"):
            yield reference[1:]
        for one in element.values():
            yield from local_references(one)


def referred(elements: Any, contained: Mapping[str, Resource]) -> list[Resource]:
    """Return the contained resources that elements refer to, and those that these refer to.

    ``contained`` has them by their ids; what is returned is in its order.
    """
    wanted: set[str] = set()
    pending = list(local_references(elements))
    while pending:
        name = pending.pop()
        if name in contained and name not in wanted:
            wanted.add(name)
            pending.extend(local_references(contained[name]))
    return [one for name, one in contained.items() if name in wanted]
