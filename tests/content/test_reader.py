"""Documents of each kind are told by their bytes and read, or refused with a place."""

import zlib
from pathlib import Path
from typing import Final

import pytest

from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.model import CdaNarrative, ReadDocument
from xds.content.reading.reader import read

DOCUMENTS: Final = Path(__file__).parents[2] / "fixtures" / "documents"
REPORT: Final = (DOCUMENTS / "report.xml").read_bytes()


def _codes(document: ReadDocument) -> list[str]:
    return [one.code for one in document.findings]


@pytest.mark.parametrize(
    ("data", "declared", "kind", "media_type"),
    [
        (b"%PDF-1.4\n", "text/xml", "pdf", "application/pdf"),
        (b"\r\n%PDF-1.4\n", "", "pdf", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "application/pdf", "image", "image/png"),
        (b"\xff\xd8\xff\xe0", "", "image", "image/jpeg"),
        (b"GIF89a", "", "image", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "", "image", "image/webp"),
        (b"II*\0", "", "image", "image/tiff"),
        (b"{\\rtf1 x}", "text/plain", "other", "application/rtf"),
        (b"\0\1\2", "text/plain", "other", "text/plain"),
        (b"plain words", "", "text", "text/plain"),
        (b"{not json", "text/plain", "text", "text/plain"),
        (b"<5 mmol/l", "text/plain", "text", "text/plain"),
        (b'{"a": 1}', "", "text", "application/json"),
        (b"<a/>", "", "text", "application/xml"),
        (b"<!DOCTYPE html><p>x", "", "html", "text/html"),
        (b"<html><p>x</html>", "text/plain", "html", "text/html"),
        (b"", "", "text", "text/plain"),
        (REPORT, "text/plain", "cda", "text/xml"),
    ],
)
def test_the_kind_is_told_by_the_bytes(
    data: bytes, declared: str, kind: str, media_type: str
) -> None:
    found = read(data, declared)
    assert (found.kind, found.media_type) == (kind, media_type)


@pytest.mark.parametrize(
    ("data", "declared", "text", "findings"),
    [
        ("Größe".encode(), "text/plain", "Größe", []),
        (b"\xef\xbb\xbf" + "Größe".encode(), "text/plain", "Größe", []),
        ("Größe".encode("utf-16"), "text/plain", "Größe", []),
        ("Größe".encode("iso-8859-15"), "text/plain; charset=iso-8859-15", "Größe", []),
        ("Größe".encode("cp1252"), "text/plain", "Größe", ["charset-guessed"]),
        ("Größe".encode("cp1252"), "text/plain; charset=idna", "Größe", ["charset-guessed"]),
        ("Größe".encode(), "text/plain; charset=iso-8859-1", "Größe", []),
    ],
)
def test_the_encoding_of_a_text_is_told_by_its_bytes_first(
    data: bytes, declared: str, text: str, findings: list[str]
) -> None:
    found = read(data, declared)
    assert (found.text, _codes(found)) == (text, findings)


def test_a_cda_has_header_sections_and_narrative() -> None:
    found = read(REPORT, "text/xml")
    assert found.header.title
    assert found.header.unique_id
    assert found.header.patients[0].family
    assert any(
        isinstance(content, CdaNarrative) for one in found.sections for content in one.content
    )


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (REPORT.replace(b"</ClinicalDocument>", b""), True),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', False),
        (b"<a>" * 300, True),
    ],
)
def test_xml_that_is_refused_is_refused_with_the_place(data: bytes, place: bool) -> None:
    with pytest.raises(ContentUnreadable) as refused:
        read(data, "text/xml")
    assert (refused.value.line is not None) == place


def test_json_that_is_none_is_refused() -> None:
    with pytest.raises(ContentUnreadable):
        read(b'{"resourceType": "Bundle"', "application/fhir+json")


# A style sheet that has a document in it

_SHEET: Final = (
    b'<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform">'
    b'<d:data xmlns:d="urn:d">%b</d:data><x:template match="/"/></x:stylesheet>'
)
_BARE: Final = REPORT[REPORT.index(b"<ClinicalDocument") :]


def test_the_one_document_within_a_style_sheet_is_read_and_the_sheet_is_not_run() -> None:
    found = read(_SHEET % _BARE, "text/xml")
    assert found.header.unique_id == read(REPORT).header.unique_id
    assert _codes(found) == [*_codes(read(REPORT)), "self-presenting"]


def test_a_style_sheet_with_two_documents_is_none() -> None:
    assert read(_SHEET % (_BARE + _BARE), "text/xml").kind == "text"


# PDF


def _pdf(*objects: bytes) -> bytes:
    """Return a PDF of one page with objects beside it."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    body, places = b"%PDF-1.7\n", []
    for one in (b"<< /Type /Catalog /Pages 2 0 R >>", pages, page, *objects):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (len(places), one)
    rows = b"".join(b"%010d 00000 n \n" % place for place in places)
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(places) + 1, rows)
    trailer = b"trailer\n<< /Root 1 0 R /Size %d >>\n" % (len(places) + 1)
    return body + table + trailer + b"startxref\n%d\n%%%%EOF\n" % len(body)


def _object_stream(content: bytes, names: bytes = b"/Filter /FlateDecode") -> bytes:
    packed = zlib.compress(content) if b"Flate" in names else content
    dictionary = b"<< /Type /ObjStm %b /Length %d >>" % (names, len(packed))
    return b"%b\nstream\n%b\nendstream" % (dictionary, packed)


@pytest.mark.parametrize(
    ("pdf", "places"),
    [
        (_pdf(), []),
        (_pdf(b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"), ["/JavaScript", "/JS"]),
        (_pdf(b"<< /S /J#61vaScr#69pt /#4aS (x) >>"), ["/JavaScript", "/JS"]),
        (_pdf(b"<< /OpenAction << /S /Launch /F (a) >> >>"), ["/OpenAction", "/Launch"]),
        (_pdf(b"<< /OpenAction [3 0 R /Fit] >>"), []),
        (_pdf(b"<< /AA << /O 5 0 R >> >>", b"<< /S /URI /URI (http://a) >>"), ["/AA", "/URI"]),
        (_pdf(b"<< /Type /EmbeddedFile /Length 1 >>\nstream\nx\nendstream"), ["/EmbeddedFile"]),
        (_pdf(_object_stream(b"5 0 << /S /JavaScript /JS (x) >>")), ["/JavaScript", "/JS"]),
        (
            _pdf(_object_stream(b"5 0 << /S /L#61unch >>".hex().encode(), b"/Filter /AHx")),
            ["/Launch"],
        ),
        (_pdf(_object_stream(b"5 0 << /S /Nothing >>")), []),
        (_pdf(b"(stream\n) << /S /JavaScript >> (endstream)"), ["/JavaScript"]),
    ],
)
def test_what_acts_in_a_pdf_is_named(pdf: bytes, places: list[str]) -> None:
    found = [one.place for one in read(pdf).findings if one.code == "active-content"]
    assert found == places


def test_a_pdf_whose_objects_cannot_be_looked_at_may_act() -> None:
    found = read(_pdf(_object_stream(b"garbage", b"/Filter /Fl")))
    assert "active-content" in _codes(found)


def test_a_broken_pdf_is_told() -> None:
    assert _codes(read(b"%PDF-1.7\nnothing else")) == ["broken"]
    assert _codes(read(_pdf())) == []
