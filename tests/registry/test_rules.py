"""Every rule through the wire: the good message is accepted, the changed one precisely refused."""

from collections.abc import Callable

import pytest
from lxml import etree

from tests.registry import (
    edits,
    violations_of_attributes,
    violations_of_on_demand,
    violations_of_relations,
    violations_of_structure,
    violations_of_updates,
    wire,
)
from tests.registry.lawful import LAWFUL, PREDECESSORS, Lawful
from tests.registry.violations import SCHEMA, Violation, message, registered
from tests.registry.wire import ACTIVE, World
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.rules.submission_rules import SUBMISSION_RULES, UPDATES

VIOLATIONS = (
    *violations_of_structure.VIOLATIONS,
    *violations_of_attributes.VIOLATIONS,
    *violations_of_relations.VIOLATIONS,
    *violations_of_on_demand.VIOLATIONS,
    *violations_of_updates.VIOLATIONS,
)
FIXTURES = [
    f"{folder}/{path.stem}"
    for folder in ("iti42", "iti57", "iti61", "iti92")
    if folder.upper().replace("ITI", "ITI-") in ACTIVE
    for path in sorted((wire.FIXTURES / folder).glob("*.xml"))
]


def _breach_cases() -> list[object]:
    return [
        pytest.param(
            violation,
            id=f"{violation.rule}: {violation.name}",
            marks=pytest.mark.shows(f"rule {violation.rule}", f"error {violation.code}"),
        )
        for violation in VIOLATIONS
        if violation.transaction in ACTIVE
    ]


def _fixture_cases() -> list[object]:
    return [pytest.param(name, marks=pytest.mark.shows(f"ITI-{name[3:5]}")) for name in FIXTURES]


def _lawful_cases() -> list[object]:
    return [
        pytest.param(lawful, id=lawful.name, marks=pytest.mark.shows(lawful.shows))
        for lawful in LAWFUL
    ]


def _server_of(fixture: str) -> str:
    return "updates" if fixture.startswith(("iti57", "iti92")) else "open"


def _state(server: Server, world: World, level: str = "") -> dict[str, bytes]:
    """Return all that is registered of the patients of the fixtures, as it is written."""
    found = {}
    for number in (1, 2):
        answer = wire.get_all(server, world.patient(number), level=level)
        found.update({one.get("id"): etree.tostring(one) for one in answer.elements})
    return found


@pytest.mark.parametrize("violation", _breach_cases())
def test_a_breach_is_refused_and_changes_nothing(
    violation: Violation, served: Callable[[str], Server], world: World
) -> None:
    server = served(violation.server)
    for step in violation.before:
        step(server, world)
    level = "2" if violation.server == "updates" else ""
    before = _state(server, world, level)
    answer = wire.send(server, message(world, violation.fixture, violation.edit))
    assert answer.status == "Failure"
    assert sorted(answer.codes) == sorted((violation.code, *violation.also)), answer.problems
    words = [world.text(word) for word in violation.words]
    told = [p for p in answer.problems if all(word in p.context for word in words)]
    expected = [(violation.code, world.text(violation.at))]
    assert [(p.code, p.location) for p in told] == expected, answer.problems
    assert _state(server, world, level) == before


@pytest.mark.parametrize("fixture", _fixture_cases())
def test_a_good_message_is_accepted(
    fixture: str, served: Callable[[str], Server], world: World
) -> None:
    server = served(_server_of(fixture))
    for step in PREDECESSORS.get(fixture, ()):
        step(server, world)
    unchanged = message(world, fixture)
    wire.require_valid(unchanged)
    wire.accept(server, unchanged)


@pytest.mark.parametrize(
    "fixture",
    sorted({one.fixture for one in VIOLATIONS if one.server == "domain"}),
)
def test_a_good_message_is_accepted_by_a_domain_that_knows_its_codes_and_patients(
    fixture: str, domain_server: Server, known_world: World
) -> None:
    wire.accept(domain_server, message(known_world, fixture))


@pytest.mark.parametrize("lawful", _lawful_cases())
def test_a_lawful_change_is_accepted(lawful: Lawful, server: Server, world: World) -> None:
    for step in lawful.before:
        step(server, world)
    wire.accept(server, message(world, lawful.fixture, lawful.edit))


def test_every_rule_has_a_breach() -> None:
    rules = {rule.name for rule in SUBMISSION_RULES if rule.transactions & ACTIVE}
    assert {violation.rule for violation in VIOLATIONS} == rules | {SCHEMA}


def test_a_breach_has_the_error_of_its_rule() -> None:
    errors = {
        (rule.name, transaction): rule.error.code
        for rule in SUBMISSION_RULES
        for transaction in rule.transactions
    }
    for violation in VIOLATIONS:
        of_rule = errors.get((violation.rule, violation.transaction), violation.code)
        assert violation.code == of_rule, violation.name


def test_every_error_of_a_rule_of_updates_has_a_breach() -> None:
    wanted = {(one.name, one.error.code) for one in SUBMISSION_RULES if one.transactions <= UPDATES}
    assert wanted <= {(violation.rule, violation.code) for violation in VIOLATIONS}


def test_every_fixture_of_a_breach_is_a_good_message() -> None:
    assert {b.fixture for b in VIOLATIONS if b.transaction in ACTIVE} <= set(FIXTURES)


# --- all errors at once --------------------------------------------------------------------------

UUID = "urn:uuid:00000000-0000-4000-8000-0000000000"


def test_all_errors_are_reported_together(server: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(server, world)
    registered("iti42/replacement")(server, world)
    before = _state(server, world)
    document = edits.DOCUMENT_ENTRY
    wrong = edits.both(
        edits.remove(edits.classification(document, v.DOCUMENT_ENTRY_CLASS_CODE)),
        edits.values(edits.slot(document, "creationTime"), "yesterday"),
        edits.attribute(edits.association("relation"), "targetObject", f"{UUID}99"),
        edits.add_association("second", v.APND, "document", f"{UUID}10"),
        edits.replace("2.999.2.3", "2.999.2.1"),
        edits.replace("2.999.3.33", "2.999.3.14"),
        edits.attribute(
            edits.identifier(document, v.DOCUMENT_ENTRY_PATIENT_ID),
            "value",
            "P2^^^&2.999.1.1&ISO",
        ),
    )
    answer = wire.send(server, message(world, "iti42/addendum", wrong))
    assert answer.status == "Failure"
    assert sorted((p.code, p.location) for p in answer.problems) == sorted(
        [
            ("XDSRegistryMetadataError", "document"),  # no classCode
            ("XDSRegistryMetadataError", "document"),  # a creationTime that is none
            ("UnresolvedReferenceException", "relation"),
            ("XDSRegistryDeprecatedDocumentError", "second"),
            ("XDSDuplicateUniqueIdInRegistry", "submission-set"),
            ("XDSNonIdenticalHash", "document"),
            ("XDSNonIdenticalSize", "document"),
            ("XDSPatientIdDoesNotMatch", "document"),  # not the SubmissionSet's
            ("XDSPatientIdDoesNotMatch", "document"),  # not that of the registered document
            ("XDSPatientIdDoesNotMatch", "second"),
        ]
    )
    assert _state(server, world) == before


def test_a_patient_who_is_unknown_and_another_is_told_both_ways(
    domain_server: Server, known_world: World
) -> None:
    wrong = edits.attribute(
        edits.identifier(edits.DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_PATIENT_ID),
        "value",
        "P4^^^&2.999.1.1&ISO",
    )
    answer = wire.send(domain_server, message(known_world, "iti42/minimal_document", wrong))
    assert [(p.code, p.location) for p in answer.problems] == [
        ("XDSUnknownPatientId", "document"),
        ("XDSPatientIdDoesNotMatch", "document"),
    ]
    assert all(known_world.patient(4) in p.context for p in answer.problems)


@pytest.mark.shows("rule data_types", "rule mime_types_of_the_domain")
def test_a_mime_type_that_the_domain_lists_is_accepted_as_it_stands(
    server: Server, domain_server: Server, known_world: World
) -> None:
    listed = edits.attribute(edits.DOCUMENT_ENTRY, "mimeType", "application/pdf+text/x-cda-r2+xml")
    sent = message(known_world, "iti42/minimal_document", listed)
    wire.accept(domain_server, sent)
    assert wire.send(server, sent).codes == ["XDSRegistryMetadataError"]


def test_every_breach_of_the_schema_is_told(server: Server, world: World) -> None:
    wrong = edits.both(
        edits.attribute(edits.association("member-document"), "id", None),
        edits.attribute(edits.DOCUMENT_ENTRY, "colour", "red"),
    )
    answer = wire.send(server, message(world, "iti42/minimal_document", wrong))
    assert answer.codes == ["XDSRegistryMetadataError"] * 2
    assert "colour" in answer.problems[0].context
    assert "attribute id is required" in answer.problems[1].context
