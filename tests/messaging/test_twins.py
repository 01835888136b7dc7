"""The HL7 v2 and the FHIR form of one report give the same DocumentEntry."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from tests.databases import Databases
from tests.messaging.filing import filing_world
from tests.messaging.reference import SAMPLES, write_flavours
from tests.reference import needs
from xds.fhir_messages import reading
from xds.hl7v2.message import Message
from xds.messaging.filing import FilingOutcome, IncomingMessage
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.v2.reading import read
from xds.metadata.objects import DocumentEntry
from xds.metadata.systems import Systems
from xds.security.caller import Caller
from xds.security.node import Node

FIXTURES: Final = Path(__file__).parents[2] / "fixtures"
SYSTEMS: Final = Systems.read(None)
ATTRIBUTES: Final = (
    *("unique_id", "hash", "size", "mime_type", "format_code", "class_code", "type_code"),
    *("practice_setting_code", "healthcare_facility_type_code", "confidentiality_code"),
    *("event_code_list", "language_code", "title", "comments", "creation_time"),
    *("service_start_time", "service_stop_time", "author", "legal_authenticator", "patient_id"),
    *("source_patient_id", "source_patient_info", "reference_id_list", "fhir_elements"),
    *("availability_status",),
)
"""All that a message says; entryUUID and the record of the message are the server's."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Files each message into a deployment of its own."""

    databases: Databases
    folder: Path

    def v2(self, path: Path, flavours: FlavourTable) -> DocumentEntry:
        """File an HL7 v2 message."""
        message = Message.read(path.read_bytes())
        return self._filed("hl7v2", path, read(message, flavours), flavours)

    def fhir(self, path: Path, flavours: FlavourTable, event: str = "") -> DocumentEntry:
        """File a FHIR message, of another event where one is given."""
        bundle: dict[str, Any] = json.loads(path.read_text())
        if event:
            bundle["entry"][0]["resource"]["eventCoding"]["code"] = event
        return self._filed("fhir", path, reading.read(bundle, SYSTEMS, flavours), flavours)

    def _filed(self, media: Any, path: Path, content: Any, flavours: FlavourTable) -> DocumentEntry:
        raw = path.read_bytes()
        incoming = IncomingMessage(
            door="command",
            caller=Caller(node=Node()),
            media=media,
            digest=sha256(raw).hexdigest(),
            size=len(raw),
            raw=lambda start=0, end=None: iter((raw[start:end],)),
            envelope=content.envelope,
            flavour=flavours.flavour_of(content.envelope),
            content=content,
        )
        folder = self.folder / secrets.token_hex(4)
        folder.mkdir()
        with filing_world(self.databases, folder, repository_unique_id="2.999.7") as world:
            outcome: FilingOutcome = world.filer.file(incoming)
            (made,) = outcome.documents
            return world.entry(made.unique_id)


@pytest.fixture
def twins(databases: Databases, tmp_path: Path) -> Twins:
    return Twins(databases, tmp_path)


def differing(one: DocumentEntry, other: DocumentEntry) -> dict[str, tuple[Any, Any]]:
    """Return the attributes that two entries do not share, with the values of both."""
    values = {name: (getattr(one, name), getattr(other, name)) for name in ATTRIBUTES}
    return {name: both for name, both in values.items() if both[0] != both[1]}


@pytest.mark.parametrize(("name", "event"), [("oru_twin", "R01"), ("mdm_twin", "T02")])
def test_twins_that_say_the_same_give_equal_entries(twins: Twins, name: str, event: str) -> None:
    flavours = read_flavours()
    one = twins.v2(FIXTURES / f"hl7v2/{name}.hl7", flavours)
    other = twins.fhir(FIXTURES / "fhir-messages/twin.json", flavours, event)
    assert differing(one, other) == {}
    assert (one.title, one.creation_time) == ("Aortic panel", "20260301090000")
    assert (one.service_start_time, one.service_stop_time) == ("20260228091500",) * 2
    assert one.type_code is not None
    assert one.type_code.code == "1054161000000101"
    assert [code.code for code in one.event_code_list] == ["R125.1"]
    assert [code.code for code in one.confidentiality_code] == ["R"]
    assert one.practice_setting_code is not None
    assert one.practice_setting_code.code == "394609007"
    assert one.language_code == "cy"
    (author,) = one.author
    assert author.person == ("C1234567^Smith^John^^^Dr^^^&2.16.840.1.113883.2.1.3.2.4.16.63&ISO",)
    assert author.role == ("interpreter",)
    assert author.institution[0].startswith("Example Genomics^^^^^&2.16.840.1.113883.2.1.3.2.4")
    kinds = [value.split("^")[0] for value in one.reference_id_list]
    assert kinds == ["ORD-7", "R-200", "V-1"]
    assert one.reference_id_list[0].startswith("ORD-7^^^&2.999.9.2&ISO^")
    assert len([value for value in one.source_patient_info if value.startswith("PID-3|")]) == 2


def test_a_unique_id_of_the_sender_is_kept_by_both(twins: Twins, tmp_path: Path) -> None:
    message = (FIXTURES / "hl7v2/mdm_twin.hl7").read_bytes()
    (tmp_path / "own.hl7").write_bytes(message.replace(b"R-200^X9Z||ORD", b"2.999.4.7||ORD"))
    bundle = json.loads((FIXTURES / "fhir-messages/twin.json").read_text())
    reference = bundle["entry"][3]["resource"]
    del reference["identifier"]
    del reference["context"]["related"]
    reference["masterIdentifier"] = {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.4.7"}
    (tmp_path / "own.json").write_text(json.dumps(bundle))
    one = twins.v2(tmp_path / "own.hl7", read_flavours())
    other = twins.fhir(tmp_path / "own.json", read_flavours(), "T02")
    assert (one.unique_id, other.unique_id) == ("2.999.4.7",) * 2
    assert differing(one, other) == {}
    assert [value.split("^")[0] for value in one.reference_id_list] == ["ORD-7", "R-200", "V-1"]


def test_a_name_in_a_text_and_a_test_in_a_note_are_read_as_the_flavour_says(
    twins: Twins, tmp_path: Path
) -> None:
    (tmp_path / "flavours").mkdir()
    own = """
display_names = "given-family"
test_notes = "England-GenomicTestDirectory"
title_prefixes = ["PANEL:"]

[domains]
HOSP = "2.999.1.1"

[[match]]
application = "LABSYS"
"""
    (tmp_path / "flavours/own.toml").write_text(own)
    flavours = read_flavours(tmp_path / "flavours")
    message = (FIXTURES / "hl7v2/oru_twin.hl7").read_bytes()
    message = message.replace(b"R125.1^Aortic disease^England-GenomicTestDirectory", b"AO^Aorta^L")
    message = message.replace(b"C1234567&Smith&John&&&Dr&&&GMC", b"&Smith&John")
    message += b"NTE|1|L|R125.1=PANEL: R125.1 - Aortic disease\rNTE|2|L|No test\r"
    (tmp_path / "own.hl7").write_bytes(message)
    bundle = json.loads((FIXTURES / "fhir-messages/twin.json").read_text())
    report, patient = bundle["entry"][6]["resource"], bundle["entry"][1]["resource"]
    report["resultsInterpreter"] = [{"display": "John Smith"}]
    number = patient["identifier"][1]
    del number["system"]
    number["assigner"] = {"identifier": {"value": "HOSP"}}
    (tmp_path / "own.json").write_text(json.dumps(bundle))
    one = twins.v2(tmp_path / "own.hl7", flavours)
    other = twins.fhir(tmp_path / "own.json", flavours)
    assert differing(one, other) == {}
    assert one.author[0].person == ("^Smith^John",)
    (test,) = one.event_code_list
    assert (test.code, test.display_name) == ("R125.1", "Aortic disease")
    assert one.source_patient_info[1] == "PID-3|P100^^^&2.999.1.1&ISO"
    whole = twins.fhir(tmp_path / "own.json", read_flavours(), "T02")
    assert whole.author[0].person == ("^John Smith",)


# --- the samples: what their twins do not share, since the two messages say different things

_SUMMER: Final = {
    "creation_time": "v2 has local time without an offset, FHIR the same digits with +00:00",
}
_RECEIVED: Final = {
    "service_start_time": "v2 says when the specimen came, FHIR has the time of the report",
    "service_stop_time": "only FHIR has an end of the period",
}
_AUTHOR_ID: Final = {"author": "only v2 has the interpreter's id"}
_MDM: Final = {
    "source_patient_id": "the v2 message has no local number",
    "source_patient_info": "the v2 message has no local number, and a type of the name",
    "event_code_list": "the v2 message has no order",
    "service_start_time": "TXA-4 is empty",
    "service_stop_time": "the v2 message has no order",
    "author": "the v2 message has no person",
}
PAIRS: Final[Mapping[tuple[str, str], Mapping[str, str]]] = {
    ("oru/ORU_R01_R125.1_R0A.txt", "fhir-r01/ORU_R01_R125.1_R0A.txt.json"): {
        **_SUMMER,
        **_RECEIVED,
        **_AUTHOR_ID,
    },
    ("oru/ORU_R01_DLIMS.txt", "fhir-r01/ORU_R01_DLIMS.txt.json"): _RECEIVED,
    ("oru/ctdna9737383222.txt", "fhir-r01/ctdna9737383222.txt.json"): {
        **_SUMMER,
        **_RECEIVED,
        **_AUTHOR_ID,
    },
    ("oru-nw251/ctdna9737383222.txt", "fhir-r01/ctdna9737383222.txt.json"): {
        "source_patient_info": "only v2 has a type of the name",
        "title": "OBX-3 names the kind of document, which FHIR does not name so",
    },
    ("mdm/MDM_T02_ORU_R01_R125.1_R0A.txt", "fhir-t02/MDM_T02_ORU_R01_R125.1_R0A.txt.json"): {
        **_MDM,
        "reference_id_list": "the v2 message has no order",
    },
    ("mdm/MDM_T02_ORU_R01_DLIMS.txt", "fhir-t02/MDM_T02_ORU_R01_DLIMS.txt.json"): _MDM,
}


@needs(SAMPLES)
@pytest.mark.parametrize(("pair", "reasons"), PAIRS.items(), ids=lambda one: str(next(iter(one))))
def test_twins_of_the_samples_differ_where_they_say_different_things(
    twins: Twins, tmp_path: Path, pair: tuple[str, str], reasons: Mapping[str, str]
) -> None:
    (tmp_path / "flavours").mkdir()
    flavours = read_flavours(write_flavours(tmp_path / "flavours"))
    one = twins.v2(SAMPLES / pair[0], flavours)
    other = twins.fhir(SAMPLES / pair[1], flavours)
    assert set(differing(one, other)) == set(reasons), differing(one, other)
