"""Schema validation: the schemas and WSDLs of this project, and what a message breaks of them.

``schemas/`` and ``wsdl/`` are top-level folders of the repository; an installed package holds them
as ``xds/schemas`` and ``xds/wsdl``. They are read as files, because libxml2 itself follows the
imports between schemas: a resolver in Python would not do, as lxml keeps that hook in one global
which every parse in another thread resets.
"""

import re
from collections import deque
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from lxml import etree

from xds.metadata import vocabulary as v
from xds.metadata.catalogue import BROKER

XDS_ACTORS: Final = ("registry", "repository")
ACTORS: Final = (*XDS_ACTORS, BROKER)
CHOICE: Final = "choice"
"""The form of the contract without substitution groups, which toolkits such as zeep do not know."""

MOST_PROBLEMS: Final = 100
LONGEST_PROBLEM: Final = 400

_NS_XS: Final = "http://www.w3.org/2001/XMLSchema"
_XS: Final = f"{{{_NS_XS}}}"
_NS_WSAM: Final = "http://www.w3.org/2007/05/addressing/metadata"
_NS_WSDL_SOAP12: Final = "http://schemas.xmlsoap.org/wsdl/soap12/"

SCHEMAS: Final = (
    (v.NS_RIM, "rim.xsd"),
    (v.NS_RS, "rs.xsd"),
    (v.NS_LCM, "lcm.xsd"),
    (v.NS_QUERY, "query.xsd"),
    (v.NS_XDS, "xdsb.xsd"),
    (v.NS_RMD, "rmd.xsd"),
    (v.NS_HL7V3, "hl7v3.xsd"),
    (v.NS_SOAP12, "soap12-envelope.xsd"),
    (v.NS_WSA, "ws-addressing.xsd"),
    (v.NS_WSNT, "wsn.xsd"),
    (v.NS_WSRF_BF, "wsrf-faults.xsd"),
    (v.NS_WSRF_R, "wsrf-resource.xsd"),
)

PREFIXES: Final = {
    v.NS_RIM: "rim",
    v.NS_RS: "rs",
    v.NS_LCM: "lcm",
    v.NS_QUERY: "query",
    v.NS_XDS: "xds",
    v.NS_RMD: "rmd",
    v.NS_HL7V3: "hl7",
    v.NS_SOAP12: "s",
    v.NS_WSA: "wsa",
    v.NS_WSNT: "wsnt",
    v.NS_WSRF_BF: "bf",
    v.NS_WSRF_R: "wsrf-r",
    v.NS_XOP: "xop",
    v.NS_XML: "xml",
}
_NAMESPACE: Final = re.compile("|".join(rf"\{{{re.escape(uri)}\}}" for uri in PREFIXES))

# what libxml2 says, and how it is said here
_PHRASES: Final = (
    (re.compile(r"^Element '([^']+)', attribute '([^']+)': "), r"element \1, attribute \2: "),
    (re.compile(r"^Element '([^']+)': "), r"element \1: "),
    (
        re.compile(r": The attribute '([^']+)' is required but missing\.$"),
        r": attribute \1 is required",
    ),
    (re.compile(r": The attribute '[^']+' is not allowed\.$"), ": is not allowed"),
    (re.compile(r": \[facet '\w+'\] "), ": "),
)

# libxml2 takes a * in the namespace of an element for any text, when it looks what fits there
_WILD: Final = etree.XPath("descendant-or-self::*[contains(namespace-uri(), '*')]")

# schemas are compiled one at a time: libxml2 sets up its built-in types without a lock
_COMPILING: Final = Lock()


@cache
def schema() -> etree.XMLSchema:
    """Give the one schema of all namespaces. For one thread at a time: it keeps its last errors."""
    return _compile()


def problems(element: etree._Element) -> list[str]:
    """Say what is wrong with an element, in place in its tree, by the schemas; nothing if valid.

    A problem quotes the value that is wrong, so it goes back to the sender and nowhere else.
    """
    found = _errors(element)
    if found is None:
        return [_misplaced(one) for one in _WILD(element)[:MOST_PROBLEMS]]
    told = [_told(entry) for entry in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        told.append(f"and {len(found) - MOST_PROBLEMS} more")
    return told or ["the message does not fit its schema"]


def served_file(name: str, form: str = "") -> bytes | None:
    """Give a schema by its file name as it stands in the WSDLs of a form, or nothing."""
    found = _schema_files().get(name)
    return _without_substitution(found) if found and form == CHOICE else found


def wsdl(actor: str, location: str, form: str = "", without: frozenset[str] = frozenset()) -> bytes:
    """Give the WSDL of an actor, to be served at the URL `location` with ``?wsdl``.

    The schemas are named relative to that URL, without ``..``, which not every client resolves
    at the root of a server in the same way. Those of the form CHOICE lie in a folder of its name.
    ``without`` are actions of requests that are not answered: their operations are left out.
    """
    if actor not in ACTORS:
        raise ValueError(f"no such actor: {actor}")
    tree = etree.parse(str(packaged_folder("wsdl") / f"{actor}.wsdl"), _parser())
    for address in tree.iter(f"{{{_NS_WSDL_SOAP12}}}address"):
        address.set("location", location)
    _leave_out(tree.getroot(), without)
    folder = f"schemas/{form}/" if form else "schemas/"
    for schema_import in tree.iter(f"{_XS}import"):
        name = schema_import.get("schemaLocation").removeprefix("../schemas/")
        schema_import.set("schemaLocation", folder + name)
    rendered: bytes = etree.tostring(tree, xml_declaration=True, encoding="UTF-8")
    return rendered


def _leave_out(root: etree._Element, actions: frozenset[str]) -> None:
    """Take operations out, and the port types, bindings and ports that have none any more."""
    for one in root.findall("{*}portType/{*}operation") if actions else ():
        if one.find("{*}input").get(f"{{{_NS_WSAM}}}Action") in actions:
            one.getparent().remove(one)
    for one in root.findall("{*}binding/{*}operation") if actions else ():
        if one.find(f"{{{_NS_WSDL_SOAP12}}}operation").get("soapAction") in actions:
            one.getparent().remove(one)
    gone = {one.get("name") for one in root.findall("{*}binding") if not _has_operation(one)}
    for one in root.findall("{*}service/{*}port"):
        if one.get("binding").partition(":")[2] in gone:
            one.getparent().remove(one)
    for one in (*root.findall("{*}binding"), *root.findall("{*}portType")):
        if not _has_operation(one):
            root.remove(one)


def _has_operation(element: etree._Element) -> bool:
    return element.find("{*}operation") is not None


@cache
def _without_substitution(schema: bytes) -> bytes:
    """Put a choice in the place of a substitution group: the same messages are valid."""
    root = etree.fromstring(schema, _parser())
    members = [one for one in root if one.attrib.pop("substitutionGroup", None)]
    for head in root.findall(f".//{_XS}element[@ref='rim:Identifiable']"):
        choice = head.getparent()
        choice.tag = f"{_XS}choice"
        choice.attrib.update({name: head.get(name) for name in ("minOccurs", "maxOccurs")})
        for member in members:
            etree.SubElement(choice, head.tag, ref=f"rim:{member.get('name')}")
        del head.attrib["minOccurs"], head.attrib["maxOccurs"]
    rendered: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return rendered


def packaged_folder(name: str) -> Path:
    """Find a top-level folder: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / name
    return installed if installed.is_dir() else package.parent / name


@cache
def _schema_files() -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in packaged_folder("schemas").glob("*.xsd")}


def _parser() -> etree.XMLParser:
    return etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)


def _compile() -> etree.XMLSchema:
    root = etree.Element(f"{{{_NS_XS}}}schema")
    for namespace, name in SCHEMAS:
        location = (packaged_folder("schemas") / name).as_uri()
        etree.SubElement(root, f"{{{_NS_XS}}}import", namespace=namespace, schemaLocation=location)
    with _COMPILING:
        return etree.XMLSchema(root)


@cache
def _idle() -> deque[etree.XMLSchema]:
    return deque()


def _errors(element: etree._Element) -> list[etree._LogEntry] | None:
    """Validate; None where it is valid.

    A compiled schema is lent to one validation, because lxml puts the errors into the schema.
    """
    idle = _idle()
    try:
        validator = idle.pop()
    except IndexError:
        validator = _compile()
    try:
        return None if validator.validate(element) else list(validator.error_log)
    finally:
        idle.append(validator)


def _misplaced(element: etree._Element) -> str:
    where = f"line {element.sourceline}: " if element.sourceline else ""
    return _shortened(f"{where}element {element.tag}: This element is not expected")


def _told(entry: etree._LogEntry) -> str:
    text = _NAMESPACE.sub(lambda match: f"{PREFIXES[match[0][1:-1]]}:", entry.message)
    for said, told in _PHRASES:
        text = said.sub(told, text)
    where = f"line {entry.line}: " if entry.line else ""
    return _shortened(where + text.removesuffix("."))


def _shortened(text: str) -> str:
    """Cut a long value out of the middle: the names stand before it and the reason after it."""
    if len(text) <= LONGEST_PROBLEM:
        return text
    half = LONGEST_PROBLEM // 2
    return f"{text[:half]}…{text[-half:]}"
