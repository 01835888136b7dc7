"""WS-Addressing 1.0 headers, synchronous exchange (ITI TF-2 Appendix V.3)."""

from dataclasses import dataclass
from typing import Final

from lxml import etree

from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape, new_uuid
from xds.soap import faults

_WSA: Final = f"{{{v.NS_WSA}}}"
_ADDRESS: Final = f"{_WSA}Address"
_SINGLE: Final = ("Action", "MessageID", "To", "From", "ReplyTo", "FaultTo")


@dataclass(frozen=True, slots=True)
class Addressing:
    """What a request says of itself; values are without the white space round them."""

    action: str | None = None
    message_id: str | None = None
    reply_to: str = v.WSA_ANONYMOUS


def read(header: etree._Element | None) -> Addressing:
    """Read the headers of a request; SoapFault where one of them stands twice.

    A MessageID may be of any form: toolkits write ``uuid:`` without ``urn:``. FaultTo is admitted
    and not used: a fault of a synchronous exchange goes back on its connection.
    """
    if header is None:
        return Addressing()
    found = {name: header.findall(f"{_WSA}{name}") for name in _SINGLE}
    for name, elements in found.items():
        if len(elements) > 1:
            raise faults.sender(
                f"The header wsa:{name} stands more than once.",
                "wsa:InvalidAddressingHeader",
                "wsa:InvalidCardinality",
                detail=f"<wsa:ProblemHeaderQName>wsa:{name}</wsa:ProblemHeaderQName>",
            )
    return Addressing(
        _text(found["Action"]), _text(found["MessageID"]), _reply_to(found["ReplyTo"])
    )


def _text(elements: list[etree._Element]) -> str | None:
    return (elements[0].text or "").strip() or None if elements else None


def _reply_to(elements: list[etree._Element]) -> str:
    if not elements:
        return v.WSA_ANONYMOUS
    return (elements[0].findtext(_ADDRESS) or "").strip() or v.WSA_ANONYMOUS


def require_synchronous(addressing: Addressing) -> None:
    """Raise the SoapFault for an answer that is wanted elsewhere than on the connection."""
    if addressing.reply_to != v.WSA_ANONYMOUS:
        raise faults.sender(
            "This server answers on the connection of the request: wsa:ReplyTo must be anonymous.",
            "wsa:InvalidAddressingHeader",
            "wsa:OnlyAnonymousAddressSupported",
            detail="<wsa:ProblemHeaderQName>wsa:ReplyTo</wsa:ProblemHeaderQName>",
        )


def response_headers(action: str, relates_to: str | None) -> str:
    """Render the headers of a response as XML text."""
    relation = f"<wsa:RelatesTo>{escape(relates_to)}</wsa:RelatesTo>" if relates_to else ""
    return (
        f'<wsa:Action s:mustUnderstand="1">{escape(action)}</wsa:Action>'
        f"<wsa:MessageID>{new_uuid()}</wsa:MessageID>{relation}"
    )
