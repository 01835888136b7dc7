"""The SOAP 1.2 envelope: taken apart, and put round a body (SOAP 1.2 part 1, 5)."""

from typing import Final

from lxml import etree

from xds.metadata import vocabulary as v
from xds.wire import faults

_S: Final = f"{{{v.NS_SOAP12}}}"
_ROLES: Final = (
    None,
    "",
    "http://www.w3.org/2003/05/soap-envelope/role/next",
    "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
)

_OPEN: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    f'<s:Envelope xmlns:s="{v.NS_SOAP12}" xmlns:wsa="{v.NS_WSA}">'
)
CLOSE: Final = b"</s:Body></s:Envelope>"


def opening(headers: str) -> bytes:
    """Return an envelope as far as its body's content; without header blocks it has no s:Header."""
    header = f"<s:Header>{headers}</s:Header>" if headers else ""
    return f"{_OPEN}{header}<s:Body>".encode()


def header_of(root: etree._Element) -> etree._Element | None:
    """Return an envelope's header, if there is one; SoapFault for what is no SOAP 1.2 envelope."""
    if etree.QName(root).localname != "Envelope":
        raise faults.sender("The message is not a SOAP envelope.")
    if root.tag != f"{_S}Envelope":
        raise faults.version_mismatch(etree.QName(root).namespace)
    return root[0] if len(root) and root[0].tag == f"{_S}Header" else None


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
        mandatory = (block.get(f"{_S}mustUnderstand") or "").strip() in ("1", "true")
        name = etree.QName(block)
        if mandatory and is_for_us(block) and name.namespace not in understood:
            raise faults.must_understand(name.namespace or "", name.localname)
