"""Two spellings of one uniqueId, wherever one is asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.databases import Databases
from tests.fhir.published import in_memory
from tests.fhir.searched import Population, entry, matches, opened, resource
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.document_request import DocumentRequest
from xds.metadata.ebrim import Slot
from xds.metadata.unique_ids import normal, spellings
from xds.mhd.iti67_find_document_references import find
from xds.registry.migrations.to_2_9 import v2_1
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.storage.fragments import parsed

UPPER = "urn:uuid:4D48A000-0000-4000-8000-00000000ABCD"
FORMS = {
    "oid": ("2.999.7.1", ("urn:oid:2.999.7.1", "URN:OID:2.999.7.1")),
    "urn of an oid": ("urn:oid:2.999.7.2", ("2.999.7.2",)),
    "uuid in upper case": (UPPER, (UPPER.lower(), f"URN:UUID{UPPER[8:]}")),
    "root and extension": ("2.999.7^A-1", ()),
    "any other text": ("urn:oid:not-an-oid", ()),
}


@pytest.fixture
def made(tmp_path: Path, databases: Databases) -> Iterator[Population]:
    with opened(tmp_path, databases) as population:
        yield population


def _documents(made: Population, unique_id: str) -> list[Any]:
    """Ask GetDocuments by uniqueId."""
    slot = Slot("$XDSDocumentEntryUniqueId", (f"('{unique_id}')",))
    request = QueryRequest(v.GET_DOCUMENTS, (slot,))
    return parsed(made.facade.domain.registry.query(request, ANYTHING).objects)


def _retrieved(made: Population, unique_id: str) -> bytes:
    repository = made.facade.domain.repository
    (found,) = repository.retrieve([DocumentRequest(repository.unique_id, unique_id)]).documents
    return in_memory(found)


@pytest.mark.parametrize(("registered", "others"), FORMS.values(), ids=FORMS)
def test_a_document_is_found_by_every_spelling(
    made: Population, registered: str, others: tuple[str, ...]
) -> None:
    first = entry("e0", registered)
    made.register(first, title="s0")
    for asked in (registered, *others):
        (found,) = _documents(made, asked)
        assert found.unique_id == registered, "it is answered as it was registered"
        assert _retrieved(made, asked) == f"{first.id}{first.title}{registered}".encode()
    shown = resource(made.ask(find, f"_id={made.ids['e0']}"))["entry"][0]["resource"]
    master = shown["masterIdentifier"]
    by_its_own = resource(made.ask(find, f"identifier={master['system']}|{master['value']}"))
    assert made.found(by_its_own) == ["e0"]
    for asked in (registered, *others):
        assert made.found(resource(made.ask(find, f"identifier={asked}"))) == ["e0"]


@pytest.mark.parametrize("other", ["urn:oid:2.999.7.1", "URN:OID:2.999.7.1"])
def test_another_document_under_another_spelling_is_refused(made: Population, other: str) -> None:
    made.register(entry("e0", "2.999.7.1"), title="s0")
    with pytest.raises(TransactionFailure) as refused:
        made.register(entry("e1", other), title="s1")
    assert {error.code for error in refused.value.errors} == {
        "XDSNonIdenticalHash",
        "XDSNonIdenticalSize",
    }


def test_two_spellings_in_one_message_are_a_duplicate(made: Population) -> None:
    with pytest.raises(TransactionFailure) as refused:
        made.register(entry("e0", "2.999.7.1"), entry("e1", "urn:oid:2.999.7.1"), title="s0")
    codes = {error.code for error in refused.value.errors}
    assert codes == {"XDSRegistryDuplicateUniqueIdInMessage"}


def test_what_was_registered_before_is_found_by_every_spelling(
    tmp_path: Path, databases: Databases
) -> None:
    with opened(tmp_path, databases) as made:
        made.register(entry("e0", "urn:oid:2.999.7.2"), entry("e1", UPPER), title="s0")
        database = made.facade.domain.database
        with database.write() as connection:
            for table in ("document_entry", "document"):
                for now, before in (("2.999.7.2", "urn:oid:2.999.7.2"), (UPPER.lower(), UPPER)):
                    changed = f"UPDATE {table} SET unique_id = :before WHERE unique_id = :now"
                    connection.execute(text(changed), {"now": now, "before": before})
        assert _retrieved(made, UPPER), "a document is found by the id it was provided under"
        with database.write() as connection:
            v2_1.normalise(connection)
        for asked in ("2.999.7.2", "urn:oid:2.999.7.2", UPPER, UPPER.lower()):
            assert len(_documents(made, asked)) == 1
            assert _retrieved(made, asked)


def test_the_spellings_share_a_normal_form() -> None:
    for registered, others in FORMS.values():
        assert {normal(one) for one in (registered, *others)} == {normal(registered)}
        assert registered in spellings(registered)
    assert set(spellings("2.999.7.1")) == {"2.999.7.1", "urn:oid:2.999.7.1"}
    assert set(spellings(UPPER.lower())) == {UPPER, UPPER.lower()}


def test_the_spellings_of_a_search_are_told_apart_where_they_are_two(made: Population) -> None:
    made.register(entry("e0", "2.999.7.10"), entry("e1", "2.999.7.1"), title="s0")
    (found,) = matches(resource(made.ask(find, "identifier=urn:oid:2.999.7.1")))
    assert found["id"] == made.ids["e1"]
