"""The page of a document over HTTP: who gets it, what it says, what it may load (ITI-68)."""

import re
from pathlib import Path

import pytest
from lxml import html

from tests.fhir.asked import FHIR_JSON, FHIR_XML, Reply, ask, bare, new_patient, provide
from tests.pages.documents import BROWSER, PDF, PNG, cda, media, unstructured, with_text
from tests.serving import Server
from xds.client import Content, DocumentSource, entry_of, submission_of
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry

DOCUMENTS = Path(__file__).parents[2] / "fixtures" / "documents"
REPORT = (DOCUMENTS / "report.xml").read_bytes()
OLD_JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
XML = "text/xml"


def get(server: Server, path: str, accept: str = BROWSER, method: str = "GET") -> Reply:
    return ask(server, method, path, {"Accept": accept})


def page(server: Server, path: str) -> html.HtmlElement:
    reply = get(server, path)
    assert reply.status == 200
    return tree(reply)


def tree(reply: Reply) -> html.HtmlElement:
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    return html.document_fromstring(reply.body.decode())


def told(found: html.HtmlElement) -> str:
    return " ".join(" ".join(found.body.itertext()).split())


@pytest.fixture(scope="module")
def report(server: Server) -> str:
    return provide(server, REPORT, XML)


def test_a_browser_gets_the_page_of_a_cda(server: Server, report: str) -> None:
    for path in (f"/document/{report}", f"/Binary/{report}", f"/Binary/{report}/_history/1"):
        found = page(server, path)
        assert (
            found.findtext(".//h1") == "Genetic analysis report: inherited long QT syndrome panel"
        )
        assert "Ada Jane Sample" in told(found)


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("text/html,application/xhtml+xml,*/*;q=0.1", True),
        ("text/html;q=0.5,application/xhtml+xml;q=0.5,*/*;q=0.8", True),
        ("*/*", False),
        ("", False),
        (XML, False),
        (f"{XML}, text/html, application/xhtml+xml", False),
        ("text/html, */*", False),
        (OLD_JAVA, False),
        ("text/*", False),
        ("text/html;q=0, */*", False),
        (f"{FHIR_JSON}, */*", False),
        (FHIR_JSON, False),
    ],
)
def test_who_gets_the_page(server: Server, report: str, accept: str, is_page: bool) -> None:
    reply = get(server, f"/document/{report}", accept)
    assert reply.status == 200
    assert reply.headers["vary"] == "Accept"
    if is_page:
        tree(reply)
    else:
        assert reply.body == REPORT
        assert reply.headers["content-type"] == XML


def test_a_document_of_html_is_had_as_it_is_by_who_asks_for_it(server: Server) -> None:
    document = b"<html><body><h1>words</h1><script>f()</script></body></html>"
    path = f"/document/{provide(server, document, 'text/html')}"
    for accept in ("text/html", "*/*", OLD_JAVA):
        assert get(server, path, accept).body == document
    found = page(server, path)
    assert "words" in told(found)
    assert not found.xpath("//script")


def test_a_binary_is_a_page_by_its_format(server: Server, report: str) -> None:
    path = f"/Binary/{report}"
    for given in ("html", "text/html"):
        tree(get(server, f"{path}?_format={given}", "*/*"))
    assert get(server, f"{path}?_format=json").json()["resourceType"] == "Binary"
    assert get(server, path, FHIR_XML).headers["content-type"] == f"{FHIR_XML}; charset=utf-8"
    assert get(server, path, "*/*").body == REPORT


def test_a_page_may_load_nothing_but_what_it_names(server: Server, report: str) -> None:
    reply = get(server, f"/document/{report}")
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in reply.headers["content-security-policy"].split(";")
    )
    style = policy.pop("style-src")
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", style)
    assert policy == {
        "default-src": "'none'",
        "img-src": "'self' data:",
        "frame-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "private, no-store"
    found = tree(reply)
    assert not found.xpath(
        "//script | //link[@rel!='icon'] | //@style | //@*[starts-with(name(), 'on')]"
    )


def test_head_has_the_headers_of_the_page(server: Server, report: str) -> None:
    head, whole = (get(server, f"/document/{report}", method=one) for one in ("HEAD", "GET"))
    assert head.body == b""
    assert {**head.headers, "date": "", "x-request-id": ""} == {
        **whole.headers,
        "date": "",
        "x-request-id": "",
    }


def test_the_original_is_had_whatever_is_asked_for(server: Server, report: str) -> None:
    for accept in (BROWSER, "image/png", FHIR_JSON):
        reply = get(server, f"/document/{report}/original", accept)
        assert (reply.status, reply.body) == (200, REPORT)
        assert "sandbox" in reply.headers["content-security-policy"]
    for path in (f"/document/{report}", f"/document/{report}/", f"/Binary/{report}/_history/1"):
        (link,) = page(server, path).xpath("//footer//a/@href")
        assert resolved(path, link) == f"/document/{report}/original"


def resolved(path: str, link: str) -> str:
    """Resolve a relative reference as a browser does."""
    steps = path.split("/")[:-1]
    for step in link.partition("#")[0].split("/"):
        if step == "..":
            steps.pop()
        else:
            steps.append(step)
    return "/".join(steps)


# --- what is in the document ---------------------------------------------------------------------


def test_images_and_files_have_addresses_of_their_own(server: Server) -> None:
    entries = (
        media("M1", "image/png", PNG)
        + media("M2", "image/png", b"<svg onload='f()'/>")
        + media("M3", "application/pdf", PDF)
        + media("M4", "text/html", b"<script>f()</script><p>words</p>")
    )
    caption = "<caption>A &lt;film&gt;</caption>"
    text = f'<renderMultiMedia referencedObject="M1">{caption}</renderMultiMedia>'
    identifier = provide(server, with_text(text, entries), XML)
    path = f"/document/{identifier}"
    found = page(server, path)
    (image,) = found.xpath("//img")
    assert (image.get("alt"), image.get("width"), image.get("height")) == ("A <film>", "3", "2")
    assert resolved(path, image.get("src")) == f"{path}/attachment/1"
    (frame,) = found.xpath("//iframe")
    assert resolved(path, frame.get("src")) == f"{path}/attachment/3"
    assert "words" in told(found)
    assert not found.xpath("//script")
    expected = (
        ("image/png", PNG, "inline"),
        ("application/octet-stream", b"<svg onload='f()'/>", "attachment"),
        ("application/pdf", PDF, "inline"),
        ("application/octet-stream", b"<script>f()</script><p>words</p>", "attachment"),
    )
    for number, (media_type, data, disposition) in enumerate(expected, 1):
        reply = get(server, f"{path}/attachment/{number}")
        assert (reply.status, reply.body) == (200, data)
        assert reply.headers["content-type"] == media_type
        assert reply.headers["content-disposition"].startswith(f"{disposition}; filename=")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "private, no-store"
        policy = reply.headers.get("content-security-policy")
        assert policy == (None if media_type.endswith("pdf") else "sandbox; default-src 'none'")


@pytest.mark.parametrize("number", ["0", "2", "99999", "x", "1/2", "-1", "01", "9999999"])
def test_an_attachment_that_is_none(server: Server, report: str, number: str) -> None:
    reply = get(server, f"/document/{report}/attachment/{number}", "*/*")
    assert reply.status == 404
    assert reply.codes() == ["not-found"]


def test_a_body_that_is_a_file(server: Server) -> None:
    path = f"/document/{provide(server, unstructured('application/pdf', PDF), XML)}"
    (frame,) = page(server, path).xpath("//main//iframe")
    assert get(server, resolved(path, frame.get("src"))).body == PDF
    text = "Größe < 5".encode("cp1252")
    found = page(server, f"/document/{provide(server, unstructured('text/plain', text), XML)}")
    assert found.findtext(".//main//pre") == "Größe < 5"


def test_kinds_that_have_no_structure(server: Server) -> None:
    text = page(server, f"/document/{provide(server, b'a < b', 'text/plain')}")
    assert text.findtext(".//main//pre") == "a < b"
    path = f"/document/{provide(server, PDF, 'application/pdf')}"
    (frame,) = page(server, path).xpath("//main//iframe")
    assert get(server, resolved(path, frame.get("src"))).body == PDF
    path = f"/document/{provide(server, PNG, 'image/png')}"
    (image,) = page(server, path).xpath("//main//img")
    assert get(server, resolved(path, image.get("src"))).body == PNG
    other = page(server, f"/document/{provide(server, b'PK' + bytes(9), 'application/zip')}")
    assert "as it is stored" in told(other)


def test_a_fhir_document(server: Server) -> None:
    data = (DOCUMENTS / "genomics_report.fhir.json").read_bytes()
    found = page(server, f"/document/{provide(server, data, FHIR_JSON)}")
    assert found.xpath("//main//h2")
    assert found.xpath("//section[@class='patient']")


# --- header and notices --------------------------------------------------------------------------


def test_the_header_is_of_structured_data(server: Server) -> None:
    found = page(server, f"/document/{provide(server, with_text('words'), XML)}")
    assert found.findtext(".//h1") == "Report of <blood>"
    header = " ".join(" ".join(found.find(".//header").itertext()).split())
    for one in ("Ada Sample", "29 February 1980", "Female", "P1", "Jo Smith", "Example Hospital"):
        assert one in header
    assert "12 March 2026, 14:15 UTC" in header


_BODY = "<structuredBody><component><section><text>x</text></section></component></structuredBody>"
_HEADER = """\
<informant><assignedEntity><id root="2.999.9" extension="77"/>
<addr use="WP"><streetAddressLine>7 Mill Lane</streetAddressLine><city>Leeds</city></addr>
<telecom use="WP" value="tel:+44-113-496-0000"/><telecom value="mailto:desk@hospital.example"/>
<assignedPerson><name><given>Iris</given><family>Informer</family></name></assignedPerson>
<representedOrganization><name>Lane &lt;Clinic&gt;</name></representedOrganization>
</assignedEntity></informant>
<participant typeCode="IND"><associatedEntity classCode="NOK">
<code code="MTH" codeSystem="2.16.840.1.113883.5.111" displayName="Mother"/>
<associatedPerson><name>Mary Sample</name></associatedPerson></associatedEntity></participant>
<componentOf><encompassingEncounter><id root="2.999.7" extension="E5"/>
<effectiveTime><low value="202603101000+0000"/><high value="yesterday"/></effectiveTime>
<location><healthCareFacility><location><name>Ward 9</name></location></healthCareFacility>
</location></encompassingEncounter></componentOf>
"""


def test_all_that_a_header_says_of_people_and_events_is_on_the_page(server: Server) -> None:
    """Those of whom the first lines do not tell, with addresses and numbers (CDA R2 4.2.2)."""
    born = b"<birthplace><place><addr><city>York</city></addr></place></birthplace></patient>"
    data = cda(_BODY, more=_HEADER).replace(b"</patient>", born)
    found = page(server, f"/document/{provide(server, data, 'text/xml')}")
    parts = {
        one.findtext("dt"): " | ".join(" ".join(dd.itertext()) for dd in one.iter("dd"))
        for one in found.iterfind(".//dl[@class='parts']/div")
    }
    assert parts["Informant"] == (
        "Name   Iris Informer | Organisation   Lane <Clinic> | Identifier   77 of 2.999.9 | "
        "Address   7 Mill Lane, Leeds | Contact   +44-113-496-0000 | "
        "Contact   desk@hospital.example"
    )
    assert parts["Next of kin"] == "Name   Mary Sample | Role   Mother"
    assert parts["Encounter"] == (
        "Identifier   E5 of 2.999.7 | From   10 March 2026, 10:00 UTC | Until   yesterday"
    )
    assert parts["Place of the encounter"] == "Place   Ward 9"
    assert "Place of birth   York" in parts["Patient"]
    assert "Address" not in parts["Patient"]
    assert {"Patient", "Author", "Custodian"} < parts.keys()


def test_a_flood_of_participants_is_cut_and_said_to_be(server: Server) -> None:
    one = "<participant><associatedEntity><id root='2.999.9'/></associatedEntity></participant>"
    data = cda(_BODY, more=one * 5_000)
    found = page(server, f"/document/{provide(server, data, 'text/xml')}")
    assert len(found.findall(".//dl[@class='parts']/div")) <= 2_000
    assert "leaves out a part" in told(found)


def test_another_patient_is_told(server: Server) -> None:
    other = page(server, f"/document/{provide(server, with_text('words', patient='P9'), XML)}")
    assert "another patient" in told(other)
    entry = entry_of(new_patient(), XML)
    own = (entry.patient_id or "").partition("^")[0]
    identifier = _provided(server, entry, with_text("words", patient=own))
    assert "another patient" not in told(page(server, f"/document/{identifier}"))


def _provided(server: Server, entry: DocumentEntry, data: bytes, *associations: Association) -> str:
    submission = submission_of([entry])
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(
            submission.with_objects([*submission.objects, *associations]),
            {entry.entry_uuid: Content((data,), len(data))},
        )
    return bare(entry)


def test_versions_lead_to_the_newest(server: Server) -> None:
    patient = new_patient()
    entries = [
        entry_of(patient, "text/plain").updated(title=f"Version <{number}>")
        for number in range(1, 4)
    ]
    for number, entry in enumerate(entries):
        replaces = [
            Association.create(
                association_type=v.RPLC, source=entry.entry_uuid, target=older.entry_uuid
            )
            for older in entries[max(number - 1, 0) : number]
        ]
        _provided(server, entry, b"text", *replaces)
    first, second, third = (f"/document/{bare(entry)}" for entry in entries)
    for path, newer, older in ((first, third, ""), (second, third, first), (third, "", second)):
        found = page(server, path)
        warnings = found.xpath("//li[@class='warning'][contains(., 'newer version')]//@href")
        assert [resolved(path, one) for one in warnings] == ([newer] if newer else [])
        notes = found.xpath("//li[@class='note']//@href")
        assert [resolved(path, one) for one in notes] == ([older] if older else [])
    assert "Version <3>" in told(page(server, first))


def test_an_addendum_is_told_on_both_pages(server: Server) -> None:
    patient = new_patient()
    report, addendum = (entry_of(patient, "text/plain") for _ in range(2))
    _provided(server, report, b"text")
    appends = Association.create(
        association_type=v.APND, source=addendum.entry_uuid, target=report.entry_uuid
    )
    _provided(server, addendum, b"text", appends)
    assert "Another document adds to this one" in told(page(server, f"/document/{bare(report)}"))
    assert "adds to another one" in told(page(server, f"/document/{bare(addendum)}"))


# --- what is not shown ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", "has a DTD"),
        (b"<ClinicalDocument xmlns='urn:hl7-org:v3'><a>", "not well-formed"),
        (b"<a>" * 6_000 + b"</a>" * 6_000, "nested"),
        (b"<a>" + b"<b/>" * 310_000 + b"</a>", "more markup"),
        (b"<a>" + b"x" * (16 * 1024 * 1024) + b"</a>", "too large"),
    ],
    ids=["DTD", "no end", "depth", "flood", "size"],
)
def test_what_cannot_be_read_has_a_page_that_says_why(
    server: Server, data: bytes, why: str
) -> None:
    path = f"/document/{provide(server, data, XML)}"
    found = page(server, path)
    assert why in told(found)
    (link,) = found.xpath("//footer//a/@href")
    assert get(server, resolved(path, link)).body == data
    assert get(server, f"{path}/attachment/1", "*/*").status == 404


@pytest.mark.parametrize("path", ["/document/1", "/Binary/1", "/document/1/original"])
def test_a_failure_is_a_page_for_a_browser(server: Server, path: str) -> None:
    reply = get(server, path)
    assert reply.status == 404
    assert told(tree(reply)).startswith("Not found")
    assert reply.headers["x-request-id"] in told(tree(reply))
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert get(server, path, "*/*").codes() == ["not-found"]
