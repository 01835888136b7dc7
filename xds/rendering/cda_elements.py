"""Elements and data types of CDA R2 (HL7 V3 data types, XML ITS)."""

from typing import Any, Final

from lxml import etree

from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code
from xds.rendering.values import dtm as valid_dtm
from xds.rendering.values import sayable

CDA: Final = "urn:hl7-org:v3"
LAB: Final = "urn:oid:1.3.6.1.4.1.19376.1.3.2"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"

Element = Any
"""An element of lxml, which has no types of its own."""


def element(name: str, *content: "Element | str | None", **attributes: str | None) -> Element:
    """Make an element of CDA; None is left out. The attribute ``type_`` is xsi:type."""
    made = etree.Element(f"{{{CDA}}}{name}", nsmap={None: CDA} if name == ROOT else None)
    for attribute, value in attributes.items():
        if value is not None:
            key = f"{{{XSI}}}type" if attribute == "type_" else attribute
            made.set(key, sayable(value))
    for one in content:
        if isinstance(one, str):
            _append_text(made, sayable(one))
        elif one is not None:
            made.append(one)
    return made


ROOT: Final = "ClinicalDocument"


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def template(*oids: str) -> list[Element]:
    """Return templateId elements."""
    return [element("templateId", root=oid) for oid in oids]


def identifier(name: str, unique_id: str) -> Element:
    """Return an II of a uniqueId: an OID, or an OID^extension."""
    root, _, extension = unique_id.partition("^")
    return instance(name, root, extension)


def instance(name: str, root: str, extension: str = "") -> Element:
    """Return an II; where nothing says whose number it is, one that is marked so."""
    if is_oid(root):
        return element(name, root=root, extension=extension or None)
    return element(name, nullFlavor="UNK", extension=extension or None)


def code(name: str, value: Code | None, words: str = "") -> Element:
    """Return a coded value; one whose system has no OID is its words alone."""
    if value is not None and is_oid(value.coding_scheme) and value.code.strip():
        return element(
            name,
            code="".join(value.code.split()),
            codeSystem=value.coding_scheme,
            displayName=value.display_name or None,
        )
    said = words or (value.display_name or value.code if value is not None else "")
    return element(name, element("originalText", said) if said else None, nullFlavor="UNK")


def time(name: str, dtm: str) -> Element:
    """Return a TS of a DTM, in UTC where it has a time of day."""
    said = valid_dtm(dtm)
    if not said:
        return element(name, nullFlavor="UNK")
    return element(name, value=f"{said}+0000" if len(said) > len("YYYYMMDD") else said)


def interval(name: str, start: str, stop: str) -> Element:
    """Return an IVL_TS."""
    return element(name, time("low", start or stop), time("high", stop or start))
