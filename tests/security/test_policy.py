"""The policy of a shared care record, in sentences: asked of SOAP's queries and of FHIR."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases import Databases
from tests.fhir.searched import ANNA, BASE, BERT, CONFIDENTIALITY, Population, code, entry, opened
from xds.fhir.exchange import Call
from xds.fhir.r4 import json
from xds.fhir.r4.outcome import Refused
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Slot
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.submission import Submission
from xds.metadata.systems import Systems
from xds.mhd import iti66_find_document_lists as iti66
from xds.mhd import iti67_find_document_references as iti67
from xds.registry.queries.stored_queries import QueryRequest
from xds.security import policy_file
from xds.security.access import Access
from xds.security.caller import Caller, User
from xds.security.errors import AccessDenied
from xds.security.node import Node
from xds.security.policy import READS

POLICY = Path(__file__).parents[2] / "docs" / "policies" / "shared-care-record.toml"
SNOMED, REASONS = "2.16.840.1.113883.6.96", "2.16.840.1.113883.5.8"
ROLES = {
    "a GP": Code("62247001", SNOMED),
    "a psychiatrist": Code("80584001", SNOMED),
    "a patient": Code("PAT", "2.16.840.1.113883.5.110"),
}


def user(role: str, purpose: str = "", *resource_ids: str) -> Caller:
    return Caller(
        user=User(
            name_id="u",
            issuer="i",
            roles=(ROLES[role],),
            purposes_of_use=(Code(purpose, REASONS),) if purpose else (),
            resource_ids=resource_ids,
        )
    )


def node(name: str) -> Caller:
    return Caller(node=Node(certificate_subject=f"CN={name},O=Example Trust"))


CALLERS = {
    "a GP who treats": user("a GP", "TREAT"),
    "a GP without a purpose": user("a GP"),
    "a GP who breaks the glass": user("a GP", "BTG"),
    "a GP in research": user("a GP", "HRESCH"),
    "a psychiatrist who treats": user("a psychiatrist", "TREAT"),
    "anna herself": user("a patient", "", ANNA),
    "bert himself": user("a patient", "", BERT),
    "a patient of no record": user("a patient"),
    "the laboratory": node("laboratory"),
    "the feed": node("feed"),
    "nobody": Caller(),
}
SEES = {
    "a GP who treats": ["normal"],
    "a GP without a purpose": None,
    "a GP who breaks the glass": ["normal", "restricted", "mixed"],
    "a GP in research": None,
    "a psychiatrist who treats": ["normal", "restricted", "mixed"],
    "anna herself": ["normal", "restricted", "mixed"],
    "bert himself": [],
    "a patient of no record": None,
    "the laboratory": None,
    "the feed": None,
    "nobody": None,
}


@dataclass
class Record:
    made: Population
    entries: dict[str, DocumentEntry]

    def access(self, caller: str, transaction: str = "ITI-67") -> Access:
        found = Access(transaction=transaction, caller=CALLERS[caller])
        with self.made.facade.domain.interceptors.passing(found):
            return found


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Record]:
    with opened(tmp_path_factory.mktemp("policy"), databases, policy=POLICY) as made:
        labels = {"normal": ("N",), "restricted": ("R",), "mixed": ("N", "R")}
        entries = {
            name: entry(
                name,
                f"2.999.3.{i}",
                confidentiality_code=tuple(code(one, CONFIDENTIALITY) for one in label),
            )
            for i, (name, label) in enumerate(labels.items())
        }
        for name, one in entries.items():
            made.register(one, title=f"set of {name}")
        yield Record(made, entries)


def soap(record: Record, access: Access, return_type: str = v.LEAF_CLASS) -> list[str]:
    slots = [
        Slot("$XDSDocumentEntryPatientId", (f"'{ANNA}'",)),
        Slot("$XDSDocumentEntryStatus", (f"('{v.APPROVED}')",)),
    ]
    request = QueryRequest(v.FIND_DOCUMENTS, slots, return_type)
    found = record.made.facade.domain.registry.query(request, access.visible)
    assert found.total == len(found.objects)
    names = {one.id: name for name, one in record.entries.items()}
    return [names[one.entry_uuid] for one in found.objects]


def fhir(record: Record, access: Access, handler: Any = iti67.find) -> Any:
    call = Call(access=access, base=BASE, parameters=(("patient.identifier", ANNA_TOKEN),))
    return handler(record.made.facade, call).resource


ANNA_TOKEN = "urn:oid:2.999.1.1|anna"


@pytest.mark.parametrize("caller", [who for who, seen in SEES.items() if seen is not None])
def test_who_is_let_in_sees(record: Record, caller: str) -> None:
    access = record.access(caller)
    assert soap(record, access) == soap(record, access, v.OBJECT_REF) == SEES[caller]
    found = fhir(record, access)
    assert found["total"] == len(SEES[caller] or ())
    assert record.made.found(json.read(json.render(found))) == SEES[caller]
    lists = fhir(record, access, iti66.find)
    assert lists["total"] == len(SEES[caller] or ()), "a set of withheld entries is withheld"


@pytest.mark.parametrize("caller", [who for who, seen in SEES.items() if seen is None])
@pytest.mark.parametrize("transaction", READS)
def test_who_is_not_let_in(record: Record, caller: str, transaction: str) -> None:
    with pytest.raises(AccessDenied) as denied:
        record.access(caller, transaction)
    assert denied.value.needs_user == (CALLERS[caller].user is None and transaction != "ITI-51")


def test_the_withheld_cannot_be_read_or_retrieved(record: Record) -> None:
    access = record.access("a GP who treats")
    for name, one in record.entries.items():
        call = Call(access=access, base=BASE, identifier=one.id.removeprefix("urn:uuid:"))
        withheld = record.made.facade.domain.withheld([one.unique_id or ""], access.visible)
        assert bool(withheld.unique_ids) == (name != "normal")
        if name == "normal":
            assert iti67.read(record.made.facade, call).status == 200
        else:
            with pytest.raises(Refused) as refused:
                iti67.read(record.made.facade, call)
            assert refused.value.status == 404


def test_associations_to_the_withheld_are_withheld(record: Record) -> None:
    slots = [Slot("$uuid", tuple(f"('{one.id}')" for one in record.entries.values()))]
    request = QueryRequest(v.GET_ASSOCIATIONS, slots)
    registry = record.made.facade.domain.registry
    visible = record.access("a GP who treats").visible
    assert [one.target for one in registry.query(request, visible).objects] == [
        record.entries["normal"].id
    ]


def test_break_glass_is_marked(record: Record) -> None:
    assert record.access("a GP who breaks the glass").break_glass
    assert not record.access("a psychiatrist who treats").break_glass
    permitted = record.access("a GP who breaks the glass").permitted_by
    assert "clinicians break the glass" in permitted


@pytest.mark.parametrize(("type_code", "lawful"), [("11502-2", True), ("34133-9", False)])
def test_the_laboratory_submits_its_own_types(record: Record, type_code: str, lawful: bool) -> None:
    submitted = entry("new", "2.999.3.9", type_code=Code(type_code, "2.16.840.1.113883.6.1"))
    access = record.access("the laboratory", "ITI-41")
    if lawful:
        access.submits(Submission((submitted,)))
        return
    with pytest.raises(AccessDenied, match="does not permit"):
        access.submits(Submission((submitted,)))


def test_the_feed_only_feeds(record: Record) -> None:
    assert record.access("the feed", "ITI-8").permitted_by == ("the patient feed feeds",)
    for transaction in ("ITI-18", "ITI-41"):
        with pytest.raises(AccessDenied):
            record.access("the feed", transaction)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("rule = 1", "there is no [[rule]]"),
        ("x", "it is not TOML"),
        ('[[rule]]\nname = "a"', 'line 1, rule "a": decision is required'),
        (
            '\n[[rule]]\nname = "a"\ndecision = "permit"\ntransactions = ["ITI-99"]',
            'line 2, rule "a": transactions: ITI-99: not answered here',
        ),
        (
            '[[rule]]\nname = "a"\ndecision = "permit"\nroles = ["GP"]',
            "roles: GP is not of the form code^^codingScheme",
        ),
        ('[[rule]]\nname = "a"\ndecision = "maybe"', "decision is one of 'permit' or 'deny'"),
        ('[[rule]]\nname = "a"\ndecision = "deny"\nrole = []', "role: there is no such key"),
        (
            '[[rule]]\nname = "a"\ndecision = "permit"\nbreak_glass = true',
            "break_glass is for a permit that names the purposes",
        ),
    ],
)
def test_a_policy_that_is_wrong(content: str, said: str) -> None:
    with pytest.raises(policy_file.PolicyError) as error:
        policy_file.read(content.encode(), Systems.of(()))
    assert said in str(error.value)
