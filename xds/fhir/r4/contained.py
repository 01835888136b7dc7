"""Contained resources: which of them an element refers to (FHIR R4, references 2.3.0.2)."""

from collections.abc import Mapping
from typing import Any

from xds.fhir.r4.resource import Resource


def local_references(element: Any) -> list[str]:
    """Return the ids of contained resources that an element refers to, in order."""
    found: list[str] = []
    pending = [element]
    while pending:  # a walk without a call for each part, of which a resource has hundreds
        one = pending.pop()
        if isinstance(one, dict):
            reference = one.get("reference")
            if isinstance(reference, str) and reference.startswith("#"):
                found.append(reference[1:])
            pending += [part for part in reversed(one.values()) if isinstance(part, dict | list)]
        elif isinstance(one, list):
            pending += [part for part in reversed(one) if isinstance(part, dict | list)]
    return found


def referred(elements: Any, contained: Mapping[str, Resource]) -> list[Resource]:
    """Return the contained resources that elements refer to, and those that these refer to.

    ``contained`` has them by their ids; what is returned is in its order.
    """
    if not contained:
        return []
    wanted: set[str] = set()
    pending = local_references(elements)
    while pending:
        name = pending.pop()
        if name in contained and name not in wanted:
            wanted.add(name)
            pending.extend(local_references(contained[name]))
    return [one for name, one in contained.items() if name in wanted]
