"""A record as the XML of an audit message (DICOM PS3.15 A.5, as ITI TF-2 3.20.7 constrains it)."""

import base64
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from xds.audit.record import (
    SECURITY_RESOURCE,
    ActiveParticipant,
    AuditRecord,
    Coded,
    ParticipantObject,
)
from xds.audit.vocabulary import APPLICATION, DESTINATION, PATIENT_NUMBER, SOURCE
from xds.metadata.ebrim import escape

_ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"
_PERSON: Final = 1
_UNKNOWN: Final = "unknown"
_NAMES: Final = {SECURITY_RESOURCE: "Security Audit Log"}
"""What an object is called, by its role."""
_APPLICATION_SERVER: Final = Coded("4", "DCM", "Application Server Process or Thread")
_NOT_XML: Final = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSource:
    """Who writes the records (options ``audit_source_id``, ``audit_enterprise_site_id``)."""

    source_id: str
    enterprise_site_id: str = ""
    base: str = ""
    """The URL below which this server answers."""
    address: str = "127.0.0.1"


def render(record: AuditRecord, source: AuditSource) -> bytes:
    """Return the message, UTF-8, with its XML declaration."""
    return "".join(_parts(record, source)).encode()


def _parts(record: AuditRecord, source: AuditSource) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
    yield (
        f'<EventIdentification EventActionCode="{record.action}" '
        f'EventDateTime="{record.at}" EventOutcomeIndicator="{record.outcome}">'
    )
    yield _coded("EventID", record.event)
    if record.subtype:
        yield _coded("EventTypeCode", record.subtype)
    if record.event_type != record.event:
        yield _coded("EventTypeCode", record.event_type)
    if record.description:
        yield f"<EventOutcomeDescription>{_text(record.description)}</EventOutcomeDescription>"
    for purpose in record.purposes:
        yield _coded("PurposeOfUse", purpose)
    yield "</EventIdentification>"
    yield from _participants(record, source)
    site = source.enterprise_site_id
    yield (
        f'<AuditSourceIdentification AuditSourceID="{_text(source.source_id)}"'
        + (f' AuditEnterpriseSiteID="{_text(site)}"' if site else "")
        + f">{_coded('AuditSourceTypeCode', _APPLICATION_SERVER)}</AuditSourceIdentification>"
    )
    if record.patient_id is not None:
        yield _object(_patient(record))
    for participant in record.things:
        if participant.type_code != _PERSON:  # that is the patient, who stands before
            yield _object(participant)
    yield "</AuditMessage>"


def _patient(record: AuditRecord) -> ParticipantObject:
    """Return the patient, with the details that the rest of the record has no other place for."""
    details = next((one.details for one in record.things if one.type_code == _PERSON), ())
    return ParticipantObject(
        type_code=_PERSON,
        role=1,
        id=record.patient_id or "",
        id_type=PATIENT_NUMBER,
        details=details,
    )


def _participants(record: AuditRecord, source: AuditSource) -> Iterator[str]:
    """Yield the participants in the order source, user, destination."""
    if record.path == "" and record.address == "":
        yield _server(record, source, APPLICATION)  # of nobody's asking, or of someone's here
        if record.actor is not None:
            yield _user(record.actor)
        return
    server_role, client_role = (
        (SOURCE, DESTINATION) if record.serves_as_source else (DESTINATION, SOURCE)
    )
    server = _server(record, source, server_role)
    client = (
        f'<ActiveParticipant UserID="{_text(record.node) or _ANONYMOUS}" '
        f'UserIsRequestor="{_flag(not record.initiates)}" {_access_point(record.address)}>'
        f"{_coded('RoleIDCode', client_role)}</ActiveParticipant>"
    )
    user = _user(record.actor) if record.actor else ""
    yield from (server, client, user) if record.serves_as_source else (client, user, server)


def _server(record: AuditRecord, source: AuditSource, role: Coded) -> str:
    name = record.server or source.base + record.path or _UNKNOWN
    return (
        f'<ActiveParticipant UserID="{_text(name)}" AlternativeUserID="{record.process}" '
        f'UserIsRequestor="{_flag(record.initiates)}" {_access_point(source.address)}>'
        f"{_coded('RoleIDCode', role)}</ActiveParticipant>"
    )


def _access_point(address: str) -> str:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        kind = 1  # a name
    else:
        kind = 2
    return (
        f'NetworkAccessPointID="{_text(address) or _UNKNOWN}" NetworkAccessPointTypeCode="{kind}"'
    )


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _user(actor: ActiveParticipant) -> str:
    roles = "".join(_coded("RoleIDCode", role) for role in actor.roles)
    return (
        f'<ActiveParticipant UserID="{_text(actor.user_id)}" UserName="{_text(actor.user_name)}" '
        f'UserIsRequestor="true">{roles}</ActiveParticipant>'
    )


def _object(participant: ParticipantObject) -> str:
    named = f"<ParticipantObjectName>{_NAMES.get(participant.role, '')}</ParticipantObjectName>"
    query = f"<ParticipantObjectQuery>{_base64(participant.query)}</ParticipantObjectQuery>"
    details = "".join(
        f'<ParticipantObjectDetail type="{_text(one.type)}" value="{_base64(one.value)}"/>'
        for one in participant.details
    )
    return (
        f'<ParticipantObjectIdentification ParticipantObjectID="{_text(participant.id)}" '
        f'ParticipantObjectTypeCode="{participant.type_code}" '
        f'ParticipantObjectTypeCodeRole="{participant.role}">'
        f"{_coded('ParticipantObjectIDTypeCode', participant.id_type)}"
        f"{named if participant.query is None else query}{details}"
        "</ParticipantObjectIdentification>"
    )


def _coded(name: str, value: Coded) -> str:
    code, system, text = map(_text, value)
    return f'<{name} csd-code="{code}" codeSystemName="{system}" originalText="{text}"/>'


def _base64(text: str | None) -> str:
    return base64.b64encode((text or "").encode()).decode()


def _text(text: str) -> str:
    return escape(text.translate(_NOT_XML))
