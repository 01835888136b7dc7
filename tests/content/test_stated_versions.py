"""What documents say within them of their versions, read of bytes of which nobody knows more."""

import json
from typing import Any

import pytest

from tests.fhir.genomics import CDA, FHIR_DOCUMENT_JSON, FHIR_DOCUMENT_XML, edited, fhir_document
from xds.content.reading.rules import ReadingRules
from xds.content.versions.reading import MOST_BYTES, VersionLook, read
from xds.metadata import vocabulary as v
from xds.metadata.submission import StatedRelation, StatedVersion
from xds.metadata.systems import Systems

RULES = ReadingRules(systems=Systems.read(None))
SET = '<setId root="2.999.3.9" extension="S1"/>'
NUMBER = '<versionNumber value="2"/>'
EXTENSION = "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber"


OWN = '<setId root="2.999.3.2" extension="GLH-2026-118802"/>\n  <versionNumber value="1"/>'


def cda(*parts: str, related: str = "") -> bytes:
    """Return the report with these parts in place of its setId and number, and relations."""
    text = edited(CDA, (OWN, "".join(parts)))
    return edited(text, ("<componentOf>", f"{related}<componentOf>")).encode()


def related(kind: str, *parts: str) -> str:
    parents = f"<parentDocument>{''.join(parts)}</parentDocument>"
    return f'<relatedDocument typeCode="{kind}">{parents}</relatedDocument>'


def stated(data: bytes) -> StatedVersion:
    found = read(data, RULES)
    assert found is not None
    return found


def composed(**elements: Any) -> bytes:
    document = fhir_document()
    document["entry"][0]["resource"] |= elements
    return json.dumps(document, default=str).encode()


def test_the_set_and_number_of_a_cda_document() -> None:
    parent = '<id root="2.999.3.1" extension="R1"/>', SET, '<versionNumber value="1"/>'
    found = stated(cda(SET, NUMBER, related=related("RPLC", *parent)))
    assert (found.set_id, found.version) == ("2.999.3.9^S1", 2)
    assert len(found.moment) == 14
    relation = StatedRelation(
        association_type=v.RPLC, unique_ids=("2.999.3.1^R1",), set_id="2.999.3.9^S1"
    )
    assert found.related == (relation,)


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        (('<setId root="none"/>',), "the root of setId is neither an OID nor a UUID"),
        ((f'<setId root="2.999.3.9" extension="{"x" * 300}"/>',), "setId: "),
        ((SET, '<versionNumber value="two"/>'), "versionNumber is not a whole number"),
        ((SET, f'<versionNumber value="{"9" * 30}"/>'), "versionNumber is not a whole number"),
    ],
)
def test_what_cannot_be_used_is_told(parts: tuple[str, ...], fault: str) -> None:
    (told,) = stated(cda(*parts)).faults
    assert told.startswith(fault)


def test_a_document_that_says_nothing_of_versions() -> None:
    assert not stated(cda())
    assert not stated(cda('<setId nullFlavor="NI"/>'))


def test_a_parent_that_is_named_by_nothing_is_none() -> None:
    assert not stated(cda(related=related("RPLC", '<id nullFlavor="UNK"/>')))


@pytest.mark.parametrize("data", [FHIR_DOCUMENT_JSON, FHIR_DOCUMENT_XML])
def test_a_fhir_document_shares_the_identifier_of_its_composition(data: bytes) -> None:
    found = stated(data)
    assert found.set_id == "2.999.3.1^GLH-2026-118802"
    assert found.version is None
    assert [len(one) for one in found.moment.split()] == [14, 14]


def test_the_relations_and_the_number_of_a_fhir_document() -> None:
    replaced = {"system": "urn:oid:2.999.3.1", "value": "GLH-2025-1"}
    extension = {"url": EXTENSION, "valueString": "7"}
    found = stated(
        composed(
            relatesTo=[{"code": "replaces", "targetIdentifier": replaced}], extension=[extension]
        )
    )
    assert found.version == 7
    assert [one.unique_ids for one in found.related] == [("2.999.3.1^GLH-2025-1",)]


def test_versions_of_a_fhir_document_are_in_order_of_their_dates() -> None:
    first = stated(composed(date="2026-03-01T10:00:00+01:00"))
    second = stated(composed(date="2026-03-01T09:30:00Z"))
    assert first.moment < second.moment


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.7",
        b"<ClinicalDocument/>",
        b"<ClinicalDocument",
        b"{",
        b"[]",
        b'{"resourceType": "Bundle", "type": "document"}',
        b'{"resourceType": "Bundle", "type": "document", "entry": [{"resource": 7}]}',
        b'{"resourceType": "Bundle", "type": "document", "entry": {"a": 1}}',
        b'{"resourceType": "Bundle", "type": "collection", "entry": []}',
        b'<Bundle xmlns="http://hl7.org/fhir"><type value="document"/></Bundle>',
        b'<Bundle xmlns="http://hl7.org/fhir"><type value="history"/></Bundle>',
        composed(identifier=["not one"]),
        composed(relatesTo={"code": "replaces"}),
        CDA.replace("<Clin", "<!DOCTYPE x []><Clin", 1).encode(),
    ],
)
def test_anything_else_says_nothing(data: bytes) -> None:
    assert read(data, RULES) is None


@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_a_document_is_looked_at_as_it_passes(size: int) -> None:
    data = b"\xef\xbb\xbf" + cda(SET, NUMBER)
    look = VersionLook([data[i : i + size] for i in range(0, len(data), size)])
    assert b"".join(look) == data
    found = look.stated(RULES)
    assert found is not None
    assert found.version == 2


def test_a_large_document_is_not_kept() -> None:
    block = b"<" + b" " * ((1 << 20) - 1)
    look = VersionLook([block] * ((MOST_BYTES >> 20) + 1))
    assert sum(map(len, look)) > MOST_BYTES
    assert look.stated(RULES) is None
