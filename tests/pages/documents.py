"""Documents for tests of pages: CDA with a body, and what browsers send to have them."""

from base64 import b64encode
from typing import Final

from tests.pages.test_pictures import png

BROWSER: Final = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)
"""What Chromium asks for when somebody follows a link."""

PNG: Final = png(3, 2)
PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"

_HEADER: Final = """\
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<id root="2.999.3.1" extension="{number}"/>
<code code="11502-2" codeSystem="2.16.840.1.113883.6.1" displayName="Laboratory report"/>
<title>Report of &lt;blood&gt;</title>
<effectiveTime value="20260312141500+0000"/>
<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
<languageCode code="en-GB"/>
<recordTarget><patientRole><id root="2.999.1.1" extension="{patient}"/>
<patient><name><given>Ada</given><family>Sample</family></name>
<administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>
<birthTime value="19800229"/></patient></patientRole></recordTarget>
<author><time value="20260312"/><assignedAuthor><id root="2.999.9" extension="1"/>
<assignedPerson><name><given>Jo</given><family>Smith</family></name></assignedPerson>
</assignedAuthor></author>
<custodian><assignedCustodian><representedCustodianOrganization><id root="2.999.9"/>
<name>Example Hospital</name></representedCustodianOrganization></assignedCustodian></custodian>
"""


def cda(body: str, *, patient: str = "P1", number: int = 1, more: str = "") -> bytes:
    """Return a CDA whose ``structuredBody`` or ``nonXMLBody`` is given, with more in its header."""
    header = _HEADER.format(patient=patient, number=number) + more
    return f"{header}<component>{body}</component></ClinicalDocument>".encode()


def with_text(text: str, entries: str = "", **header: str) -> bytes:
    """Return a CDA with one section, its narrative and its entries."""
    section = f"<section><title>Findings</title><text>{text}</text>{entries}</section>"
    body = f"<structuredBody><component>{section}</component></structuredBody>"
    return cda(body, **header)  # type: ignore[arg-type]


def media(identifier: str, media_type: str, data: bytes) -> str:
    """Return an entry that carries a file."""
    encoded = b64encode(data).decode()
    return (
        f'<entry><observationMedia classCode="OBS" moodCode="EVN" ID="{identifier}">'
        f'<value mediaType="{media_type}" representation="B64">{encoded}</value>'
        "</observationMedia></entry>"
    )


def unstructured(media_type: str, data: bytes) -> bytes:
    """Return a CDA whose body is a file."""
    encoded = b64encode(data).decode()
    return cda(
        f'<nonXMLBody><text mediaType="{media_type}" representation="B64">{encoded}</text>'
        "</nonXMLBody>"
    )
