"""Reports for tests of rendering: ours, with what real senders do."""

from typing import Final

from xds.messaging.model import (
    EntityNumber,
    MessageEnvelope,
    MessageOrganisation,
    MessagePatient,
    MessagePerson,
    MessageReport,
    PatientIdentifier,
    RenderedContent,
    ReportSection,
    ResultRow,
)
from xds.messaging.rendering.documents import DocumentIdentity, ReportSource
from xds.metadata.objects import Code

LOINC: Final = "2.16.840.1.113883.6.1"

PATIENT: Final = MessagePatient(
    identifiers=(
        PatientIdentifier(value="9737383273", domain="2.16.840.1.113883.2.1.4.1", is_national=True),
        PatientIdentifier(value="M-0042", domain="2.999.7.1"),
    ),
    family="O'Sample-Łęcka",
    given="Ŵyn <b>Marie</b>",
    birth_date="19700102",
    sex="F",
    postcode="XX1 1XX",
)
ENVELOPE: Final = MessageEnvelope(
    code="ORU",
    trigger="R01",
    control_id="MSG-1&2",
    sending_application="LIMS",
    sending_facility="R0X",
    sent="20260201083000",
    version="2.5.1",
)
IDENTITY: Final = DocumentIdentity(unique_id="2.25.42", set_id="2.999.5^24-1001")
CORRECTION: Final = DocumentIdentity(
    unique_id="2.25.43", set_id="2.999.5^24-1001", version=2, replaces="2.25.42"
)
REPORT: Final = MessageReport(
    action="file",
    number=EntityNumber(value="24-1001", authority="699X0", oid="2.999.5"),
    status="final",
    type_code=Code("4241000179101", "2.16.840.1.113883.6.96", "Laboratory report"),
    language="en-GB",
    title="Microbiology report",
    service_start="202601310900",
    reported="20260201080000",
    authors=(MessagePerson(family="Author", given="Ann", prefix="Dr", id="C1", oid="2.999.9"),),
    laboratory=MessageOrganisation(name="Sample Laboratories", code="699X0", oid="2.999.5"),
    requester=MessagePerson(family="Requester", given="Rob"),
    specimen="Urine",
    placer_numbers=(EntityNumber(value="ORD-7"),),
    filler_numbers=(EntityNumber(value="24-1001", authority="699X0", oid="2.999.5"),),
)

TEXT: Final = RenderedContent(
    sections=(
        ReportSection(
            lines=(
                "Specimen : MSU   ",
                "",
                "   Escherichia coli  >10^5 cfu/ml",
                "      Nitrofurantoin   S     Trimethoprim     R",
                "      <script>alert('x')</script> & co",
                "  β-lactamase µg ≥ 5 ─┬─ é",
            )
        ),
    ),
)


def row(test: str, value: str, **more: object) -> ResultRow:
    """Return a row of results with a code of its own."""
    code = Code(f"c-{test[:12]}", LOINC, test)
    return ResultRow(**{"test": test, "value": value, "code": code, **more})  # type: ignore[arg-type]


TABLE: Final = RenderedContent(
    sections=(
        ReportSection(
            heading="Full blood count",
            rows=(
                row("Haemoglobin", "149", unit="g/L", range="130-180"),
                row("White cell count", "<0.10", unit="10^9/L", range="4.0-11.0", flag="low"),
                row(
                    "Platelets",
                    "1200",
                    unit="10^9/L",
                    range="150-400",
                    flag="critically high",
                    status="corrected",
                    time="202601311000",
                    notes=("Repeated & confirmed.",),
                ),
                row("Comment", "First line <b>\nsecond line", is_text=True),
            ),
            notes=("Telephoned to the ward.",),
        ),
    ),
    other=("OBR-28: Dr Copy Recipient",),
)


def source(
    content: RenderedContent,
    report: MessageReport = REPORT,
    identity: DocumentIdentity = IDENTITY,
) -> ReportSource:
    """Return all that a rendered report is made of."""
    return ReportSource(
        report=report, content=content, patient=PATIENT, envelope=ENVELOPE, identity=identity
    )
