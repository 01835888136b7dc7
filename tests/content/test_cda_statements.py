"""What entries of CDA state beside results: problems, allergies, medicines, and what is not so."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import pytest

from tests.registry.wire import FIXTURES
from xds.content.reading.model import ContentStatement, SectionStatements
from xds.content.reading.reader import read

CARE: Final = (FIXTURES / "documents/care_summary.xml").read_text()
SECTIONS: Final = ("48765-2", "11450-4", "10160-0", "11369-6", "47519-4", "46264-8", "29762-2")


def sections(text: str) -> dict[str, SectionStatements]:
    found = read(text.encode(), "text/xml").statements()
    return {one.code.code: one for one in found if one.code is not None}


def said(one: ContentStatement) -> dict[str, Any]:
    """Return what a statement says, codes by their codes alone."""
    shown: dict[str, Any] = {}
    for field in fields(one):
        value = getattr(one, field.name)
        if value and field.name not in ("place", "translations", "reactions", "dose"):
            shown[field.name] = getattr(value, "code", value)
    if one.reactions:
        shown["reactions"] = [(r.name, r.severity and r.severity.code) for r in one.reactions]
    if one.dose is not None:
        shown["dose"] = (one.dose.text, one.dose.unit)
    return shown


def test_every_kind_of_section_is_read() -> None:
    found = sections(CARE)
    assert tuple(found) == SECTIONS
    every = {code: [*map(said, one.statements)] for code, one in found.items()}
    walnut, aspirin = every["48765-2"]
    assert walnut == {
        "kind": "allergy",
        "name": "Walnut",
        "code": "227512001",
        "status": "active",
        "start": "201905",
        "category": "food",
        "allergy_type": "allergy",
        "criticality": "high",
        "reactions": [("Swelling of lips", "6736007")],
        "notes": ("Walnut, Swollen lips, after one bite, May 2019",),
    }
    assert (aspirin["name"], aspirin["is_negated"]) == ("Aspirin", True)
    asthma, appendicitis, epilepsy = every["11450-4"]
    assert asthma == {
        "kind": "condition",
        "name": "Asthma",
        "code": "195967001",
        "status": "active",
        "start": "2003",
        "recorded": "20260102093000",
        "severity": "255604002",
        "notes": ("Asthma since 2003, mild",),
    }
    assert (appendicitis["status"], appendicitis["stop"]) == ("resolved", "20100320")
    assert (epilepsy["name"], epilepsy["is_negated"]) == ("Epilepsy", True)
    assert [one["status"] for one in every["10160-0"]] == ["active", "completed", "not-taken"]
    assert [one.get("dose") for one in every["10160-0"]] == [("200", "ug"), ("20 - 40", "mg"), None]
    salbutamol = every["10160-0"][0]
    assert (salbutamol["dosage"], salbutamol["reason"]) == ("every 6 h", "Asthma")
    tetanus, influenza = every["11369-6"]
    assert tetanus == {
        "kind": "immunization",
        "name": "Tetanus vaccine",
        "code": "333621002",
        "status": "completed",
        "start": "20240917",
        "dose": ("0.5", "mL"),
        "route": "78421000",
        "site": "368208006",
        "lot": "TX-114",
        "maker": "Example Vaccines",
        "sequence": "2",
        "performer": "Dr Ivy Marl",
        "notes": ("Tetanus, second dose, left arm, no fever after it",),
    }
    assert influenza["reason"] == "Refusal of treatment by patient"
    assert [one["status"] for one in every["47519-4"]] == ["completed", "not-done"]
    (aid,) = every["46264-8"]
    assert (aid["name"], aid["maker"]) == ("Hearing aid", "Example Acoustics")
    assert aid["identifiers"] == ("(01)09990000000017(21)A7^^^&2.16.840.1.113883.3.3719&ISO",)
    (smoking,) = found["29762-2"].observations
    assert (smoking.values[0].text, smoking.notes) == ("Ex-smoker", ("Smokes no more",))


def test_relatives_plans_and_errors_are_none_of_the_patient() -> None:
    names = [one.name for group in sections(CARE).values() for one in group.statements]
    assert not {"Type 2 diabetes mellitus", "Malignant tumour", "Measles vaccine"} & {*names}


def test_words_that_no_entry_refers_to_are_kept() -> None:
    whole = {code for code, one in sections(CARE).items() if one.is_all}
    # there are words beside the list of problems, and a vaccination that is only planned
    assert whole == {*SECTIONS} - {"11450-4", "11369-6"}
    for change in (
        ("<tbody>", "<tbody><tr><td>Cat hair</td></tr>"),
        ("Walnut</td>", '<content revised="delete">Peanut</content> Walnut</td>'),
        ("Walnut</td>", 'Walnut <renderMultiMedia referencedObject="x"/></td>'),
        ('<tr ID="al-1">', "<tr>"),
        ('<reference value="#al-1"/>', '<reference value="https://elsewhere.invalid/al-1"/>'),
    ):
        assert not sections(CARE.replace(*change, 1))["48765-2"].is_all, change
    # heads of tables and captions are no words of their own
    headed = CARE.replace("<tbody>", "<caption>Known</caption><tbody>", 1)
    assert sections(headed)["48765-2"].is_all


def _value(code: str, *, negated: bool = False) -> str:
    attribute = ' negationInd="true"' if negated else ""
    return (
        f'<entry><observation classCode="OBS" moodCode="EVN"{attribute}>'
        '<code code="ASSERTION" codeSystem="2.16.840.1.113883.5.4"/>'
        f'<value code="{code}" codeSystem="2.16.840.1.113883.6.96"/></observation></entry>'
    )


def _substance(code: str, *, negated: bool = False, status: str = "completed") -> str:
    attribute = ' negationInd="true"' if negated else ""
    coded = f'code="{code}" codeSystem="2.16.840.1.113883.6.96"' if code else 'nullFlavor="NA"'
    return (
        f'<entry><substanceAdministration classCode="SBADM" moodCode="EVN"{attribute}>'
        f'<statusCode code="{status}"/><consumable><manufacturedProduct><manufacturedMaterial>'
        f"<code {coded}/></manufacturedMaterial></manufacturedProduct></consumable>"
        "</substanceAdministration></entry>"
    )


def only(section: str, entry: str) -> list[ContentStatement]:
    start = CARE.index("<structuredBody>") + len("<structuredBody>")
    text = (
        f'{CARE[:start]}<component><section><code code="{section}"'
        f' codeSystem="2.16.840.1.113883.6.1"/>{entry}</section></component>'
        "</structuredBody></component></ClinicalDocument>"
    )
    return list(sections(text)[section].statements)


@pytest.mark.parametrize(
    ("section", "entry"),
    [
        ("48765-2", _value("716186003")),
        ("48765-2", _value("419199007", negated=True)),
        ("11450-4", _value("160245001")),
        ("11450-4", _value("55607006", negated=True)),
        ("10160-0", _substance("787481004")),
        ("11369-6", _substance("787482006")),
        ("11369-6", _substance("71181003", negated=True)),
    ],
)
def test_nothing_known_is_told_from_nothing_said(section: str, entry: str) -> None:
    (found,) = only(section, entry)
    assert found.is_none_known
    assert not found.is_negated


@pytest.mark.parametrize(
    ("section", "entry"),
    [
        ("10160-0", _substance("", negated=True)),
        ("11369-6", _substance("", negated=True)),
        ("10160-0", _substance("")),
        ("48765-2", _value("419199007")),
        ("10160-0", _substance("372897005", status="nullified")),
        ("10160-0", _value("372897005")),
        ("11369-6", "<entry/>"),
    ],
)
def test_an_empty_entry_states_nothing(section: str, entry: str) -> None:
    assert only(section, entry) == []


def _problem(change: Callable[[str], str]) -> str:
    (found,) = only(
        "11450-4",
        change(
            '<entry><act classCode="ACT" moodCode="EVN"><statusCode code="active"/>'
            '<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">'
            '<effectiveTime><low value="2011"/></effectiveTime>'
            '<value code="59621000" codeSystem="2.16.840.1.113883.6.96"/>'
            "</observation></entryRelationship></act></entry>"
        ),
    )
    return found.status


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("", "", "active"),
        ("</effectiveTime>", '<high value="2012"/></effectiveTime>', "resolved"),
        ('"/></effectiveTime>', '"/><high value="2011"/></effectiveTime>', "active"),
        # some write an unknown end of what goes on
        ("</effectiveTime>", '<high nullFlavor="UNK"/></effectiveTime>', "active"),
        ('code="active"', 'code="suspended"', "inactive"),
        ('code="active"', 'code="completed"', ""),
    ],
)
def test_whether_a_problem_goes_on(old: str, new: str, status: str) -> None:
    assert _problem(lambda text: text.replace(old, new, 1) if old else text) == status


def test_a_code_that_says_it_is_unknown_is_none() -> None:
    """As some systems write it: two such medicines are not one, and have their names."""
    unknown = 'code="Unknown" displayName="Unknown" codeSystem="2.16.840.1.113883.6.88"'
    named = '<translation code="{}" codeSystem="2.16.840.1.113883.6.253" displayName="{}"/>'
    entries = "".join(
        _substance("x").replace(
            '<code code="x" codeSystem="2.16.840.1.113883.6.96"/>',
            f"<code {unknown}>{named.format(number, name)}</code>",
        )
        for number, name in (("86679", "Decongestant"), ("138796", "Blister kit"))
    )
    found = only("10160-0", entries)
    told = [(one.name, one.code.code) for one in found if one.code is not None]
    assert told == [("Decongestant", "86679"), ("Blister kit", "138796")]
