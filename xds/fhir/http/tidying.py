"""What clients write otherwise, made as the rest of the program expects it.

White space round strings is no part of them (:mod:`xds.metadata.white_space`). MHD 4.0 and 4.1 had
their canonical URLs begin with ``http:``; they are read as those of today. An Identifier without a
value identifies nothing and is passed over with a warning. A FHIR document within the request is
left as it is, for its bytes are kept; so are base64 and narratives.
"""

from typing import Any, Final

from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.fhir.r4.structure import is_document
from xds.fhir.vocabulary import of_today
from xds.metadata.white_space import trimmed

_AS_THEY_ARE: Final = frozenset({"data", "div"})
"""Elements that hold a document's content or a narrative."""
_URIS: Final = frozenset({"url", "system", "profile"})
_IDENTIFIERS: Final = frozenset({"identifier", "masterIdentifier"})
_OF_EXTENSION: Final = "valueIdentifier"


def tidied(resource: Resource) -> list[Issue]:
    """Tidy a resource whose structure is in order, in place; return what there is to warn of."""
    issues: list[Issue] = []
    _tidy(resource, resource["resourceType"], issues)
    return issues


def _tidy(element: dict[str, Any], path: str, issues: list[Issue]) -> None:
    if element.get("resourceType") == "Bundle" and is_document(element):
        return
    for name, value in list(element.items()):
        if type(value) is str:
            if name not in _AS_THEY_ARE and (kept := _text(name, value)) is not value:
                element[name] = kept
                if not kept:
                    del element[name]
        elif isinstance(value, list):
            _tidy_list(element, name, f"{path}.{name}", issues)
        elif isinstance(value, dict):
            _tidy(value, f"{path}.{name}", issues)
            if name in _IDENTIFIERS and _is_void(value, f"{path}.{name}", issues):
                del element[name]


def _text(name: str, value: str) -> str:
    """Return a text as it is meant: the same object where nothing is to be done."""
    if value[:1].isspace() or value[-1:].isspace():
        value = trimmed(value)
    return of_today(value) if name in _URIS and value.startswith("http:") else value


def _tidy_list(element: dict[str, Any], name: str, path: str, issues: list[Issue]) -> None:
    kept = []
    for place, one in enumerate(element[name]):
        where = f"{path}[{place}]"
        if isinstance(one, dict):
            _tidy(one, where, issues)
            identifier = one if name in _IDENTIFIERS else one.get(_OF_EXTENSION)
            if identifier is not None and _is_void(identifier, where, issues):
                continue
        kept.append(_text(name, one) if type(one) is str else one)
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
