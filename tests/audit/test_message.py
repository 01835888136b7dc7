"""The XML of records, by transaction: valid, and with what ITI TF-2 and MHD want in it."""

import base64
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from lxml import etree

from tests.reference import REFERENCE
from tests.waiting import PATIENCE
from xds.audit import trail
from xds.audit import vocabulary as av
from xds.audit.message import AuditSource, render
from xds.audit.record import AuditRecord
from xds.audit.spool import Spool
from xds.audit.syslog import Sender
from xds.metadata.catalogue import CATALOGUE, TransactionKind
from xds.metadata.objects import SubmissionSet
from xds.metadata.submission import Submission
from xds.security.access import Access, MessageHeader
from xds.security.caller import Caller
from xds.security.details import (
    Details,
    FeedDetails,
    MetadataRemovalDetails,
    NotificationDetails,
    PatientDetails,
    QueryDetails,
    RemovedObject,
    RequestedDocument,
    RetrieveDetails,
    SubmissionDetails,
    SubscriptionDetails,
)
from xds.security.errors import AuthenticationFailed, NodeAuthenticationFailed
from xds.security.interceptors import Outcome, Result
from xds.security.node import Node
from xds.url_allowlist import SyslogTarget

SOURCE: Final = AuditSource(source_id="hub", base="http://hub:8080", address="hub")
PATIENT: Final = "P1^^^&2.999.1.1&ISO"
SUBMITTED: Final = SubmissionDetails(
    Submission((SubmissionSet.create(unique_id="2.999.7", patient_id=PATIENT),))
)
DETAILS: Final[Mapping[TransactionKind, Details]] = {
    TransactionKind.QUERY: QueryDetails("List", lambda: "a=1", lambda: (PATIENT,), 1),
    TransactionKind.SUBMIT: SUBMITTED,
    TransactionKind.UPDATE: SUBMITTED,
    TransactionKind.REMOVE: MetadataRemovalDetails(
        (RemovedObject("urn:uuid:1", "DocumentEntry", patient_id=PATIENT),)
    ),
    TransactionKind.RETRIEVE: RetrieveDetails((RequestedDocument("2.999.1", "2.999.2"),)),
    TransactionKind.FEED: FeedDetails.of([PATIENT]),
    TransactionKind.SUBSCRIBE: SubscriptionDetails(
        "http://hub:8080/notification/1", "urn:uuid:2", lambda: "a=1", (PATIENT,)
    ),
}
SCHEMA: Final = REFERENCE / "atna" / "dicom2017c.xsd"


def asked(transaction: str) -> Access:
    return Access(transaction=transaction, caller=Caller(node=Node(address="192.0.2.1")))


def message(record: AuditRecord) -> etree._Element:
    """Render a record as it comes back from where it was kept."""
    root = etree.fromstring(render(AuditRecord.load(record.dump()), SOURCE))
    if SCHEMA.exists():
        etree.XMLSchema(etree.parse(str(SCHEMA))).assertValid(root)
    return root


def types(root: etree._Element) -> list[tuple[str | None, str | None]]:
    return [(e.get("csd-code"), e.get("codeSystemName")) for e in root.iter("EventTypeCode")]


def points(root: etree._Element) -> list[tuple[str | None, ...]]:
    names = ("UserID", "UserIsRequestor", "NetworkAccessPointID", "NetworkAccessPointTypeCode")
    return [tuple(map(e.get, names)) for e in root.iter("ActiveParticipant")]


@pytest.mark.parametrize("transaction", av.EVENTS)
@pytest.mark.parametrize("refused", [False, True])
def test_each_is_valid(transaction: str, refused: bool) -> None:
    access = asked(transaction)
    access.details = DETAILS[next(row.kind for row in CATALOGUE if row.name == transaction)]
    (record,) = trail.records(access, Outcome(Result.FAILURE if refused else Result.SUCCESS))
    root = message(record)
    assert root.find("EventIdentification").get("EventOutcomeIndicator") == (
        "4" if refused else "0"
    )
    assert record.patient_id == PATIENT or isinstance(access.details, RetrieveDetails)
    count = {FeedDetails: 0, SubscriptionDetails: 2}.get(type(access.details), 1)
    assert len(record.things) == count


@pytest.mark.parametrize("transaction", [*av.NOTIFYING, *av.SENDING])
def test_each_that_is_sent_is_valid(transaction: str) -> None:
    details = NotificationDetails((RemovedObject("urn:uuid:1", "Folder", patient_id=PATIENT),))
    (record,) = trail.of_notification(transaction, details, "https://portal.example/hook")
    assert types(message(record)) == [(transaction, record.event_type.system)]
    assert points(message(record))[1][:2] == ("https://portal.example/hook", "false")
    assert (record.event.code, record.patient_id) == ("110106", PATIENT)


def test_a_read_of_one_resource_is_recorded_with_its_patient_alone() -> None:
    access = asked("ITI-67")
    access.interaction, access.details = "read", PatientDetails((PATIENT, None, PATIENT))
    (record,) = trail.records(access, Outcome())
    assert (record.action, record.patient_id, record.things) == ("R", PATIENT, ())
    message(record)


def test_a_merge_deletes_one_patient_and_updates_the_other() -> None:
    access = asked("ITI-8")
    access.details = FeedDetails.merge(subsumed="P2", surviving=PATIENT)
    told = [(one.patient_id, one.action) for one in trail.records(access, Outcome())]
    assert told == [("P2", "D"), (PATIENT, "U")]


def test_a_patient_of_a_query_and_of_its_result_is_recorded_once() -> None:
    access = asked("ITI-67")
    access.details = QueryDetails("List", lambda: "a=1", lambda: (PATIENT, None, "P2", PATIENT))
    assert [one.patient_id for one in trail.records(access, Outcome())] == [PATIENT, "P2"]


def test_a_message_of_a_feed_has_its_patient_once_and_the_names_of_both_ends() -> None:
    access = asked("ITI-8")
    access.details = FeedDetails.of([PATIENT])
    access.message = MessageHeader("M1", "NORTH|PAS", "HUB|REG")
    (record,) = trail.records(access, Outcome())
    root = message(record)
    (patient,) = root.iter("ParticipantObjectIdentification")
    (detail,) = patient.iter("ParticipantObjectDetail")
    assert (detail.get("type"), base64.b64decode(detail.get("value"))) == ("MSH-10", b"M1")
    assert points(root) == [
        ("NORTH|PAS", "true", "192.0.2.1", "2"),
        ("HUB|REG", "false", "hub", "1"),
    ]


def test_a_search_and_a_read_by_fhir_are_told_apart() -> None:
    found, read = asked("ITI-67"), asked("ITI-67")
    found.interaction, read.interaction = "search-type", "read"
    ((search,), (single,)) = (tuple(trail.records(one, Outcome())) for one in (found, read))
    assert (search.action, single.action) == ("E", "R")
    of_fhir, of_ihe = "http://hl7.org/fhir/restful-interaction", "urn:ihe:event-type-code"
    assert types(message(search)) == [("search", of_fhir), ("ITI-67", of_ihe)]
    assert types(message(single)) == [("read", of_fhir), ("ITI-67", of_ihe)]


def test_a_start_is_of_the_application_alone() -> None:
    root = message(trail.of_application(av.APPLICATION_START))
    (role,) = root.iter("RoleIDCode")
    assert role.get("csd-code") == "110150"


def test_a_policy_is_the_configuration_of_security() -> None:
    assert types(message(trail.of_configuration("00"))) == [("110129", "DCM")]


def test_who_was_not_let_in() -> None:
    user = Outcome.of(AuthenticationFailed("no assertion"))
    node = Outcome.of(NodeAuthenticationFailed("no certificate"))
    (of_user,), (of_node,) = (tuple(trail.records(asked("ITI-18"), one)) for one in (user, node))
    assert types(message(of_user)) == [("110122", "DCM")]
    assert types(message(of_node)) == [("110126", "DCM")]


def test_what_is_registered_elsewhere_is_recorded_as_sent_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    interceptor = trail.AuditTrail(spool, registry="http://registry.example/registry")
    access = asked("ITI-41")
    one = SubmissionSet.create(unique_id="2.999.7", patient_id=PATIENT)
    access.submits(Submission((one,)))
    interceptor.enter(access)
    access.commit(None)  # as the repository does before it sends
    interceptor.leave(access, Outcome())
    (spool_file,) = spool.taken()
    taken_in, sent = map(AuditRecord.load, spool_file.lines())
    spool_file.close()
    spool.close()
    assert (taken_in.transaction, taken_in.event.code, taken_in.action) == ("ITI-41", "110107", "C")
    assert (sent.transaction, sent.event.code, sent.action) == ("ITI-42", "110106", "R")
    assert points(message(sent)) == [
        ("http://hub:8080/repository", "true", "hub", "1"),
        ("http://registry.example/registry", "false", "registry.example", "1"),
    ]
    assert sent.things == taken_in.things


def test_an_attempt_that_was_refused_before_was_not_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    interceptor = trail.AuditTrail(spool, registry="http://registry.example/registry")
    access = asked("ITI-41")
    interceptor.enter(access)
    interceptor.leave(access, Outcome(Result.FAILURE))
    (spool_file,) = spool.taken()
    assert [AuditRecord.load(line).transaction for line in spool_file.lines()] == ["ITI-41"]
    spool_file.close()
    spool.close()


def test_a_record_that_fits_no_datagram_is_cut_off_and_holds_up_no_other() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(PATIENCE)
        url = f"udp://127.0.0.1:{receiver.getsockname()[1]}"
        sender = Sender(SyslogTarget.parse(url), ssl.create_default_context)
        sender.send([b"x" * 100_000, b"next"])
        assert [len(receiver.recv(1 << 17)), receiver.recv(1 << 17)] == [65_000, b"next"]
        sender.close()
