"""Messages that real senders send are read as expected, under the reference configuration."""

import hashlib
import json

import pytest

from tests.messaging.reference import SAMPLES, Sample, samples, write_flavours
from tests.reference import needs
from xds.fhir_messages import reading as fhir_reading
from xds.hl7v2.message import Message
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.model import CarriedContent, MessageContent, MessageDocument, RenderedContent
from xds.messaging.rendering.text import canonical
from xds.messaging.v2.reading import read
from xds.messaging.verdicts import ContentRefused
from xds.metadata.systems import Systems

pytestmark = needs(SAMPLES)

_VERDICTS = (
    ("base64", "corrupt"),
    ("document is empty", "corrupt"),
    ("check digit", "patient-id"),
    ("PID carries no identifier", "patient-id"),
    ("authority unknown", "patient-id"),
    ("no TXA", "segment"),
    ("no segment", "unreadable"),
)
"""What a reason has, and its verdict."""


@pytest.fixture(scope="module")
def flavours(tmp_path_factory: pytest.TempPathFactory) -> FlavourTable:
    """The flavours of the reference configuration."""
    return read_flavours(write_flavours(tmp_path_factory.mktemp("flavours")))


@pytest.mark.parametrize("sample", samples("oru", "mdm", "order"), ids=lambda one: one.name)
def test_sample_is_read_as_expected(sample: Sample, flavours: FlavourTable) -> None:
    message = Message.read(sample.path.read_bytes())
    if sample.row["outcome"] == "refuse" and "not known here" not in sample.row["reason"]:
        verdicts = _refusal(message, flavours)
        expected = {v for text, v in _VERDICTS if text in sample.row["reason"]}
        assert expected
        assert expected <= verdicts
        return
    content = read(message, flavours)
    patient = content.patient
    assert patient is not None
    if sample.row["patient_id"]:
        assert patient.identifiers[0].cx == sample.row["patient_id"]
    documents = _documents(content)
    assert [_found(one) for one in documents] == _expected(sample)
    if sample.row["typeCode"]:
        report = content.reports[0]
        type_code = documents[0].type_code or report.type_code
        assert type_code is not None
        assert type_code.code == sample.row["typeCode"]
    if content.reports:
        written = sample.row["document_number"].split("|")
        assert _numbers(content) == [number.partition("^")[0] for number in written]


_TABLES = [one for one in samples("fhir") if "table" in one.values("sha1")]


@pytest.mark.parametrize("sample", _TABLES, ids=lambda one: one.name)
def test_a_fhir_sample_without_document_has_the_rows_of_its_observations(
    sample: Sample, flavours: FlavourTable
) -> None:
    bundle = json.loads(sample.path.read_text())
    (document,) = _documents(fhir_reading.read(bundle, Systems.read(None), flavours))
    assert isinstance(document.content, RenderedContent)
    rows = [row for section in document.content.sections for row in section.rows]
    assert [str(len([row for row in rows if not row.group]))] == sample.values("size")


def _refusal(message: Message, flavours: FlavourTable) -> set[str]:
    """Return the verdicts on a message: of reading it, or of the documents that it carries."""
    found: set[str] = set()
    try:
        content = read(message, flavours)
    except ContentRefused as error:
        return {one.verdict.name for one in error.findings}
    for document in _documents(content):
        assert isinstance(document.content, CarriedContent)
        try:
            list(document.content.chunks())
        except ContentRefused as error:
            found |= {one.verdict.name for one in error.findings}
    return found


def _documents(content: MessageContent) -> list[MessageDocument]:
    of_reports = [one for report in content.reports for one in report.documents]
    return of_reports + [one for order in content.orders for one in order.documents]


def _found(document: MessageDocument) -> tuple[str, str]:
    content = document.content
    if isinstance(content, RenderedContent):
        if not content.is_text:
            return "table", str(sum(len(section.rows) for section in content.sections))
        text = canonical(content)
        return f"text:{hashlib.sha1(text).hexdigest()}", str(len(text))
    data = b"".join(content.chunks())
    return hashlib.sha1(data).hexdigest(), str(len(data))


def _expected(sample: Sample) -> list[tuple[str, str]]:
    return list(zip(sample.values("sha1"), sample.values("size"), strict=True))


def _numbers(content: MessageContent) -> list[str]:
    return [report.number.value if report.number else "" for report in content.reports]
