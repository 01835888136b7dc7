"""What a summary has of the entries of CDA: problems, allergies, medicines, by their sources."""

import json
import random
import re
from dataclasses import replace
from functools import cache
from typing import Any, Final

import pytest

from tests.content import samples
from tests.content.test_cda_statements import CARE, SECTIONS
from tests.fhir import schema
from tests.fhir.asked import new_patient
from tests.forms.eu_laboratory import of_type
from tests.forms.invariants import unlawful
from tests.forms.ips import breaches, code_of, section
from tests.forms.served import awaited, provide
from tests.forms.test_summary import (
    DISCHARGE,
    JSON,
    RECORD,
    asked,
    had,
    made,
    source,
    summaries,
    told,
)
from tests.forms.test_summary_cda import SCHEMA, texts
from tests.forms.test_summary_cda import made as made_cda
from tests.reference import FHIR as R4
from tests.serving import Server
from xds.content.reading.cda_schema import CdaSchema
from xds.content.reading.model import ContentStatement
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules

__all__ = ["summaries"]
DATA: Final = CARE.encode()
SNOMED: Final = "http://snomed.info/sct"
ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def care() -> Any:
    return made(source(DATA))


def named(bundle: Any, kind: str, text: str) -> dict[str, Any]:
    """Return the one resource of a type with a text in it."""
    (only,) = (one for one in of_type(bundle, kind) if f'"{text}"' in json.dumps(one))
    return only


def test_what_is_made_keeps_the_rules() -> None:
    bundle = made(source(DATA), source(RECORD, JSON), source(DISCHARGE))
    assert breaches(bundle) == []
    assert unlawful(bundle) == []
    path = R4 / "fhir.schema.json"
    if path.exists():
        definitions = json.loads(path.read_text())["definitions"]
        for one in bundle["entry"]:
            assert schema.accepts(definitions, one["resource"]), one["resource"]


def test_the_checks_of_rules_find_what_is_broken() -> None:
    bundle = care()
    named(bundle, "AllergyIntolerance", "Walnut").pop("clinicalStatus")
    named(bundle, "Condition", "Appendicitis")["clinicalStatus"]["coding"][0]["code"] = "active"
    named(bundle, "MedicationStatement", "Prednisolone")["effectivePeriod"]["end"] = "2025-01-01"
    del named(bundle, "Procedure", "Excision of appendix")["performedDateTime"]
    found = " ".join(unlawful(bundle))
    for rule in ("ait-1", "con-4", "per-1", "performed is demanded"):
        assert rule in found


def test_statements_are_resources() -> None:
    bundle = care()
    walnut = named(bundle, "AllergyIntolerance", "Walnut")
    assert code_of(walnut) == "227512001"
    assert walnut["code"]["coding"][0]["system"] == SNOMED
    assert (walnut["criticality"], walnut["category"]) == ("high", ["food"])
    (reaction,) = walnut["reaction"]
    assert reaction["severity"] == "moderate"
    assert reaction["manifestation"][0]["text"] == "Swelling of lips"
    assert walnut["note"] == [{"text": "Walnut, Swollen lips, after one bite, May 2019"}]
    asthma = named(bundle, "Condition", "Asthma")
    assert [one["code"] for one in asthma["code"]["coding"]] == ["195967001", "J45.9"]
    assert (asthma["onsetDateTime"], asthma["recordedDate"][:10]) == ("2003", "2026-01-02")
    salbutamol = named(bundle, "MedicationStatement", "Salbutamol")
    assert salbutamol["effectivePeriod"] == {"start": "2020-01-10"}
    (dosage,) = salbutamol["dosage"]
    assert dosage["text"] == "200 ug, every 6 h"
    assert dosage["doseAndRate"][0]["doseQuantity"]["code"] == "ug"
    prednisolone = named(bundle, "MedicationStatement", "Prednisolone")
    (dose,) = prednisolone["dosage"][0]["doseAndRate"]
    assert (dose["doseRange"]["low"]["value"], dose["doseRange"]["high"]["value"]) == (20, 40)
    tetanus = named(bundle, "Immunization", "Tetanus vaccine")
    assert (tetanus["lotNumber"], tetanus["occurrenceDateTime"]) == ("TX-114", "2024-09-17")
    assert tetanus["protocolApplied"] == [{"doseNumberPositiveInt": 2}]
    (use,) = of_type(bundle, "DeviceUseStatement")
    aid = named(bundle, "Device", "Hearing aid")
    assert use["device"]["reference"] == f"urn:uuid:{aid['id']}"
    assert aid["udiCarrier"] == [{"carrierHRF": "(01)09990000000017(21)A7"}]
    smoking = named(bundle, "Observation", "Ex-smoker")
    assert smoking["category"][0]["coding"][0]["code"] == "social-history"


def test_what_is_not_so_cannot_be_taken_for_what_is() -> None:
    bundle = care()
    for kind, text, name, value in (
        ("AllergyIntolerance", "Aspirin", "verificationStatus", "refuted"),
        ("AllergyIntolerance", "Aspirin", "clinicalStatus", "inactive"),
        ("Condition", "Epilepsy", "verificationStatus", "refuted"),
        ("Condition", "Epilepsy", "clinicalStatus", "inactive"),
    ):
        assert named(bundle, kind, text)[name]["coding"][0]["code"] == value
    for kind, text, status in (
        ("MedicationStatement", "Warfarin", "not-taken"),
        ("Immunization", "Influenza vaccine", "not-done"),
        ("Procedure", "Bronchoscopy", "not-done"),
    ):
        assert named(bundle, kind, text)["status"] == status
    for code, text in (("48765-2", "Aspirin"), ("11450-4", "Epilepsy"), ("10160-0", "Warfarin")):
        assert f"NOT: {text}" in told(section(bundle, code))
    (absent,) = named(bundle, "Procedure", "Bronchoscopy")["_performedDateTime"]["extension"]
    assert absent["url"] == ABSENT


def test_no_known_allergies_have_the_code_of_ips() -> None:
    negated = re.sub(r"<participant typeCode=\"CSM\">.*?</participant>", "", CARE, flags=re.S)
    negated = negated.replace('moodCode="EVN">', 'moodCode="EVN" negationInd="true">', 2)
    negated = negated.replace(' negationInd="true"', "", 1)  # of the concern
    bundle = made(source(negated.encode()))
    assert breaches(bundle) == []
    assert unlawful(bundle) == []
    found = [code_of(one) for one in of_type(bundle, "AllergyIntolerance")]
    assert found == ["429625007", "409137002"], "no known food allergy, no known drug allergy"
    assert "No known allergies" in told(section(bundle, "48765-2"))


def test_words_stand_beside_entries_only_where_they_say_more() -> None:
    bundle = care()
    assert "Seen with his daughter" in told(section(bundle, "11450-4"))
    assert "Measles to be given in autumn" in told(section(bundle, "11369-6"))
    for code, words in (("48765-2", "Swollen lips"), ("10160-0", "two puffs"), ("46264-8", "left")):
        assert told(section(bundle, code)).count(words) == 1
    # results in words, in a document whose vital signs are structured
    assert "Chest film without findings" in told(section(bundle, "30954-2"))
    assert "128 mm[Hg]" in told(section(bundle, "8716-3"))
    assert "is in the entry" not in told(section(bundle, "8716-3"))


def test_a_statement_of_two_documents_stands_once_with_both() -> None:
    other = CARE.replace("SUM-2026-0601", "SUM-2026-0702")
    other = other.replace("Swollen lips, after one bite", "Swollen lips and hives")
    other = other.replace('<low value="202206"/>', '<low value="202301"/>')
    bundle = made(source(other.encode()), source(DATA))
    assert breaches(bundle) == []
    once = care()
    for kind in ("AllergyIntolerance", "Condition", "MedicationStatement", "Immunization"):
        assert len(of_type(bundle, kind)) == len(of_type(once, kind)), kind
    assert len(of_type(bundle, "DeviceUseStatement")) == 2, "from another day on"
    walnut = named(bundle, "AllergyIntolerance", "Walnut")
    assert len(walnut["note"]) == 2, "the words of both"
    entities = [
        one
        for one in of_type(bundle, "Provenance")
        if any(target["reference"].endswith(walnut["id"]) for target in one["target"])
    ]
    assert len(entities) == 2
    assert "[1] Summary of care, [2] Summary of care" in told(section(bundle, "48765-2"))


def as_document(bundle: Any, **changed: Any) -> bytes:
    """Return a FHIR document in which the walnut has other elements."""
    copied = json.loads(json.dumps(bundle))
    named(copied, "AllergyIntolerance", "Walnut").update(changed)
    return json.dumps(copied).encode()


def test_a_resource_of_two_documents_stands_once_with_both() -> None:
    first = as_document(care())
    both = made(source(first, JSON), source(first, JSON))
    assert breaches(both) == []
    for kind in ("AllergyIntolerance", "Condition", "MedicationStatement", "Procedure"):
        assert len(of_type(both, kind)) == len(of_type(care(), kind)), kind
    walnut = named(both, "AllergyIntolerance", "Walnut")
    targets = [
        [target["reference"] for target in one["target"]] for one in of_type(both, "Provenance")
    ]
    assert [f"urn:uuid:{walnut['id']}" in one for one in targets] == [True, True]
    allergies = told(section(both, "48765-2"))
    assert "Stated alike, all or some of it, by [2] International Patient Summary" in allergies
    assert allergies.count("Swollen lips") == 1
    path = "//c:section[c:code/@code='48765-2']/c:entry"
    assert len(texts(made_cda(source(first, JSON), source(first, JSON)), f"{path}/@typeCode")) == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"onsetDateTime": "2018-05"},
        {"criticality": "low"},
        {"note": [{"text": "Carries a pen"}]},
        {"lastOccurrence": "2025-12-24"},
        {"extension": [{"url": "https://extensions.example/more", "valueString": "more"}]},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_resource_that_says_more_or_else_stands_by_itself(changed: dict[str, Any]) -> None:
    bundle = made(source(as_document(care()), JSON), source(as_document(care(), **changed), JSON))
    assert breaches(bundle) == []
    assert len(of_type(bundle, "AllergyIntolerance")) == 3


def test_a_resource_that_says_what_an_entry_says_stands_once() -> None:
    bundle = made(source(DATA), source(as_document(care()), JSON))
    assert breaches(bundle) == []
    assert len(of_type(bundle, "AllergyIntolerance")) == 3, "what is refuted is inactive there"
    assert len(of_type(bundle, "MedicationStatement")) == 5, "doses are words there"
    assert len(of_type(bundle, "Procedure")) == 2
    assert "[1] Summary of care, [2] International" in told(section(bundle, "48765-2"))


def test_equal_entries_of_one_document_are_two() -> None:
    start, end = CARE.index("<entry>", CARE.index('"46264-8"')), 0
    end = CARE.index("</entry>", start) + len("</entry>")
    twice = CARE[:end] + CARE[start:end] + CARE[end:]
    assert len(of_type(made(source(twice.encode())), "DeviceUseStatement")) == 2


def test_an_end_before_the_beginning_is_told_in_words() -> None:
    text = CARE.replace('<high value="20260305"/>', '<high value="20250305"/>')
    bundle = made(source(text.encode()))
    assert unlawful(bundle) == []
    prednisolone = named(bundle, "MedicationStatement", "Prednisolone")
    assert prednisolone["effectivePeriod"] == {"start": "2026-03-01"}
    assert {"text": "Ended: 5 March 2025"} in prednisolone["note"]


@cache
def _schema() -> CdaSchema | None:
    return CdaSchema(SCHEMA) if SCHEMA.exists() else None


def _statements(data: bytes) -> list[ContentStatement]:
    groups = read(data, "text/xml").statements()
    return [replace(one, place="") for group in groups for one in group.statements]


def test_the_cda_has_them_as_entries() -> None:
    data = made_cda(source(DATA), source(RECORD, JSON))
    assert read(data, "text/xml", ReadingRules(cda_schema=_schema())).findings == ()
    before = [
        # how often is words there
        replace(one, dosage="", notes=tuple(filter(None, (one.dosage, *one.notes))))
        for one in _statements(DATA)
    ]
    after = _statements(data)
    assert [one for one in before if one not in after] == []
    assert len(after) == len(before) + 5, "and those of the record"
    for code in SECTIONS:
        entries = f"//c:section[c:code/@code='{code}']/c:entry"
        count = len(texts(data, f"{entries}//@typeCode[.='DRIV']"))
        assert count
        assert len(texts(data, f"{entries}//c:externalDocument/@classCode")) == count


def test_resources_are_entries_of_the_cda() -> None:
    """What is read of the FHIR document that is made of a CDA is what the CDA states."""
    before = _statements(DATA)
    after = _statements(made_cda(source(json.dumps(care()).encode(), JSON)))
    assert sorted(map(_compared, after), key=repr) == sorted(map(_compared, before), key=repr)


def _compared(found: ContentStatement) -> ContentStatement:
    """Return a statement without what FHIR says in another way, or in words."""
    is_refuted = found.is_negated and found.kind in ("allergy", "condition")
    return replace(
        found,
        status="" if is_refuted else found.status,
        dosage="",
        performer="",
        notes=tuple(one for one in found.notes if not re.match(r"[0-9 -]+(ug|mg|mL)", one)),
    )


def test_what_is_not_certain_is_no_entry() -> None:
    bundle = json.loads(RECORD)
    for entry in bundle["entry"]:
        resource = entry["resource"]
        if resource["resourceType"] in ("Condition", "AllergyIntolerance"):
            resource["verificationStatus"] = {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                        "code": "unconfirmed",
                    }
                ]
            }
    data = made_cda(source(json.dumps(bundle).encode(), JSON))
    assert {one.kind for one in _statements(data)} == {"medication", "immunization", "procedure"}
    assert {one.kind for one in _statements(made_cda(source(RECORD, JSON)))} == {
        *("allergy", "condition", "medication", "immunization", "procedure")
    }
    for code in ("48765-2", "11450-4"):
        path = f"//c:section[c:code/@code='{code}']/c:entry/c:act/c:reference/c:externalDocument"
        assert len(texts(data, f"{path}/@classCode")) == 1, "words, with their document"


@pytest.mark.parametrize("row", samples.rows("expected.tsv"), ids=lambda row: row["file"])
def test_samples_keep_the_rules(row: dict[str, str]) -> None:
    path = samples.path(row)
    if not path.exists() or samples.media_type(row) != "text/xml":
        pytest.skip("the sample is not here, or none in XML")
    bundle = made(source(path.read_bytes()), source(DATA))
    assert breaches(bundle) == []
    assert unlawful(bundle) == []
    data = made_cda(source(path.read_bytes()), source(DATA))
    assert read(data, "text/xml", ReadingRules(cda_schema=_schema())).findings == ()


@pytest.mark.parametrize("seed", range(30))
def test_entries_that_are_damaged_keep_the_rules(seed: int) -> None:
    chance = random.Random(seed)
    text = CARE
    for _ in range(12):
        found = [*re.finditer(r' (code|codeSystem|value|unit|typeCode|xsi:type)="[^"]*"', text)]
        one = chance.choice(found[20:])
        wrong = chance.choice(["", "\u00a0", "x y", "0", "-1", "99999999999999999999", "UNK", "#"])
        text = f'{text[: one.start()]} {one[1]}="{wrong}"{text[one.end() :]}'
    bundle = made(source(text.encode()))
    assert breaches(bundle) == []
    assert unlawful(bundle) == []
    read(made_cda(source(text.encode())), "text/xml")


# --- through the wire ----------------------------------------------------------------------------


@pytest.mark.shows("behaviour patient summary")
def test_a_patient_of_structured_documents_has_them(summaries: Server) -> None:
    patient = new_patient()
    registered = provide(summaries, DATA, "text/xml", patient_id=patient)
    bundle = awaited(lambda: had(summaries, patient))
    assert breaches(bundle) == []
    assert unlawful(bundle) == []
    walnut = named(bundle, "AllergyIntolerance", "Walnut")
    assert walnut["meta"]["source"] == registered.id
    reply = asked(summaries, patient, "&form=summary-cda")
    assert len(_statements(reply.body)) == len(_statements(DATA))
    ids = texts(reply.body, "//c:externalDocument/c:id/@root")
    assert {*ids} == {registered.unique_id}
