"""What clients of other versions write otherwise, made as the rest of the program expects it.

MHD 4.0 and 4.1 had their canonical URLs begin with ``http:``; they are read as those of today. An
Identifier without a value identifies nothing and is passed over with a warning. A FHIR document
within the request is left as it is, for its bytes are kept.
"""

from typing import Any, Final

from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.fhir.r4.structure import is_document
from xds.fhir.vocabulary import of_today

_URIS: Final = frozenset({"url", "system"})
_IDENTIFIERS: Final = frozenset({"identifier", "masterIdentifier"})
_OF_EXTENSION: Final = "valueIdentifier"


def tidied(resource: Resource) -> list[Issue]:
    """Tidy a resource whose structure is in order, in place; return what there is to warn of."""
    issues: list[Issue] = []
    _tidy(resource, resource["resourceType"], issues)
    return issues


def _tidy(element: dict[str, Any], path: str, issues: list[Issue]) -> None:
    if is_document(element):
        return
    for name, value in list(element.items()):
        if name in _URIS and isinstance(value, str):
            element[name] = of_today(value)
        elif name == "profile" and isinstance(value, list):
            element[name] = [of_today(one) if isinstance(one, str) else one for one in value]
        elif isinstance(value, list):
            _tidy_list(element, name, f"{path}.{name}", issues)
        elif isinstance(value, dict):
            if name in _IDENTIFIERS and _is_void(value, f"{path}.{name}", issues):
                del element[name]
            else:
                _tidy(value, f"{path}.{name}", issues)


def _tidy_list(element: dict[str, Any], name: str, path: str, issues: list[Issue]) -> None:
    kept = []
    for place, one in enumerate(element[name]):
        where = f"{path}[{place}]"
        if isinstance(one, dict):
            identifier = one if name in _IDENTIFIERS else one.get(_OF_EXTENSION)
            if identifier is not None and _is_void(identifier, where, issues):
                continue
            _tidy(one, where, issues)
        kept.append(one)
    if kept:
        element[name] = kept
    else:
        del element[name]


def _is_void(identifier: dict[str, Any], path: str, issues: list[Issue]) -> bool:
    if identifier.get("value"):
        return False
    reason = "an Identifier without a value identifies nothing and is passed over"
    issue = Issue(code="incomplete", diagnostics=reason, expression=(path,), severity="warning")
    issues.append(issue)
    return True
