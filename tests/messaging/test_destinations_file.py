"""Destinations as a file: what is read, what is refused, and what rules choose."""

from pathlib import Path

import pytest

from xds.messaging.outbound import destinations_file
from xds.messaging.outbound.destinations_file import DestinationsError
from xds.messaging.outbound.rules import criterion_of, known_of
from xds.metadata.criteria import evaluate
from xds.metadata.entry_rules import BadRule
from xds.metadata.objects import Code, DocumentEntry

SCT = "2.16.840.1.113883.6.96"
GOOD = """
[[destination]]
name = "shared-record"
address = "mllps://record.example:2575"
sending_application = "XDS"
sending_facility = "699X0"
receiving_application = "RECORD"
receiving_facility = "GM"
changes = ["registered", "replaced"]
order = "destination"
form = { message = "ORU", version = "2.5.1", domains = { "2.999.1" = ["NHS", "NH"] } }

[[destination.rule]]
name = "genetic reports"
type_code = ["1054161000000101^^2.16.840.1.113883.6.96"]
postcode_area = ["m", "BL"]
not = { title = ["*draft*"] }
"""


def _asking(accept: str, application: str) -> str:
    wishes = f'accept_acknowledgement = "{accept}", application_acknowledgement = "{application}"'
    return GOOD.replace('message = "ORU"', f'message = "ORU", {wishes}')


def test_a_destination_is_read_with_what_it_does_not_say(tmp_path: Path) -> None:
    (one,) = destinations_file.read(_file(tmp_path, GOOD))
    assert (one.name, one.address) == ("shared-record", "mllps://record.example:2575")
    assert one.identity == "RECORD|GM"
    assert one.changes == {"registered", "replaced"}
    assert (one.form.message, one.form.version) == ("ORU", "2.5.1")
    assert one.form.domains == {"2.999.1": ("NHS", "NH")}
    assert (one.reading, one.lanes, one.refusals) == ("hl7", 4, 10)
    assert [rule.name for rule in one.rules] == ["genetic reports"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[destination", "destinations.toml: "),
        ("[[receiver]]\n", "unknown key receiver"),
        ('[[destination]]\naddress = "mllp://a:1"', "destination 1: name: "),
        ('[[destination]]\nname = "a b"\naddress = "mllp://a:1"', "destination a b: name: "),
        ('[[destination]]\nname = "a"\naddress = "ftp://a:1"', "destination a: address: "),
        ('[[destination]]\nname = "a"\naddress = "mllp://a"', "destination a: address: "),
        (GOOD + GOOD, "several destinations have the name shared-record"),
        (GOOD.replace("not =", "none ="), "rule: unknown key none; known are "),
        (GOOD.replace("^^2.16.840.1.113883.6.96", ""), "is not of the form code^^codingScheme"),
        (GOOD.replace('"ORU"', '"ADT"'), "form.message: "),
        (
            GOOD.replace("[[destination.rule]]", 'merges = "A41"\n[[destination.rule]]'),
            "merges: Input should be",
        ),
        (_asking("NE", "NE"), "a message that is not answered when it is taken"),
        (_asking("ER", ""), "a message that is not answered when it is taken"),
        (_asking("", "ER"), "a message that is not answered when it is taken"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DestinationsError) as refusal:
        destinations_file.read(_file(tmp_path, text))
    assert told in str(refusal.value)


ENTRY = DocumentEntry.create(
    title="Genetic report",
    type_code=Code("1054161000000101", SCT, "Genetic report"),
    event_code_list=(Code("M1.1", "2.999.7", "Panel"),),
    mime_type="application/pdf",
    creation_time="20260810",
    patient_id="9999999999^^^&2.16.840.1.113883.2.1.4.1&ISO",
    source_patient_info=("PID-5|Hale^Una", "PID-11|1 High St^^Bolton^^bl1 1aa"),
)


@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        ({}, True),
        ({"type_code": f"1054161000000101^^{SCT}"}, True),
        ({"type_code": [f"1^^{SCT}", f"1054161000000101^^{SCT}"]}, True),
        ({"type_code": f"1^^{SCT}"}, False),
        ({"event_code": "M1.*^^*"}, True),
        ({"event_code": "R*^^*"}, False),
        ({"postcode_area": "BL"}, True),
        ({"postcode_area": "B"}, False),
        ({"postcode": "BL1*"}, True),
        ({"practice": "P84001"}, True),
        ({"sender": "IGENE|MFT"}, False),
        ({"postcode_area": "M", "practice": "P84001"}, False),
        ({"any": [{"postcode_area": "M"}, {"practice": "P84001"}]}, True),
        ({"not": {"mime_type": "application/pdf"}}, False),
        ({"created_since": "2026"}, True),
        ({"created_since": "2027"}, False),
        ({"title": "*report"}, True),
        ({"title": "100%"}, False),
    ],
)
def test_a_rule_chooses_what_meets_all_of_its_keys(rule: dict[str, object], chosen: bool) -> None:
    known = known_of(ENTRY, practice="P84001", sender="SHIRE|CPP")
    assert evaluate(criterion_of(rule), ENTRY, known) is chosen


def test_what_is_not_known_of_a_patient_chooses_nothing() -> None:
    known = known_of(ENTRY)
    assert not evaluate(criterion_of({"practice": "P84001"}), ENTRY, known)


@pytest.mark.parametrize("rule", [{"any": {}}, {"type_code": 1}, {"created_since": "199"}])
def test_a_rule_of_another_form_is_refused(rule: dict[str, object]) -> None:
    with pytest.raises(BadRule):
        criterion_of(rule)


def _file(folder: Path, text: str) -> Path:
    path = folder / "destinations.toml"
    path.write_text(text)
    return path
