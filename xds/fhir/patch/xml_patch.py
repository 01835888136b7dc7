"""XML Patch (RFC 5261) of a resource in its XML form, by simple paths.

A path names elements from the resource on, each with an index or one predicate on an attribute:
``f:DocumentReference/f:status/@value``. Any other path is refused.
"""

import copy
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lxml import etree

from xds.fhir.r4 import xml
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.parsing import MalformedXML, parse

_NAMES: Final = ("add", "replace", "remove")
_MOST: Final = 1_000
_STEP: Final = re.compile(
    r"/(?:[A-Za-z][\w-]*:)?(?P<name>[A-Za-z]\w*)"
    r"(?P<predicate>\[(?:[1-9][0-9]{0,3}|@[a-z]+\s*=\s*(?:'[^'\"]*'|\"[^'\"]*\"))\])?"
)
_ATTRIBUTE: Final = re.compile(r"/@(value|url|id)$")
_ADDED: Final = re.compile(r"@(value|url|id)")
_POSITIONS: Final = ("before", "after", "prepend")


class XmlOperation(NamedTuple):
    """One operation of an XML Patch."""

    name: str
    xpath: str
    """What it is about, an element."""
    attribute: str
    """The attribute of that which it is about; empty where it is the element."""
    position: str
    """Where it is added: one of _POSITIONS, or empty for the end."""
    text: str
    content: tuple[etree._Element, ...]
    place: str
    """Where it is in the patch, for errors."""


def operations(data: bytes) -> Sequence[XmlOperation]:
    """Read a patch; Refused 400 where it is not well-formed."""
    try:
        root = parse(data)
    except MalformedXML as error:
        raise Refused.because(400, "structure", f"the patch is not XML: {error}") from None
    found = [one for one in root if isinstance(one.tag, str)]
    if etree.QName(root).localname != "diff" or not 0 < len(found) <= _MOST:
        raise _malformed("", f"an XML Patch is a diff of 1 to {_MOST} operations")
    return [_operation(one, f"[{place}]") for place, one in enumerate(found)]


def _operation(found: etree._Element, place: str) -> XmlOperation:
    name = etree.QName(found).localname
    if name not in _NAMES:
        raise _malformed(place, f"an operation is one of {', '.join(_NAMES)}")
    path = "/" + found.get("sel", "").strip().removeprefix("/")
    attribute = _ATTRIBUTE.search(path)
    steps = path[: attribute.start()] if attribute else path
    named = list(_STEP.finditer(steps))
    if not named or "".join(one[0] for one in named) != steps:
        reason = "sel is of element names, each with an index or one predicate on an attribute"
        raise Refused.because(400, "not-supported", f"patch{place}: {reason}")
    added = _ADDED.fullmatch(found.get("type", ""))
    position = found.get("pos", "")
    if position not in ("", *_POSITIONS) or (found.get("type") and not added):
        raise _malformed(place, "pos or type is none that is supported")
    own = etree.QName(found).namespace
    return XmlOperation(
        name,
        "".join(f"/f:{one['name']}{one['predicate'] or ''}" for one in named),
        (attribute or added or ("", ""))[1],
        position,
        found.text or "",
        tuple(_of_fhir(one, own) for one in found if isinstance(one.tag, str)),
        place,
    )


def _of_fhir(element: etree._Element, own: str | None) -> etree._Element:
    """Return an element whose namespace, where it is none or that of the diff, is FHIR's."""
    name = etree.QName(element)
    namespace = xml.NS_FHIR if name.namespace in (None, own) else name.namespace
    # made anew: within another tree lxml would take the old declarations for the new ones
    made = etree.Element(
        f"{{{namespace}}}{name.localname}", dict(element.attrib), nsmap={None: namespace}
    )
    made.text = element.text
    for one in element:
        if isinstance(one.tag, str):
            child = _of_fhir(one, own)
            child.tail = one.tail
            made.append(child)
    return made


def apply(patch: Sequence[XmlOperation], resource: Resource) -> Resource:
    """Return a resource changed by all operations in their order; Refused 422 where one fails."""
    root = parse(xml.render(resource))
    for one in patch:
        _apply(root, one)
    patched, issues = xml.read(etree.tostring(root))
    if any(one.severity == "error" for one in issues):
        raise Refused(422, issues)
    return patched


def _apply(root: etree._Element, one: XmlOperation) -> None:
    found: Any = root.xpath(one.xpath, namespaces={"f": xml.NS_FHIR})
    if len(found) != 1:
        raise _failed(one.place, f"sel leads to {len(found)} elements, not to one")
    (element,) = found
    if one.attribute:
        _change_attribute(element, one)
    elif one.name == "add":
        _add(element, one)
    elif element.getparent() is None:
        raise _failed(one.place, "a resource is not replaced or removed as a whole")
    elif one.name == "remove":
        element.getparent().remove(element)
    elif len(one.content) != 1:
        raise _failed(one.place, "an element is replaced by one element")
    else:
        element.getparent().replace(element, copy.deepcopy(one.content[0]))


def _change_attribute(element: etree._Element, one: XmlOperation) -> None:
    if one.content or (one.name != "add" and one.attribute not in element.attrib):
        raise _failed(one.place, f"there is no attribute {one.attribute}, or its value is no text")
    if one.name == "remove":
        del element.attrib[one.attribute]
    else:
        element.set(one.attribute, one.text)


def _add(element: etree._Element, one: XmlOperation) -> None:
    parent = element.getparent()
    added = [copy.deepcopy(each) for each in one.content]
    if not added or (one.position in ("before", "after") and parent is None):
        raise _failed(one.place, "nothing can be added there")
    if one.position in ("before", "after"):
        index = parent.index(element) + (one.position == "after")
        parent[index:index] = added
    elif one.position == "prepend":
        element[0:0] = added
    else:
        element.extend(added)


def _malformed(place: str, reason: str) -> Refused:
    return Refused.because(400, "structure", f"patch{place}: {reason}")


def _failed(place: str, reason: str) -> Refused:
    return Refused.because(422, "processing", f"patch{place}: {reason}")
