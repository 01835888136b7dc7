"""SOAP faults, with the subcodes of WS-Addressing (SOAP 1.2 part 1, 5.4; WS-Addressing 1.0)."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from xds.errors import Explanation, FailureKind, RequestRefused, Violation
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape

SENDER: Final = "s:Sender"
RECEIVER: Final = "s:Receiver"
VERSION_MISMATCH: Final = "s:VersionMismatch"
MUST_UNDERSTAND: Final = "s:MustUnderstand"

_PREFIXES: Final[Mapping[str, str]] = {
    "s": v.NS_SOAP12,
    "wsa": v.NS_WSA,
    "wsse": v.NS_WSSE,
    "wsu": v.NS_WSU,
}
INTERNAL_ERROR: Final = "500 Internal Server Error"
_STATUS: Final[Mapping[str, str]] = {SENDER: "400 Bad Request"}
"""SOAP 1.2 part 2 table 20: a Sender's fault is 400, any other 500."""

SOAP11_TYPE: Final = "text/xml; charset=UTF-8"
_UPGRADE: Final = (
    f'<s:Upgrade xmlns:s="{v.NS_SOAP12}"><s:SupportedEnvelope qname="s:Envelope"/></s:Upgrade>'
)
_SOAP11_CODES: Final[Mapping[str, str]] = {SENDER: "s:Client", RECEIVER: "s:Server"}
"""The fault codes that have other names in SOAP 1.1 (4.4.1)."""

_MOST_QUOTED: Final = 200
_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class SoapFault(RequestRefused):
    """A message that is no SOAP, or not for this server; the reason is a sentence for the sender.

    ``code`` is the fault's Code, ``subcodes`` go from outer to inner, ``detail`` and ``header`` are
    XML text with the prefixes s, wsa and wsse bound. ``logged`` is the reason for the log, where
    the sentence quotes what may be of a patient. ``action`` is the wsa:Action of a fault that a
    specification has given one of its own.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *subcodes: str,
        detail: str = "",
        header: str = "",
        status: str | None = None,
        logged: str | None = None,
        is_soap11: bool = False,
        action: str | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason
        self.logged = logged or reason
        self.is_soap11 = is_soap11
        self.subcodes = subcodes
        self.detail_xml = detail
        self.header_xml = header
        self.status = status or _STATUS.get(code, INTERNAL_ERROR)
        self._action = action

    @property
    def failure_kind(self) -> FailureKind:  # type: ignore[override]
        """Whose fault it is."""
        return FailureKind.INTERNAL if self.code == RECEIVER else FailureKind.MALFORMED

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return tuple(Violation(code) for code in self.subcodes or (self.code,))

    @property
    def explanations(self) -> Sequence[Explanation]:
        """What is wrong, as who asked is told."""
        return tuple(Explanation(one, self.reason) for one in self.violations)

    @property
    def action(self) -> str:
        """The wsa:Action of the fault message (WS-Addressing 1.0 SOAP binding, 6)."""
        if self._action:
            return self._action
        addressing = any(code.startswith("wsa:") for code in self.subcodes)
        return v.WSA_FAULT_ACTION if addressing else v.WSA_SOAP_FAULT_ACTION

    def body(self) -> bytes:
        """Render the ``s:Fault``; the prefixes of subcodes are bound where used."""
        detail = f"<s:Detail>{self.detail_xml}</s:Detail>" if self.detail_xml else ""
        return (
            f"<s:Fault><s:Code><s:Value>{self.code}</s:Value>{_subcode(self.subcodes)}</s:Code>"
            f'<s:Reason><s:Text xml:lang="en">{escape(self.reason)}</s:Text></s:Reason>'
            f"{detail}</s:Fault>"
        ).encode()

    def soap11_body(self) -> bytes:
        """Render the ``s:Fault`` for a sender that speaks SOAP 1.1 (SOAP 1.1, 4.4)."""
        detail = f"<detail>{self.detail_xml}</detail>" if self.detail_xml else ""
        return (
            f"<s:Fault><faultcode>{_SOAP11_CODES.get(self.code, self.code)}</faultcode>"
            f"<faultstring>{escape(self.reason)}</faultstring>{detail}</s:Fault>"
        ).encode()


def _subcode(subcodes: tuple[str, ...]) -> str:
    if not subcodes:
        return ""
    prefix = subcodes[0].partition(":")[0]
    # here, since CXF does not find a prefix of a value that the envelope alone declares
    bound = "" if prefix == "s" else f' xmlns:{prefix}="{_PREFIXES[prefix]}"'
    return f"<s:Subcode><s:Value{bound}>{subcodes[0]}</s:Value>{_subcode(subcodes[1:])}</s:Subcode>"


def quotable(text: str) -> str:
    """Return what a sender has written so that a fault can quote it: short, and fit for XML."""
    return _NOT_XML.sub("?", text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}…")


def sender(reason: str, *subcodes: str, detail: str = "") -> SoapFault:
    """Return a fault of the message."""
    return SoapFault(SENDER, reason, *subcodes, detail=detail)


def receiver(reason: str) -> SoapFault:
    """Return a fault of the server."""
    return SoapFault(RECEIVER, reason)


def version_mismatch(namespace: str | None) -> SoapFault:
    """Return the fault for an envelope that is not SOAP 1.2 (SOAP 1.2 part 1, 5.4.7).

    For one of SOAP 1.1 it is a message of SOAP 1.1, which its sender can read.
    """
    is_soap11 = namespace == v.NS_SOAP11
    sent = "is one of SOAP 1.1" if is_soap11 else "is not one of SOAP 1.2"
    return SoapFault(
        VERSION_MISMATCH,
        f"The envelope {sent}. Send SOAP 1.2: the namespace {v.NS_SOAP12} and the content type "
        "application/soap+xml.",
        header=_UPGRADE,
        is_soap11=is_soap11,
    )


def must_understand(namespace: str, name: str) -> SoapFault:
    """Return the fault for a mandatory header that is not processed (SOAP 1.2 part 1, 5.4.8)."""
    uri = escape(namespace)
    return SoapFault(
        MUST_UNDERSTAND,
        quotable(f"The mandatory header {{{namespace}}}{name} is not understood."),
        header=f'<s:NotUnderstood xmlns:s="{v.NS_SOAP12}" xmlns:n="{uri}" '
        f'qname="n:{escape(name)}"/>',
    )
