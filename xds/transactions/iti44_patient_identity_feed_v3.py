"""ITI-44 Patient Identity Feed HL7 V3 (ITI TF-2 3.44): add, revise and merge.

Only the identifiers are looked at, and of those only the affinity domain's. The wrappers of a
message may lack what the Technical Framework's own samples lack; nothing depends on them.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from lxml import etree

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.database.errors import DatabaseUnavailable
from xds.errors import (
    FailureKind,
    RegistryError,
    Violation,
    XDSRegistryBusy,
    XDSRegistryError,
    kind_of,
)
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_44, SoapMessages
from xds.metadata.datatypes import CX
from xds.metadata.ebrim import escape
from xds.metadata.white_space import trimmed
from xds.registry.identities import IdentityRefused, PatientIdentities
from xds.security.access import Access, MessageHeader
from xds.security.details import FeedDetails
from xds.transactions.messages import Request, Response
from xds.transactions.transaction import BUSY, Describer, Transaction

_HL7: Final = f"{{{v.NS_HL7V3}}}"
_ANSWER: Final = "MCCI_IN000002UV01"
_INTERACTIONS: Final = "2.16.840.1.113883.1.6"
_ERROR_CODES: Final = "2.16.840.1.113883.12.357"
"""The code system of HL7 table 0357."""

_COMMITTED: Final = "CA"
_ERROR: Final = "CE"

_log = logs.get_logger(__name__)


def _path(*names: str) -> str:
    return "/".join(f"{_HL7}{name}" for name in names)


_SUBJECTS: Final = _path("controlActProcess", "subject")
_PATIENT_IDS: Final = _path("registrationEvent", "subject1", "patient", "id")
_PRIOR_IDS: Final = _path(
    "registrationEvent",
    "replacementOf",
    "priorRegistration",
    "subject1",
    "priorRegisteredRole",
    "id",
)


@dataclass(frozen=True, slots=True)
class _Detail:
    """One acknowledgementDetail; the text names no patient."""

    code: str
    text: str
    location: str = ""


class _FeedRefused(Exception):
    """The content of a message is refused."""

    def __init__(self, *details: _Detail) -> None:
        super().__init__(", ".join(detail.text for detail in details))
        self.details = details


# --- what is asked -------------------------------------------------------------------------------


Note = Callable[[PatientIdentities, etree._Element, Access], Sequence[str]]
"""Reads the patients of a subject, sets the details of the access, and returns the patients."""
Act = Callable[[PatientIdentities, Sequence[str], Access], None]


def _noted(identities: PatientIdentities, subject: etree._Element, access: Access) -> Sequence[str]:
    """Read the patient's ids."""
    patient_ids = _kept(identities, subject, _PATIENT_IDS)
    access.details = FeedDetails.of(patient_ids)
    return patient_ids


def _revised(
    identities: PatientIdentities, subject: etree._Element, access: Access
) -> Sequence[str]:
    access.details = FeedDetails(action="U")
    patient_ids = _kept(identities, subject, _PATIENT_IDS)
    access.details = FeedDetails.of(patient_ids, "U")
    return patient_ids


def _merged(
    identities: PatientIdentities, subject: etree._Element, access: Access
) -> Sequence[str]:
    """Read the id of the prior registration and that of the surviving one."""
    surviving = _kept(identities, subject, _PATIENT_IDS)
    subsumed = _kept(identities, subject, _PRIOR_IDS)
    pairs = [(old, new) for old in subsumed for new in surviving if _domain(old) == _domain(new)]
    if len(pairs) != 1:
        raise _FeedRefused(
            _Detail("204", "the message does not name one subsumed and one surviving id")
        )
    old, new = pairs[0]
    access.details = FeedDetails.merge(subsumed=old, surviving=new)
    return pairs[0]


def _add(identities: PatientIdentities, patient_ids: Sequence[str], access: Access) -> None:
    """Make the patient's ids known; a revision may be the first that is heard of a patient."""
    identities.add(*patient_ids, in_commit=access.commit)


def _merge(identities: PatientIdentities, patient_ids: Sequence[str], access: Access) -> None:
    """Merge the prior registration's patient into the surviving one (ITI TF-2 3.44.4.2.3)."""
    old, new = patient_ids
    identities.merge(subsumed=old, surviving=new, in_commit=access.commit)


def _domain(patient_id: str) -> str:
    return patient_id.rpartition("^")[2]


def _kept(identities: PatientIdentities, subject: etree._Element, path: str) -> Sequence[str]:
    """Return the ids at a path that are of the affinity domain, as metadata writes them."""
    location = "/".join(step.rpartition("}")[2] for step in path.split(f"/{_HL7}"))
    found = [
        (root, extension)
        for element in subject.iterfind(path)
        if (root := trimmed(element.get("root", "")))
        and (extension := trimmed(element.get("extension", "")))
    ]
    if not found:
        raise _FeedRefused(_Detail("101", "there is no patient id", location))
    authority = identities.assigning_authority
    kept = [one for one in found if datatypes.is_oid(one[0]) and authority in (None, one[0])]
    if not kept:
        reason = "no patient id is of the assigning authority of this affinity domain"
        raise _FeedRefused(_Detail("204", reason, location))
    try:
        return list(dict.fromkeys(str(CX(extension, root)) for root, extension in kept))
    except ValueError:
        raise _FeedRefused(
            _Detail("102", "the patient id is not a text of one line", location)
        ) from None


def _subject(message: etree._Element) -> etree._Element:
    subjects = message.findall(_SUBJECTS)
    if len(subjects) != 1:
        raise _FeedRefused(
            _Detail("100", "a message is of one patient", "controlActProcess/subject")
        )
    return subjects[0]


# --- the answer ----------------------------------------------------------------------------------


def _handler(note: Note, act: Act) -> Callable[[AffinityDomain, Request], Response]:
    """Return the handler of a row: the act, and the acknowledgement of what came of it."""

    def handle(domain: AffinityDomain, request: Request) -> Response:
        access = request.access
        access.message = _header(access.message, request.body)
        refused_as = FailureKind.REFUSED
        try:
            act(domain.identities, note(domain.identities, _subject(request.body), access), access)
            return _acknowledged(request.body, _COMMITTED)
        except _FeedRefused as refusal:
            details: Sequence[_Detail] = refusal.details
        except IdentityRefused as refusal:
            details = [_Detail(one.fault.code, str(one)) for one in refusal.findings]
        except DatabaseUnavailable as error:
            _log.error("not available", transaction=ITI_44.name, exc_info=error)
            refused_as, details = kind_of(error), [_Detail("207", BUSY)]
        access.refused_as = refused_as
        access.violations = tuple(Violation(one.code, one.location) for one in details)
        return _acknowledged(request.body, _ERROR, details)

    return handle


def _describer(note: Note) -> Describer:
    def describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
        access.message = _header(access.message, body)
        with suppress(_FeedRefused):
            note(domain.identities, _subject(body), access)

    return describe


def _header(of_soap: MessageHeader, message: etree._Element) -> MessageHeader:
    """Add the id of the message as an audit record has it: ``root^extension``."""
    element = message.find(f"{_HL7}id")
    parts = () if element is None else (element.get("root", ""), element.get("extension", ""))
    return replace(of_soap, message_id="^".join(filter(None, parts)))


def refused(errors: Sequence[RegistryError]) -> Response:
    """Acknowledge a message that cannot be named any more."""
    nobody = etree.Element("nobody")
    return _acknowledged(nobody, _ERROR, [_Detail("207", one.code_context) for one in errors])


def _acknowledged(message: etree._Element, code: str, details: Iterable[_Detail] = ()) -> Response:
    """Render MCCI_IN000002UV01 to the sender of a message (ITI TF-2x O.1)."""
    sender = _identifier(message.find(_path("sender", "device", "id")))
    receiver = _identifier(message.find(_path("receiver", "device", "id")))
    device = 'device classCode="DEV" determinerCode="INSTANCE"'
    return Response(
        [
            (
                f'<{_ANSWER} xmlns="{v.NS_HL7V3}" ITSVersion="XML_1.0"><id root="{uuid4()}"/>'
                f'<creationTime value="{datatypes.now()}"/>'
                f'<interactionId root="{_INTERACTIONS}" extension="{_ANSWER}"/>'
                '<processingCode code="P"/><processingModeCode code="T"/><acceptAckCode code="NE"/>'
                f'<receiver typeCode="RCV"><{device}>{sender}</device></receiver>'
                f'<sender typeCode="SND"><{device}>{receiver}</device></sender>'
                f'<acknowledgement><typeCode code="{code}"/><targetMessage>'
                f"{_identifier(message.find(f'{_HL7}id'))}</targetMessage>"
                f"{''.join(map(_detail, details))}</acknowledgement></{_ANSWER}>"
            ).encode()
        ]
    )


def _identifier(element: etree._Element | None) -> str:
    """Return an instance identifier as it was sent, or one that says that it was not."""
    attributes = {} if element is None else element.attrib
    kept = {name: attributes[name] for name in ("root", "extension") if name in attributes}
    written = "".join(f' {name}="{escape(value)}"' for name, value in kept.items())
    return f"<id{written}/>" if "root" in kept else '<id nullFlavor="UNK"/>'


def _detail(detail: _Detail) -> str:
    location = f"<location>{escape(detail.location)}</location>" if detail.location else ""
    return (
        '<acknowledgementDetail typeCode="E">'
        f'<code code="{detail.code}" codeSystem="{_ERROR_CODES}"/>'
        f"<text>{escape(detail.text)}</text>{location}</acknowledgementDetail>"
    )


def _transaction(messages: SoapMessages, note: Note, act: Act) -> Transaction:
    return Transaction(
        catalogued=ITI_44,
        messages=messages,
        handler=_handler(note, act),
        describer=_describer(note),
        refusal=refused,
        invalid=XDSRegistryError,
        failed=XDSRegistryError,
        busy=XDSRegistryBusy,
    )


_MESSAGES: Final = {one.operation: one for one in ITI_44.soap}
ADD: Final = _transaction(_MESSAGES["PRPA_IN201301UV02"], _noted, _add)
REVISE: Final = _transaction(_MESSAGES["PRPA_IN201302UV02"], _revised, _add)
MERGE: Final = _transaction(_MESSAGES["PRPA_IN201304UV02"], _merged, _merge)
