"""The SOAP envelope: taken apart, and put round a body (SOAP 1.2 part 1, 5).

Messages are of SOAP 1.2. Where SOAP 1.1 is spoken as well, a message of it is made one of 1.2 as
soon as it is read, and only what is written differs (SOAP 1.1, 4).
"""

from typing import Final

from lxml import etree

from xds.metadata import vocabulary as v
from xds.wire import faults

_S: Final = f"{{{v.NS_SOAP12}}}"
NEXT: Final = "http://www.w3.org/2003/05/soap-envelope/role/next"
_ROLES: Final = (
    None,
    "",
    NEXT,
    "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
)

_ENVELOPE: Final = f"{_S}Envelope"
_HEADER: Final = f"{_S}Header"
_MUST_UNDERSTAND: Final = f"{_S}mustUnderstand"
_S11: Final = f"{{{v.NS_SOAP11}}}"
_ACTOR_NEXT: Final = "http://schemas.xmlsoap.org/soap/actor/next"
CLOSE: Final = b"</s:Body></s:Envelope>"


def opening(headers: str, *, is_soap11: bool = False) -> bytes:
    """Return an envelope as far as its body's content; without header blocks it has no s:Header.

    The prefixes s and wsa are bound in it, s to the namespace of its version.
    """
    version = v.NS_SOAP11 if is_soap11 else v.NS_SOAP12
    header = f"<s:Header>{headers}</s:Header>" if headers else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<s:Envelope xmlns:s="{version}" xmlns:wsa="{v.NS_WSA}">{header}<s:Body>'
    ).encode()


def from_soap11(root: etree._Element) -> bool:
    """Make an envelope of SOAP 1.1 one of SOAP 1.2, in place; tell whether it was one of 1.1.

    The names of its elements and the attributes of header blocks are another namespace's, and
    ``actor`` becomes ``role``. Whatever else it says is the same in both (SOAP 1.2 part 1, A).
    """
    if root.tag != f"{_S11}Envelope":
        return False
    for element in (root, *root):
        if etree.QName(element).namespace == v.NS_SOAP11:
            element.tag = f"{_S}{etree.QName(element).localname}"
    for block in root[0] if len(root) and root[0].tag == f"{_S}Header" else ():
        if (mandatory := block.attrib.pop(f"{_S11}mustUnderstand", None)) is not None:
            block.set(f"{_S}mustUnderstand", mandatory)
        if actor := block.attrib.pop(f"{_S11}actor", None):
            block.set(f"{_S}role", NEXT if actor == _ACTOR_NEXT else actor)
    return True


def header_of(root: etree._Element) -> etree._Element | None:
    """Return an envelope's header, if there is one; SoapFault for what is no SOAP 1.2 envelope."""
    if root.tag != _ENVELOPE:
        if etree.QName(root).localname != "Envelope":
            raise faults.sender("The message is not a SOAP envelope.")
        raise faults.version_mismatch(etree.QName(root).namespace)
    return root[0] if len(root) and root[0].tag == _HEADER else None


def body_of(root: etree._Element) -> etree._Element:
    """Return the one element of an envelope's body; SoapFault if it does not have just one."""
    parts = list(root) if header_of(root) is None else root[1:]
    if len(parts) != 1 or parts[0].tag != f"{_S}Body":
        raise faults.sender("The envelope does not have the form s:Header, s:Body.")
    body = parts[0]
    if len(body) != 1:
        raise faults.sender(f"The s:Body has {len(body)} elements instead of one.")
    return body[0]


def body_element(root: etree._Element) -> str | None:
    """Return the name of the first element of an envelope's body, of whatever form it is."""
    found = root.find(f"{_S}Body/*")
    return None if found is None else str(found.tag)


def is_for_us(block: etree._Element) -> bool:
    """Tell whether a header block is meant for this server, and not for one before or after it."""
    return block.get(f"{_S}role") in _ROLES


def require_understood(header: etree._Element | None, understood: frozenset[str]) -> None:
    """Raise the SoapFault for a mandatory header block of a namespace that is not understood."""
    for block in header if header is not None else ():
        stated = block.get(_MUST_UNDERSTAND)
        if not stated or stated.strip() not in ("1", "true"):
            continue
        namespace, _, name = block.tag.rpartition("}")
        if namespace.removeprefix("{") not in understood and is_for_us(block):
            raise faults.must_understand(namespace.removeprefix("{"), name)
