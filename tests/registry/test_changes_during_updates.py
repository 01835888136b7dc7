"""Updates are checked before the database is locked: what happens in between is not overlooked."""

from typing import Any

import pytest
from sqlalchemy import select

from bench import samples
from tests.registry.meanwhile import Meanwhile
from xds.client import Fingerprint, next_version, update_of
from xds.database.access import Database
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57, ITI_92
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import Submission
from xds.registry.registry import DocumentRegistry
from xds.registry.tables import association

PATIENT = samples.patient("U1")


def _of_entries(*numbers: int) -> Submission:
    entries = [
        samples.entry(number, samples.oid(), PATIENT, Fingerprint(1, "0" * 40)).updated(
            repository_unique_id="2.999.1.3"
        )
        for number in numbers
    ]
    return samples.submission(PATIENT, samples.oid(), entries).with_uuids()


def _with_addendum() -> Submission:
    made = _of_entries(1, 2)
    old, new = made.document_entries
    relation = Association.create(association_type=v.APND, source=new.id, target=old.id)
    return Submission((*made.objects, relation)).with_uuids()


def _registered(registry: DocumentRegistry, entry: DocumentEntry) -> DocumentEntry:
    own = Comparison("logical_id", Operator.EQUAL, (entry.id,))
    with registry.view(ANYTHING) as view:
        (found,) = view.find(DocumentEntry, [own])
    return found.thing


def _update(old: DocumentEntry, title: str) -> Submission:
    return update_of(
        old,
        next_version(old, title=title),
        patient_id=PATIENT,
        source_id="2.999.1.9",
        content_type_code=old.type_code,
        unique_id=samples.oid(),
    )


def _relations(database: Database) -> int:
    query = select(association.c.entry_uuid).where(association.c.association_type == v.APND)
    with database.read() as connection:
        return len(connection.execute(query).all())


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_relation_that_is_removed_meanwhile_is_not_made_again(
    database: Database, is_removed: bool
) -> None:
    registry = DocumentRegistry(database=database, has_updates=True)
    submission = _with_addendum()
    registry.register(submission)
    old = _registered(registry, submission.document_entries[0])
    (relation,) = (one for one in submission.associations if one.association_type == v.APND)

    def remove(meanwhile: DocumentRegistry) -> None:
        if is_removed:
            meanwhile.remove([relation.id])

    racing: Any = Meanwhile(database, remove)
    DocumentRegistry(database=racing, has_updates=True).register(
        _update(old, "next"), transaction=ITI_57.name
    )
    assert _relations(database) == (0 if is_removed else 2)


def test_a_version_that_is_made_meanwhile_is_not_made_twice(database: Database) -> None:
    registry = DocumentRegistry(database=database, has_updates=True)
    submission = _with_addendum()
    registry.register(submission)
    old = _registered(registry, submission.document_entries[0])
    other = _update(old, "other")
    racing: Any = Meanwhile(
        database, lambda meanwhile: meanwhile.register(other, transaction=ITI_57.name)
    )
    with pytest.raises(TransactionFailure) as refused:
        DocumentRegistry(database=racing, has_updates=True).register(
            _update(old, "next"), transaction=ITI_57.name
        )
    assert {one.code for one in refused.value.errors} == {"XDSMetadataVersionError"}
    assert _registered(registry, submission.document_entries[0]).title == "other"


@pytest.mark.parametrize("transaction", [ITI_57.name, ITI_92.name])
def test_a_document_that_is_replaced_meanwhile_stays_replaced(
    database: Database, transaction: str
) -> None:
    registry = DocumentRegistry(database=database, has_updates=True)
    submission = _of_entries(1)
    registry.register(submission)
    (entry,) = submission.document_entries
    old = _registered(registry, entry)
    other = _of_entries(2)
    relation = Association.create(
        association_type=v.RPLC, source=other.document_entries[0].id, target=old.id
    )
    replacement = Submission((*other.objects, relation)).with_uuids()
    racing: Any = Meanwhile(database, lambda meanwhile: meanwhile.register(replacement))
    DocumentRegistry(database=racing, has_updates=True).register(
        _update(old, "next"), transaction=transaction
    )
    new = _registered(registry, entry)
    assert (new.title, new.availability_status) == ("next", v.DEPRECATED)
