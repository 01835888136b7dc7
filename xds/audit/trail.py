"""The interceptor that records every access (ITI TF-2 3.20)."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from xds import logs
from xds.audit import table
from xds.audit import vocabulary as av
from xds.audit.participants import recorded_patients
from xds.audit.record import (
    MINOR_FAILURE,
    SECURITY_RESOURCE,
    SERIOUS_FAILURE,
    SUCCESS,
    ActiveParticipant,
    AuditRecord,
    Coded,
    ParticipantObject,
    ParticipantObjectDetail,
    RecordJson,
    now,
)
from xds.audit.spool import Spool
from xds.errors import FailureKind, Violation, kind_of
from xds.metadata.objects import Code
from xds.security.access import Access
from xds.security.caller import Caller
from xds.security.details import Details, NotificationDetails
from xds.security.errors import NodeAuthenticationFailed
from xds.security.interceptors import SUCCESS as DONE
from xds.security.interceptors import NotRecorded, Outcome, Result

_log = logs.get_logger(__name__)
_MOST_SAID: Final = 20
"""Errors of one refusal that its record names."""

_AUDIT_LOG: Final = "audit log"
"""In place of a transaction, where somebody reads the records."""


@dataclass(frozen=True, slots=True)
class AuditTrail:
    """Records each access: in the commit of a change, else on the disk before the answer leaves."""

    spool: Spool
    on_failure: Literal["refuse", "warn"] = "refuse"
    registry: str = ""
    """The URL of a registry elsewhere, whose commit cannot have the record."""

    def enter(self, access: Access) -> None:
        """Have the record of a change written in its commit."""
        if self.registry:
            access.on_commit.append(partial(_note_forwarding, access))
            return
        writing = _RecordsInCommit(access)
        access.on_prepare.append(writing.prepare)
        access.on_commit.append(writing.write)

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Record what no commit has recorded; NotRecorded where that fails."""
        if outcome.is_success and access.is_recorded:
            return
        if outcome.denied is not None:
            _describe(access)
        written = list(records(access, outcome))
        if access.is_forwarded:
            written += records(access, outcome, elsewhere=self.registry)
        self.record(written)

    def record(self, written: Sequence[AuditRecord]) -> None:
        """Make records durable; NotRecorded where that fails and nothing may be released."""
        if not written:
            return
        try:
            self.spool.write(written)
        except OSError as error:
            if self.on_failure == "refuse":
                raise NotRecorded from error
            _log.error("an access was not recorded", exc_info=error)


def _describe(access: Access) -> None:
    """Have the details of a request set that was denied unread; its answer stays what it is."""
    describe, access.describe = access.describe, None
    if describe is None:
        return
    try:
        describe(access)
    except Exception as error:
        told = {"transaction": access.transaction, "reason": type(error).__name__}
        if kind_of(error) is FailureKind.INTERNAL:
            _log.error("what a denied request is about cannot be recorded", **told, exc_info=error)
        else:
            _log.info("what a denied request is about cannot be read", **told)


@dataclass(slots=True)
class _RecordsInCommit:
    """The records of one access, on their way into its commit."""

    access: Access
    of: Details | None = None
    """The details that the records were made of."""
    made: Sequence[RecordJson] | None = None

    def prepare(self) -> None:
        """Make the records of what the details are by now."""
        self.of = self.access.details
        self.made = [one.json() for one in records(self.access, DONE)]

    def write(self, connection: Any) -> None:
        """Write the records; called again where the commit is tried again."""
        if self.made is None or self.of is not self.access.details:
            self.prepare()
        table.insert(connection, self.made or ())
        self.access.is_recorded = True


def _note_forwarding(access: Access, _connection: Any) -> None:
    """Note that ITI-42 is about to be sent: its documents are entered just before that."""
    access.is_forwarded = True


# --- what is recorded ----------------------------------------------------------------------------


def records(access: Access, outcome: Outcome, *, elsewhere: str = "") -> Iterator[AuditRecord]:
    """Yield the records of one access: one for each patient; none of what is no transaction.

    Given the URL of a registry elsewhere, those of the ITI-42 that was sent there because of it.
    """
    if outcome.unauthenticated is not None:
        yield _unauthenticated(access, outcome)
        return
    event = av.EVENTS.get(access.transaction) if not elsewhere else av.REGISTERING
    if event is not None:
        yield from _records(access, outcome, event, elsewhere)


def of_notification(
    transaction: str, details: NotificationDetails, consumer: str
) -> Iterator[AuditRecord]:
    """Yield the records of what a consumer, a URL, has taken: one for each patient.

    ``transaction`` is one of :data:`xds.audit.vocabulary.NOTIFYING` or of its ``SENDING``.
    """
    access = Access(transaction=transaction, details=details)
    event = av.NOTIFYING.get(transaction) or av.SENDING[transaction]
    return _records(access, DONE, event, consumer)


def _records(
    access: Access, outcome: Outcome, event: av.AuditEvent, elsewhere: str
) -> Iterator[AuditRecord]:
    read = av.READS.get(access.interaction)
    indicator, description = _told(access, outcome)
    made = partial(
        _record,
        access,
        transaction=event.event_type.code,
        event=event.event,
        event_type=event.event_type,
        subtype=read or event.subtype,
        serves_as_source=event.serves_as_source,
        path=event.path,
    )
    if elsewhere:
        host = urlsplit(elsewhere).hostname or ""
        made = partial(made, node=elsewhere, address=host, initiates=True)
    tells_release = indicator == SUCCESS or outcome.denied is not None
    for one in recorded_patients(access, event, tells_release=tells_release):
        code = indicator if one.outcome is None else one.outcome
        yield made(
            action=one.action or ("R" if read else event.action),
            outcome=code,
            description=description or ("" if code == SUCCESS else "not all was released"),
            patient_id=one.patient_id,
            things=one.objects,
        )


def _told(access: Access, outcome: Outcome) -> tuple[int, str]:
    """Return the EventOutcomeIndicator, and what is said of a failure."""
    if outcome.denied is not None:
        return MINOR_FAILURE, f"denied: {outcome.denied.rule or outcome.denied}"
    codes = "; ".join(dict.fromkeys(map(_said, outcome.violations[:_MOST_SAID])))
    if outcome.result is Result.ERROR:
        return SERIOUS_FAILURE, codes or "the server could not answer"
    if not (outcome.is_success or outcome.result is Result.PARTIAL):
        return MINOR_FAILURE, codes or "the request was refused"
    if access.break_glass:
        return SUCCESS, f"emergency access, permitted by: {', '.join(access.permitted_by)}"
    return SUCCESS, ""


def _said(violation: Violation) -> str:
    """Return the code of an error, and what is wrong by which rule; no value of any message."""
    at = f" at {violation.attribute}" if violation.attribute else ""
    by = f" by {violation.rule}" if violation.rule else ""
    return f"{violation.code}{at}{by}"


def _unauthenticated(access: Access, outcome: Outcome) -> AuditRecord:
    """Return the record of one who was not let in (ITI TF-2 3.19, 3.40.4.2)."""
    of_node = isinstance(outcome.unauthenticated, NodeAuthenticationFailed)
    event = av.SECURITY_ALERT if of_node else av.USER_AUTHENTICATION
    return _record(
        access,
        transaction=access.transaction or av.AUTHENTICATE_NODE,
        event=event,
        event_type=av.NODE_AUTHENTICATION if of_node else av.LOGIN,
        action="E",
        outcome=SERIOUS_FAILURE,
        description=str(outcome.unauthenticated),
    )


def _record(
    access: Access, *, node: str | None = None, address: str | None = None, **told: Any
) -> AuditRecord:
    """Return a record of what is told, with who asked; unless named, that is the node itself."""
    caller, message = access.caller, access.message
    if node is None:
        node = message.sender or caller.node.certificate_subject or ""
    return AuditRecord(
        id=str(uuid4()),
        at=now(),
        address=caller.node.address if address is None else address,
        node=node,
        server=message.receiver,
        process=os.getpid(),
        actor=_actor(caller),
        purposes=tuple(map(_coded, caller.user.purposes_of_use)) if caller.user else (),
        **told,
    )


def _actor(caller: Caller) -> ActiveParticipant | None:
    user = caller.user
    if user is None:
        return None
    return ActiveParticipant(
        user_id=user.name_id, user_name=user.audit_name, roles=tuple(map(_coded, user.roles))
    )


def _coded(code: Code) -> Coded:
    return Coded(code.code, code.coding_scheme, code.display_name or code.code)


# --- the application itself ----------------------------------------------------------------------


def of_application(event_type: Coded) -> AuditRecord:
    """Return the record of this program's start or stop (ITI TF-2 3.20.4.1.1.1)."""
    return _of_server("application", av.APPLICATION_ACTIVITY, event_type)


def of_configuration(digest: str) -> AuditRecord:
    """Return the record of a policy that is not the one of before."""
    described = f"the policy in force has the SHA-256 {digest}" if digest else "there is no policy"
    return _of_server("configuration", av.SECURITY_ALERT, av.SECURITY_CONFIGURATION, described)


def of_use(person: str, log: str, asked: str) -> AuditRecord:
    """Return the record of someone's reading of the records (DICOM PS3.15 A.5.3.2).

    ``log`` is the URI of the table, ``asked`` what was asked for.
    """
    return _of_server(
        _AUDIT_LOG,
        av.AUDIT_LOG_USED,
        av.AUDIT_LOG_USED,
        action="R",
        actor=ActiveParticipant(user_id=person, user_name=person),
        things=(_records_asked(log, asked),),
    )


def of_reading(caller: Caller, asked: str) -> AuditRecord:
    """Return the same of somebody at the console, who is known to it."""
    return _record(
        Access(transaction=av.CONSOLE, caller=caller),
        transaction=_AUDIT_LOG,
        event=av.AUDIT_LOG_USED,
        event_type=av.AUDIT_LOG_USED,
        action="R",
        outcome=SUCCESS,
        things=(_records_asked("audit_record", asked),),
    )


def _records_asked(log: str, asked: str) -> ParticipantObject:
    details = (ParticipantObjectDetail("query", asked),)
    return ParticipantObject(
        type_code=2, role=SECURITY_RESOURCE, id=log, id_type=av.URI, details=details
    )


def of_authentication(caller: Caller, *, ends: bool = False, failure: str = "") -> AuditRecord:
    """Return the record of somebody who has logged in or out here (DICOM PS3.15 A.5.3.13).

    ``failure`` says why somebody was not let in; it quotes nothing of what they gave.
    """
    return _record(
        Access(transaction=av.CONSOLE, caller=caller),
        transaction=av.CONSOLE,
        event=av.USER_AUTHENTICATION,
        event_type=av.LOGOUT if ends else av.LOGIN,
        action="E",
        outcome=MINOR_FAILURE if failure else SUCCESS,
        description=failure,
    )


def of_emergency(caller: Caller, patient_id: str, reason: str) -> AuditRecord:
    """Return the record of somebody who breaks the glass for a patient (DICOM PS3.15 A.5.3.11)."""
    return _record(
        Access(transaction=av.CONSOLE, caller=caller),
        transaction=av.CONSOLE,
        event=av.SECURITY_ALERT,
        event_type=av.EMERGENCY_OVERRIDE,
        action="E",
        outcome=SUCCESS,
        description=f"emergency access, for the reason: {reason}",
        patient_id=patient_id,
    )


def of_action(
    caller: Caller,
    action: str,
    target: str,
    description: str = "",
    patient_id: str | None = None,
) -> AuditRecord:
    """Return the record of what somebody has done to the server, such as to pause a destination.

    ``action`` is what it is called, ``target`` names what it was done to; ``patient_id`` is a CX.
    """
    return _record(
        Access(transaction=av.CONSOLE, caller=caller),
        transaction=av.CONSOLE,
        event=av.APPLICATION_ACTIVITY,
        event_type=Coded(action, av.ACTIONS, action),
        action="E",
        outcome=SUCCESS,
        description=description,
        patient_id=patient_id,
        things=(ParticipantObject(type_code=2, role=20, id=target, id_type=av.URI),),
    )


def _of_server(
    kind: str, event: Coded, event_type: Coded, description: str = "", **more: Any
) -> AuditRecord:
    told = {"action": "E", "outcome": SUCCESS, "description": description, **more}
    return AuditRecord(
        id=str(uuid4()),
        at=now(),
        transaction=kind,
        event=event,
        event_type=event_type,
        process=os.getpid(),
        **told,
    )
