"""WS-Addressing 1.0 headers (ITI TF-2 Appendix V.3)."""

from dataclasses import dataclass
from typing import Final

from lxml import etree

from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape, new_uuid
from xds.wire import faults

_WSA: Final = f"{{{v.NS_WSA}}}"
_ACTION: Final = f"{_WSA}Action"
_MESSAGE_ID: Final = f"{_WSA}MessageID"
_REPLY_TO: Final = f"{_WSA}ReplyTo"
_FAULT_TO: Final = f"{_WSA}FaultTo"
_TO: Final = f"{_WSA}To"
_ADDRESS: Final = f"{_WSA}Address"
_PARAMETERS: Final = f"{_WSA}ReferenceParameters"
_IS_PARAMETER: Final = f"{_WSA}IsReferenceParameter"
_OURS: Final = (v.NS_WSA, v.NS_SOAP12)
_SINGLE: Final = ("Action", "MessageID", "To", "From", "ReplyTo", "FaultTo")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint reference: where a message goes, and header blocks that it must carry there."""

    address: str
    parameters: str = ""
    """The blocks as XML text, marked as reference parameters."""

    @property
    def is_anonymous(self) -> bool:
        """Whether it means the connection of the request."""
        return self.address == v.WSA_ANONYMOUS

    @property
    def is_none(self) -> bool:
        """Whether nothing is to be sent."""
        return self.address == v.WSA_NONE


ON_THE_CONNECTION: Final = Endpoint(v.WSA_ANONYMOUS)


@dataclass(frozen=True, slots=True)
class Routes:
    """Where the answer to a request goes, and where a fault in its place."""

    reply: Endpoint = ON_THE_CONNECTION
    fault: Endpoint = ON_THE_CONNECTION


BACK: Final = Routes()
"""Both go back on the connection."""


@dataclass(frozen=True, slots=True)
class Addressing:
    """What a request says of itself; values are without the white space round them."""

    action: str | None = None
    message_id: str | None = None
    reply_to: Endpoint = ON_THE_CONNECTION
    fault_to: Endpoint | None = None
    to: str | None = None
    is_used: bool = False
    """Whether a header block of WS-Addressing stands there; only then the answer has any."""
    repeated: str | None = None
    """The name of a header that stands twice, which it must not."""


NO_ADDRESSING: Final = Addressing()


def read(header: etree._Element | None) -> Addressing:
    """Read the headers of a request; of one that stands twice the first counts.

    A MessageID may be of any form: toolkits write ``uuid:`` without ``urn:``.
    """
    if header is None:
        return NO_ADDRESSING
    found: dict[str, etree._Element] = {}
    repeated: set[str] = set()
    for block in header:
        tag = block.tag
        if tag.startswith(_WSA) and found.setdefault(tag, block) is not block:
            repeated.add(tag.removeprefix(_WSA))
    return Addressing(
        _text(found.get(_ACTION)),
        _text(found.get(_MESSAGE_ID)),
        _endpoint(found.get(_REPLY_TO)) or ON_THE_CONNECTION,
        _endpoint(found.get(_FAULT_TO)),
        _text(found.get(_TO)),
        is_used=bool(found),
        repeated=next((name for name in _SINGLE if name in repeated), None) if repeated else None,
    )


def require_single(addressing: Addressing) -> None:
    """Raise the SoapFault for a header that stands twice (WS-Addressing 1.0 core, 3.2)."""
    if name := addressing.repeated:
        raise faults.sender(
            f"The header wsa:{name} stands more than once.",
            "wsa:InvalidAddressingHeader",
            "wsa:InvalidCardinality",
            detail=f"<wsa:ProblemHeaderQName>wsa:{name}</wsa:ProblemHeaderQName>",
        )


def _text(element: etree._Element | None) -> str | None:
    return None if element is None else (element.text or "").strip() or None


def _endpoint(element: etree._Element | None) -> Endpoint | None:
    return None if element is None else endpoint_of(element)


def endpoint_of(element: etree._Element) -> Endpoint | None:
    """Read an endpoint reference; without an address it is as good as none."""
    children = list(element)
    if len(children) == 1 and children[0].tag == _ADDRESS and children[0].text == v.WSA_ANONYMOUS:
        return ON_THE_CONNECTION  # which nearly all are
    address = next((one.text or "" for one in children if one.tag == _ADDRESS), "").strip()
    if not address:
        return None
    parameters = [block for one in children if one.tag == _PARAMETERS for block in one]
    if not parameters and address == v.WSA_ANONYMOUS:
        return ON_THE_CONNECTION
    # the headers of SOAP and WS-Addressing are the server's to write
    foreign = [one for one in parameters if etree.QName(one).namespace not in _OURS]
    return Endpoint(address, "".join(map(_parameter, foreign)))


def _parameter(element: etree._Element) -> str:
    """Render a reference parameter as the header block that it becomes (SOAP binding, 2.3)."""
    element.set(_IS_PARAMETER, "true")
    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    del element.attrib[_IS_PARAMETER]
    return text


def response_headers(action: str, request: Addressing, to: Endpoint = ON_THE_CONNECTION) -> str:
    """Render the headers of a response as XML text; on the connection it needs no wsa:To.

    There are none for a request that has none: its sender would refuse the mandatory wsa:Action.
    """
    if not request.is_used:
        return ""
    relates_to = request.message_id
    relation = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return (
        f'<wsa:Action s:mustUnderstand="1">{escape(action)}</wsa:Action>'
        f"<wsa:MessageID>{new_uuid()}</wsa:MessageID>{relation}{_destination(to)}"
    )


def _destination(to: Endpoint) -> str:
    to_xml = "" if to.is_anonymous else f"<wsa:To>{escape(to.address)}</wsa:To>"
    return to_xml + to.parameters
