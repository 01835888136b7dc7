"""The genomics report of fixtures/documents in its three forms, and requests that carry it."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.databases import prepared
from tests.fhir.asked import ANYONE
from tests.reference import FHIR
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.r4 import json
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON

DOCUMENTS: Final = Path(__file__).parents[2] / "fixtures" / "documents"
REFERENCE: Final = FHIR / "mhd-4.2.4"

CDA: Final = (DOCUMENTS / "genomics_report.xml").read_text("utf-8")
FHIR_DOCUMENT_JSON: Final = (DOCUMENTS / "genomics_report.fhir.json").read_bytes()
FHIR_DOCUMENT_XML: Final = (DOCUMENTS / "genomics_report.fhir.xml").read_bytes()

NHS_NUMBERS: Final = "2.16.840.1.113883.2.1.4.1"
BASE: Final = "https://share.example/fhir"

DEFAULTS: Final = """
[codes.classCode]
code = "26436-6"
codingScheme = "2.16.840.1.113883.6.1"
displayName = "Laboratory studies (set)"

[codes.healthcareFacilityTypeCode]
code = "22232009"
codingScheme = "2.16.840.1.113883.6.96"
displayName = "Hospital"

[codes.practiceSettingCode]
code = "394580004"
codingScheme = "2.16.840.1.113883.6.96"
displayName = "Clinical genetics"
"""


def edited(text: str, *edits: tuple[str, str]) -> str:
    """Replace parts of a text, each of which must be there."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def fhir_document() -> Resource:
    """Return the report as a FHIR document, to be changed at will."""
    return json.read(FHIR_DOCUMENT_JSON)


def binary(data: bytes | str, content_type: str = "text/xml") -> Resource:
    """Return a Binary."""
    content = data.encode() if isinstance(data, str) else data
    return {
        "resourceType": "Binary",
        "contentType": content_type,
        "data": base64.b64encode(content).decode(),
    }


def parameters(document: Resource) -> Resource:
    """Return the Parameters of ITI-106."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "document", "resource": document}],
    }


def call(document: Resource, media_type: str = FHIR_JSON) -> Call:
    """Return a request to generate metadata."""
    return Call(access=ANYONE, base=BASE, resource=parameters(document), media_type=media_type)


@contextmanager
def opened(folder: Path, defaults: str = DEFAULTS, **options: object) -> Iterator[Facade]:
    """Open a deployment whose state lies in a folder."""
    folder.mkdir(exist_ok=True)
    file = folder / "defaults.toml"
    file.write_text(defaults, "utf-8")
    given = {"assigning_authority": NHS_NUMBERS, "generate_defaults": file, **options}
    config = Config.model_validate({"data": prepared(folder / "state"), **given})
    domain = AffinityDomain.open(config)
    try:
        yield Facade(domain, config)
    finally:
        domain.database.close()
