"""Documents as PDF: what stands in them, that they are PDF/A, and what cannot be had."""

import io
import re
from base64 import b64decode
from typing import Final

import pytest
from lxml import etree
from PIL import Image
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from tests.content import samples
from tests.fhir.asked import FHIR_JSON, Reply, ask, bare
from tests.forms.served import PATIENT_INFO, entry, provide, retrieve
from tests.pages.documents import cda, media, unstructured, with_text
from tests.pages.narratives import text_element
from tests.registry.wire import FIXTURES
from tests.serving import Server
from xds.client import entry_of
from xds.content.forms import blocks, table
from xds.content.forms.blocks import GridBlock, ParagraphBlock, PictureBlock
from xds.content.reading.model import CdaNarrative, XhtmlNarrative
from xds.content.reading.reader import read
from xds.metadata.objects import DocumentEntry
from xds.on_demand.forms import FormRequest, FormSource, NotConvertible
from xds.rendering.pictures import MOST_PIXELS, flattened

JS: Final = "app.alert(1)"
TABLE: Final = """
<paragraph>Platelets 250 x 10<sup>9</sup>/L, CO<sub>2</sub> normal</paragraph>
<table><caption>Blood</caption>
<thead><tr><th>Test</th><th>Result</th></tr></thead>
<tbody><tr><td rowspan="2">Sodium</td><td>140 mmol/L</td></tr><tr><td>141 mmol/L</td></tr>
<tr><td colspan="2">Haemolysed &lt;a little&gt;</td></tr></tbody></table>
<list listType="ordered"><item>First</item><item>Second
<content revised="delete">not this</content></item></list>
<paragraph>See <linkHtml href="https://lab.example/1">the laboratory</linkHtml>
<linkHtml href="javascript:alert(1)">no link</linkHtml></paragraph>
"""


def picture(width: int = 3, height: int = 2) -> bytes:
    """Return a PNG, half transparent."""
    made = io.BytesIO()
    Image.new("RGBA", (width, height), (255, 0, 0, 128)).save(made, "PNG")
    return made.getvalue()


def form(server: Server, document: DocumentEntry, query: str = "form=pdf", **headers: str) -> Reply:
    path = f"/DocumentReference/{bare(document)}/$document?{query}"
    return ask(server, "GET", path, {"Accept": "application/pdf", **headers})


def pages(data: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(data)).pages]


def conformance(data: bytes) -> tuple[str, ...]:
    """Return part and level of PDF/A, as the metadata of a PDF claim them."""
    found = re.search(rb"<pdfaid:part>(.)</pdfaid:part><pdfaid:conformance>(.)<", data)
    assert found is not None
    return tuple(one.decode() for one in found.groups())


def made(data: bytes, mime_type: str = "text/xml") -> bytes:
    """Return the PDF of a document, without a server."""
    of = entry_of("P1^^^&2.999.1.1&ISO", mime_type)
    source = FormSource(of, lambda: data)
    request = FormRequest(
        unique_id="2.25.1", made="20260301101500", patient_id="P1", sources=[source]
    )
    return table.read(None).rows["pdf"].build(request)


# --- through the wire ----------------------------------------------------------------------------


def test_a_cda_is_had_as_pdf(server: Server) -> None:
    source = provide(server, with_text(TABLE), "text/xml", source_patient_info=PATIENT_INFO)
    reply = form(server, source)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/pdf")
    assert form(server, source).body == reply.body
    (text,) = pages(reply.body)
    words = " ".join(text.split())
    for said in (
        "Ada Sample",
        "Report of <blood>",
        f"Converted from {source.unique_id}",
        "the original is legally valid",
        "250 x 10⁹/L, CO₂ normal",
        "Haemolysed <a little>",
        "1. First",
        "[deleted: not this]",
        "the laboratory (https://lab.example/1)",
        "no link",
    ):
        assert said in words
    assert "javascript" not in words
    assert conformance(reply.body) == ("2", "U")
    etag = reply.headers["etag"]
    assert form(server, source, **{"If-None-Match": etag}).status == 304


def test_a_cda_is_wrapped_as_a_pdf_of_part_1(server: Server) -> None:
    source = provide(server, with_text("Words"), "text/xml", source_patient_info=PATIENT_INFO)
    reply = form(server, source, "form=xds-sd")
    assert reply.headers["content-type"] == "text/xml"
    body = etree.fromstring(reply.body).find(".//{*}nonXMLBody/{*}text")
    assert body is not None
    assert body.get("mediaType") == "application/pdf"
    data = b64decode(body.text or "")
    assert data.startswith(b"%PDF-1.4")
    assert conformance(data) == ("1", "B")
    assert "Words" in pages(data)[0]


def test_a_fhir_document_is_had_as_pdf(server: Server) -> None:
    data = (FIXTURES / "documents/genomics_report.fhir.json").read_bytes()
    source = provide(server, data, FHIR_JSON)
    (text, *_) = pages(form(server, source).body)
    assert f"Converted from {source.unique_id}" in " ".join(text.split())


def test_what_cannot_be_had_is_told(server: Server) -> None:
    source = provide(server, with_text("Words"), "text/xml")
    assert form(server, source, "").status == 400
    reply = form(server, source, "form=png")
    assert (reply.status, reply.codes()) == (400, ["not-supported"])
    assert "pdf, fhir, xds-sd" in reply.json()["issue"][0]["diagnostics"]
    pdf = provide(server, b"%PDF-1.4", "application/pdf")
    assert (form(server, pdf).status, form(server, pdf).codes()) == (422, ["not-supported"])
    on_demand = entry(server, pdf.patient_id or "", "xds-sd")
    assert form(server, on_demand).status == 422
    broken = provide(server, b"<ClinicalDocument", "text/xml")
    assert form(server, broken).status == 422
    nobody = entry_of("P1^^^&2.999.1.1&ISO", "text/xml")
    assert form(server, nobody).status == 404


def test_a_form_by_request_and_on_demand_is_the_same_document(server: Server) -> None:
    source = provide(server, b"words", source_patient_info=PATIENT_INFO)
    on_demand = retrieve(server, entry(server, source.patient_id or "", "xds-sd"))
    assert form(server, source, "form=xds-sd").body == on_demand.data


# --- parts ---------------------------------------------------------------------------------------


def test_pictures_are_drawn_and_files_are_named() -> None:
    entries = media("p1", "image/png", picture()) + media("f1", "application/x-dicom", b"DICM")
    data = made(with_text('<renderMultiMedia referencedObject="p1"/>', entries))
    reader = PdfReader(io.BytesIO(data))
    assert len(reader.pages[0].images) == 1
    assert "f1 (application/x-dicom, 4 bytes)" in reader.pages[0].extract_text()


def test_the_pages_of_a_pdf_follow_without_what_they_may_start() -> None:
    writer = PdfWriter()
    writer.add_blank_page(100, 200)
    script = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject(JS)}
    opened = DictionaryObject({NameObject("/O"): DictionaryObject(script)})
    writer.pages[0][NameObject("/AA")] = opened
    inner = io.BytesIO()
    writer.write(inner)
    data = made(unstructured("application/pdf", inner.getvalue()))
    reader = PdfReader(io.BytesIO(data))
    assert [round(float(one.mediabox.height)) for one in reader.pages] == [842, 200]
    assert JS.encode() not in data
    broken = unstructured("application/pdf", b"%PDF-1.4 broken")
    with pytest.raises(NotConvertible):
        made(broken)


def test_a_text_body_is_drawn_line_by_line() -> None:
    (text,) = pages(made(unstructured("text/plain", "a   b\n  über".encode())))
    assert "a   b" in text
    assert "über" in text
    page = unstructured("text/html", b"<html>words</html>")
    with pytest.raises(NotConvertible):
        made(page)


def test_blocks_of_a_narrative() -> None:
    found = blocks.blocks(CdaNarrative(text=text_element(TABLE)))
    (grid,) = (one for one in found if isinstance(one, GridBlock))
    assert [[cell.text for cell in row] for row in grid.head] == [["Test", "Result"]]
    assert [[(c.text, c.columns, c.rows) for c in row] for row in grid.rows] == [
        [("Sodium", 1, 2), ("140 mmol/L", 1, 1)],
        [("141 mmol/L", 1, 1)],
        [("Haemolysed <a little>", 2, 1)],
    ]
    items = [one for one in found if isinstance(one, ParagraphBlock) and one.marker]
    assert [(one.marker, one.text) for one in items] == [
        ("1.", "First"),
        ("2.", "Second [deleted: not this]"),
    ]


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<p>a<script>b</script></p><h2>c</h2>", ["a", "c"]),
        ("<p>unclosed <b>bold", ["unclosed bold"]),
        ("<ul><li>a<ul><li>b</li></ul></li></ul>", ["a", "b"]),
        ('<p><img src="http://x/y.png" alt="an x-ray"/></p>', ["[image: an x-ray]"]),
    ],
)
def test_blocks_of_xhtml(markup: str, told: list[str]) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{markup}</div>'
    found = blocks.blocks(XhtmlNarrative(div=div))
    assert [one.text for one in found if isinstance(one, ParagraphBlock)] == told


def test_a_picture_that_is_none_or_too_large_is_not_drawn() -> None:
    data = picture()
    found = flattened(data)
    assert found is not None
    assert Image.open(io.BytesIO(found.data)).getpixel((0, 0)) == (255, 127, 127)
    assert flattened(b"no picture") is None
    assert flattened(data[:30]) is None
    assert flattened(data[:16] + MOST_PIXELS.to_bytes(4, "big") + data[20:]) is None
    text = text_element('<renderMultiMedia referencedObject="a b"/>')
    assert blocks.blocks(CdaNarrative(text=text)) == [PictureBlock("a"), PictureBlock("b")]


def test_what_is_too_much_is_refused() -> None:
    flood = cda("<structuredBody/>" + "<a/>" * 300_001)
    with pytest.raises(NotConvertible):
        made(flood)


# --- samples -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("row", samples.rows("expected.tsv"), ids=lambda row: row["file"])
def test_every_word_of_a_sample_is_in_its_pdf(row: dict[str, str]) -> None:
    path = samples.path(row)
    if not path.exists() or path.suffix == ".pdf":
        pytest.skip("the sample is not here, or a PDF itself")
    data = path.read_bytes()
    try:
        text = "".join("".join(pages(made(data, samples.media_type(row)))).split())
    except NotConvertible as reason:
        pytest.skip(str(reason))
    words = set()
    pending = [*read(data, samples.media_type(row)).sections]
    while pending:
        section = pending.pop()
        pending += section.sections
        for content in section.content:
            if isinstance(content, CdaNarrative):
                words |= set("".join(f" {one} " for one in content.text.itertext()).split())
    # a long word may be broken in a narrow column
    assert [word for word in words if len(word) < 10 and word not in text] == []
