"""What is made of documents, judged by others: FHIR by HAPI's validator, PDF/A by veraPDF."""

import copy
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree

from tests.content import samples
from tests.forms import test_fhir_form as reports
from tests.forms import test_pdf as pdfs
from tests.forms import test_summary as summaries
from tests.forms.served import PATIENT_INFO, provide
from tests.java.programs import MISSING, run
from tests.pages.documents import PNG, media, with_text
from tests.registry.wire import FIXTURES
from tests.serving import Server
from xds.content.observations.stored import stored
from xds.content.reading.reader import read
from xds.on_demand.forms import NotConvertible

pytestmark = pytest.mark.slow

_KNOWN: Final = (
    "Extension url 'http://hl7.org/fhir/5.0/StructureDefinition/"
    "extension-DiagnosticReport.composition' is not valid (invalid Version '5.0')"
)
"""The EU laboratory report demands this extension. HAPI knows no elements of R5 under R4."""


def judged(program: str, folder: Path, files: Mapping[str, bytes], *first: str) -> dict[str, str]:
    """Return what a validator says of files, by their names; it has one of each line."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    told = run(program, *first, *(str(folder / name) for name in files))
    if told is None:
        pytest.skip(MISSING)
    assert told.keys() == files.keys()
    return told


# --- FHIR documents ------------------------------------------------------------------------------


def documents() -> Iterator[tuple[str, bytes, str]]:
    """Yield documents of this project, and those of others where they are, with their types."""
    for path in sorted((FIXTURES / "documents").glob("*.*")):
        kind = "application/fhir+json" if path.suffix == ".json" else "text/xml"
        if path.suffix != ".pdf" and ".fhir.xml" not in path.name:
            yield path.name, path.read_bytes(), kind
    for row in samples.rows("expected.tsv"):
        path = samples.path(row)
        if path.exists() and path.suffix != ".pdf":
            yield path.name, path.read_bytes(), samples.media_type(row)


def made() -> Iterator[tuple[str, Any]]:
    """Yield the FHIR documents that are made of these, by names of files."""
    for name, data, kind in documents():
        try:
            yield f"report-{name}.json", reports.made(data, kind)
        except NotConvertible:
            continue
    for name, data, kind in documents():
        yield f"summary-{name}.json", summaries.made(summaries.source(data, kind))
    rows = [stored(one).content for one in read(reports.LAB_REPORT, "text/xml").observations()]
    beside = reports.made(b"%PDF-1.4", "application/pdf", results=lambda: rows)
    yield "report-of-stored-results.json", beside
    yield "summary-of-several.json", summaries.every()


def test_hapi_finds_no_error_in_fhir_documents(tmp_path: Path) -> None:
    bundles = dict(made())
    broken = copy.deepcopy(bundles["report-lab_report.xml.json"])
    broken["entry"][0]["resource"]["status"] = "done"
    bundles["broken.json"] = broken
    files = {name: json.dumps(bundle).encode() for name, bundle in bundles.items()}
    told = judged("fhir_validator/ValidateFhir", tmp_path, files)
    assert "'done'" in told.pop("broken.json")
    errors = {
        name: left
        for name, each in told.items()
        if (left := [one for one in each.split(" | ") if one and _KNOWN not in one])
    }
    assert errors == {}


# --- PDF/A ---------------------------------------------------------------------------------------


def of_part_2() -> dict[str, bytes]:
    """Return PDFs that are made of documents, by names of files."""
    picture = with_text('<renderMultiMedia referencedObject="m"/>', media("m", "image/png", PNG))
    odd = with_text("漢 é ≥ ─ عربي \ue000 \xad \u200b " + "x" * 400)
    fhir = (FIXTURES / "documents/genomics_report.fhir.json").read_bytes()
    return {
        "table.pdf": pdfs.made(with_text(pdfs.TABLE)),
        "picture.pdf": pdfs.made(picture),
        "odd.pdf": pdfs.made(odd),
        "fhir.pdf": pdfs.made(fhir, "application/fhir+json"),
    }


def of_part_1(server: Server) -> dict[str, bytes]:
    """Return the PDF within an XDS-SD."""
    source = provide(server, with_text(pdfs.TABLE), "text/xml", source_patient_info=PATIENT_INFO)
    reply = pdfs.form(server, source, "form=xds-sd")
    (text,) = etree.fromstring(reply.body).iterfind(".//{*}nonXMLBody/{*}text")
    return {"within.pdf": b64decode(text.text or "")}


@pytest.mark.parametrize("flavour", ["2u", "1b"])
def test_verapdf_finds_no_error_in_what_claims_to_be_pdf_a(
    server: Server, tmp_path: Path, flavour: str
) -> None:
    files = of_part_2() if flavour == "2u" else of_part_1(server)
    files["none.pdf"] = (FIXTURES / "documents/report.pdf").read_bytes()
    told = judged("pdf_validator/ValidatePdf", tmp_path, files, flavour)
    assert told.pop("none.pdf").startswith("FAIL | ")
    assert told == dict.fromkeys(told, "PASS")
