"""Messages that are filed in one process, without a door: what each says is made here."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tests.databases import Databases
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.messaging.filing import FilingOutcome, IncomingMessage, MessageFiler
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import (
    CarriedContent,
    EntityNumber,
    MessageContent,
    MessageDocument,
    MessageEnvelope,
    MessageOrder,
    MessagePatient,
    MessageReport,
    PatientIdentifier,
    RenderedContent,
    ReportSection,
)
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.objects import DocumentEntry
from xds.security.caller import Caller
from xds.security.node import Node

NHS: Final = "2.16.840.1.113883.2.1.4.1"
MRN: Final = "2.999.6.1"
NATIONAL: Final = PatientIdentifier(
    value="9434765919", domain=NHS, is_national=True, location="PID^1^3"
)
LOCAL: Final = PatientIdentifier(value="A100", domain=MRN, location="PID^1^3")
OTHER: Final = PatientIdentifier(
    value="9434765870", domain=NHS, is_national=True, location="PID^1^3"
)
FLAVOUR: Final = Flavour(name="test", source_id="2.999.6", authority="LAB")


def pdf(version: str = "one") -> MessageDocument:
    """Return a document that a message carries."""
    content = b"%PDF-1.4\n% " + version.encode() + b"\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
    return carried(content, "application/pdf")


def carried(content: bytes, mime_type: str, slot: str = "") -> MessageDocument:
    """Return a document of some bytes."""
    return MessageDocument(
        content=CarriedContent(
            chunks=lambda: iter((content,)), mime_type=mime_type, location="OBX^1^5"
        ),
        slot=slot,
        title="Genetic report",
    )


def text(*lines: str) -> MessageDocument:
    """Return a document that has to be rendered."""
    return MessageDocument(content=RenderedContent(sections=[ReportSection(lines=lines)]))


def number(value: str) -> EntityNumber:
    """Return a number of the laboratory."""
    return EntityNumber(value=value, authority="LAB", oid="2.999.6.7")


def report(value: str | None = "T1", *documents: MessageDocument, **said: Any) -> MessageReport:
    """Return a report under a number."""
    said.setdefault("action", "file")
    said.setdefault("version_time", "20260810120000")
    return MessageReport(
        number=number(value) if value else None,
        documents=documents,
        created="20260810120000",
        **said,
    )


@dataclass
class FilingWorld:
    """A deployment, and what is sent to it."""

    filer: MessageFiler
    config: Config
    sent: int = 0
    flavour: Flavour = FLAVOUR
    identifiers: Sequence[PatientIdentifier] = field(default_factory=lambda: [NATIONAL, LOCAL])

    def incoming(
        self,
        *reports: MessageReport,
        code: str = "ORU",
        trigger: str = "R01",
        control_id: str = "",
        orders: Sequence[MessageOrder] = (),
        **said: Any,
    ) -> IncomingMessage:
        """Return a message of some reports; its bytes are told by all that it says."""
        self.sent += 1
        envelope = MessageEnvelope(
            code=code,
            trigger=trigger,
            control_id=control_id or f"M{self.sent}",
            sending_application="LAB",
            sending_facility="RX1",
            sent="20260810120000",
            processing_id="P",
            version="2.5.1",
        )
        patient = MessagePatient(
            identifiers=self.identifiers, family="Jones", birth_date="19600501", sex="F", **said
        )
        content = MessageContent(envelope=envelope, patient=patient, reports=reports, orders=orders)
        raw = repr(replace(content, envelope=replace(envelope, control_id=""))).encode()
        # what a content yields is not in its repr
        raw += b"".join(
            b"".join(one.content.chunks())
            for each in reports
            for one in each.documents
            if isinstance(one.content, CarriedContent)
        )
        return IncomingMessage(
            door="mllp",
            caller=Caller(node=Node(address="192.0.2.1")),
            media="hl7v2",
            digest=sha256(_stable(raw)).hexdigest(),
            size=len(raw),
            raw=lambda start=0, end=None: iter((raw[start:end],)),
            envelope=envelope,
            flavour=self.flavour,
            content=content,
        )

    def file(self, *reports: MessageReport, **said: Any) -> FilingOutcome:
        """File a message of some reports."""
        return self.filer.file(self.incoming(*reports, **said))

    def entries(self) -> list[DocumentEntry]:
        """Return all DocumentEntries in their latest versions, oldest first."""
        with self.filer.domain.registry.view(ANYTHING) as view:
            return [one.thing for one in view.find(DocumentEntry, [])]

    def entry(self, unique_id: str) -> DocumentEntry:
        """Return one of them."""
        wanted = Comparison("unique_id", Operator.EQUAL, (unique_id,))
        with self.filer.domain.registry.view(ANYTHING) as view:
            (found,) = view.find(DocumentEntry, [wanted])
            return found.thing

    def statuses(self) -> list[str]:
        """Return the availabilityStatus of each."""
        return [(one.availability_status or "").rpartition(":")[2] for one in self.entries()]

    def stored(self) -> int:
        """Return how many documents lie in the store."""
        return len(list(self.filer.domain.repository.store.list()))


def _stable(raw: bytes) -> bytes:
    """Leave out where functions lie in memory."""
    return re.sub(rb" at 0x[0-9a-f]+", b"", raw)


@contextmanager
def filing_world(databases: Databases, folder: Path, **options: Any) -> Iterator[FilingWorld]:
    """Open a deployment in a folder."""
    config = Config(data=folder, database=databases.url(folder), **options)
    domain = AffinityDomain.open(config)
    try:
        yield FilingWorld(MessageFiler.open(domain, config), config)
    finally:
        domain.close()
        databases.drop(folder)
