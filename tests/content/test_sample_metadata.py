"""What ITI-106 makes of real documents is what an independent reader made of them.

Where the two differ, the difference is decided and stands in :data:`DECIDED` with its reason.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.content.samples import SAMPLES, media_type, path, rows
from tests.fhir.genomics import binary, call, opened
from tests.reference import needs
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import Refused
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.objects import Code, DocumentEntry
from xds.mhd.iti106_generate_metadata import generate
from xds.registry.patients import added

pytestmark = needs(SAMPLES)

_NO_FORMAT: Final = "no format is registered for what it declares: the media type says all"
_SOFTWARE: Final = "a device goes by the name of its software, without that of its maker"
_UUID: Final = "a UUID stays one, and is no OID: so it is in ITI-65 and in queries"
_OF_DEFAULTS: Final = "the document says none, and the deployment's defaults do"
_NUMBER: Final = "identifiers are written with their authority"

DECIDED: Final[Mapping[str, Mapping[str, str]]] = {
    "ch-elm-*": {
        "uniqueIdAsOid": _UUID,
        "confidentialityCode": _OF_DEFAULTS,
        "formatCode": _NO_FORMAT,
        "authorInstitution": _NUMBER,
    },
    "ch-elm-chlamydia*": {"sourcePatientId": "a patient without identifier is given one"},
    "eulab-*": {"authorPerson": _NUMBER},
    "eulab-hepatitis*": {
        "uniqueIdAsOid": "its own system is no OID, so that the Bundle's identifier stands for it",
        "languageCode": _OF_DEFAULTS,
    },
    "eulab-simple*": {
        "uniqueIdAsOid": "Composition.identifier comes first (ITI-106)",
        "legalAuthenticator": "a PractitionerRole is followed to the person",
        "sourcePatientId": "the first identifier whose system is an OID",
        "eventCodes": "Composition.category is the classCode",
    },
    "mhd-fhir-document*": {
        "uniqueIdAsOid": _UUID,
        "languageCode": _OF_DEFAULTS,
        "formatCode": _NO_FORMAT,
        "authorPerson": "its identifier has no system: no XCN can be made of it",
        "sourcePatientId": "a patient without identifier is given one",
    },
    "ccda-practicefusion*": {"authorPerson": _SOFTWARE},
    "fr-trod*": {"formatCode": _NO_FORMAT},
    "fr-anaesthesia*": {"formatCode": _NO_FORMAT},
    "fr-prescription*": {"formatCode": _NO_FORMAT},
    "fr-reimbursement*": {
        "formatCode": _NO_FORMAT,
        "authorPerson": _SOFTWARE,
    },
    "fr-vaccination*": {"formatCode": "PCC Immunization Content, which it declares"},
}
"""By file, by column: why it is not what is expected."""


@pytest.fixture(scope="module")
def facade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Facade]:
    defaults = (SAMPLES / "generate_defaults.toml").read_text("utf-8")
    folder = tmp_path_factory.mktemp("samples") / "state"
    with opened(folder, defaults, assigning_authority=None) as facade:
        with facade.domain.database.write() as connection:
            for row in rows("expected.tsv"):
                if (patient_id := _cx(row["sourcePatientId"], facade)) and "/" not in patient_id:
                    added(connection, patient_id)
        yield facade


def _cx(said: str, facade: Facade) -> str:
    """Return an identifier of FHIR, ``system|value``, as a CX; one of CDA is one."""
    system, bar, value = said.partition("|")
    return f"{value}^^^&{facade.domain.systems.scheme(system)}&ISO" if bar else said


def _codes(found: Code | tuple[Code, ...] | None) -> str:
    codes = (found,) if isinstance(found, Code) else found or ()
    return " ; ".join(f"{one.code}|{one.coding_scheme}|{one.display_name}" for one in codes)


def _values(entry: DocumentEntry) -> dict[str, str]:
    found = {
        "mimeType": entry.mime_type,
        "uniqueIdAsOid": entry.unique_id,
        "sourcePatientId": entry.source_patient_id,
        "creationTime": entry.creation_time,
        "serviceStartTime": entry.service_start_time,
        "serviceStopTime": entry.service_stop_time,
        "authorPerson": " ; ".join(one for a in entry.author for one in a.person),
        "authorInstitution": " ; ".join(one for a in entry.author for one in a.institution),
        "legalAuthenticator": entry.legal_authenticator,
        "title": entry.title,
        "languageCode": entry.language_code,
        "typeCode": _codes(entry.type_code),
        "confidentialityCode": " ".join(one.code for one in entry.confidentiality_code),
        "formatCode": entry.format_code.code if entry.format_code else "",
        "eventCodes": _codes(entry.event_code_list),
    }
    return {name: value or "" for name, value in found.items()}


def _expected(row: Mapping[str, str], name: str, facade: Facade) -> str:
    said = row[name]
    scheme = facade.domain.systems.scheme
    if name == "sourcePatientId":
        return _cx(said, facade)
    if name in ("confidentialityCode", "formatCode"):
        return said.partition("|")[0]  # display and scheme are the affinity domain's
    if name in ("typeCode", "eventCodes"):
        codes = [one.split("|") for one in said.split(" ; ") if one]
        return " ; ".join(f"{code}|{scheme(system)}|{display}" for code, system, display in codes)
    return said


def _decided(file: str) -> set[str]:
    found = [of for pattern, of in DECIDED.items() if Path(file).match(pattern)]
    return {name for of in found for name in of}


@pytest.mark.parametrize("row", rows("expected.tsv"), ids=lambda row: row["file"])
def test_what_a_document_says_of_itself(facade: Facade, row: Mapping[str, str]) -> None:
    request = call(binary(path(row).read_bytes(), media_type(row)))
    if row["kind"] == "PDF":
        with pytest.raises(Refused) as refused:
            generate(facade, request)
        assert refused.value.issues[0].code == "not-supported"
        return
    generate(facade, request)
    with facade.domain.registry.view(ANYTHING) as view:
        wanted = Comparison("hash", Operator.EQUAL, (row["sha1"],))
        (entry,) = (found.thing for found in view.find(DocumentEntry, (wanted,)))
    found = _values(entry)
    differing = {
        name: (value, expected)
        for name, value in found.items()
        if value != (expected := _expected(row, name, facade))
    }
    decided = _decided(row["file"])
    assert {name: both for name, both in differing.items() if name not in decided} == {}
    assert decided - differing.keys() == set(), "decided, and yet there is no difference"
