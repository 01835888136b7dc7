"""Patterns of the objects of a population: comprehensive metadata, as hospitals send it."""

from functools import cache
from typing import Final

from bench.load.document_kinds import DocumentKind
from xds.metadata import vocabulary as v
from xds.metadata.attributes import Author, Code
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.metadata.patterns import Pattern, blank, pattern

LOCAL_PATIENTS: Final = "2.999.1.2"
_STAFF: Final = "2.999.1.6"
_ORGANISATIONS: Final = "2.999.1.7"
_ORDERS: Final = "2.999.1.5"
SOURCE: Final = "2.999.1.8"

EVENTS: Final = 2
"""eventCodes of each DocumentEntry."""


def _author(role: str, number: int) -> Author:
    name = f"author {number}"
    return Author(
        person=(f"{blank(name)}^^^&{_STAFF}&ISO",),
        institution=(
            f"{blank('hospital')}^^^^^^^^^{_ORGANISATIONS}",
            f"{blank('ward')}^^^^^&{_ORGANISATIONS}&ISO^^^^{blank('ward number')}",
        ),
        role=(role,),
        specialty=("General medicine",),
        telecommunication=(f"^NET^Internet^{blank(f'mail {number}')}",),
    )


@cache
def entry(kind: DocumentKind) -> Pattern:
    """A DocumentEntry with every attribute but those of special cases."""
    events = tuple(
        Code(blank(f"event {n}"), blank(f"event scheme {n}"), blank(f"event name {n}"))
        for n in range(EVENTS)
    )
    authors = tuple(_author(role, n) for n, role in enumerate((kind.role, "Author's assistant")))
    return pattern(
        DocumentEntry.create(
            author=authors,
            class_code=kind.class_code,
            comments=blank("comments"),
            confidentiality_code=kind.confidentiality_code,
            creation_time=blank("created"),
            event_code_list=events,
            format_code=kind.format_code,
            hash=blank("hash"),
            healthcare_facility_type_code=kind.healthcare_facility_type_code,
            language_code="en-GB",
            legal_authenticator=f"{blank('author 0')}^^^&{_STAFF}&ISO",
            mime_type=kind.mime_type,
            patient_id=blank("patient"),
            practice_setting_code=kind.practice_setting_code,
            reference_id_list=(
                f"{blank('order')}^^^&{_ORDERS}&ISO^{v.REFERENCE_ACCESSION}",
                f"{blank('stay')}^^^&{_ORDERS}&ISO^urn:ihe:iti:xds:2015:encounterId",
            ),
            repository_unique_id=blank("repository"),
            service_start_time=blank("started"),
            service_stop_time=blank("stopped"),
            size=blank("size"),
            source_patient_id=f"{blank('local id')}^^^&{LOCAL_PATIENTS}&ISO",
            source_patient_info=(
                f"PID-3|{blank('local id')}^^^&{LOCAL_PATIENTS}&ISO",
                f"PID-5|{blank('name')}^^^",
                f"PID-7|{blank('born')}",
                f"PID-8|{blank('sex')}",
                f"PID-11|{blank('address')}",
            ),
            title=kind.title,
            type_code=kind.type_code,
            unique_id=blank("unique id"),
        )
    )


@cache
def submission_set(kind: DocumentKind) -> Pattern:
    """The SubmissionSet of a stay; its contentTypeCode is the type of its first document."""
    return pattern(
        SubmissionSet.create(
            author=(_author(kind.role, 0),),
            comments=blank("comments"),
            content_type_code=kind.type_code,
            intended_recipient=(
                f"|{blank('author 1')}^^^&{_STAFF}&ISO|^^Internet^{blank('mail 1')}",
            ),
            patient_id=blank("patient"),
            source_id=SOURCE,
            submission_time=blank("submitted"),
            title=f"{kind.title}, shared",
            unique_id=blank("unique id"),
        )
    )


@cache
def folder() -> Pattern:
    """A Folder of one problem or episode."""
    return pattern(
        Folder.create(
            code_list=(Code(blank("code"), blank("code scheme"), blank("code name")),),
            comments="Opened with the first document",
            patient_id=blank("patient"),
            title=blank("title"),
            unique_id=blank("unique id"),
        )
    )


@cache
def association(association_type: str, submission_set_status: str | None = None) -> Pattern:
    """An Association between two objects."""
    return pattern(
        Association.create(
            association_type=association_type,
            source=blank("source"),
            target=blank("target"),
            submission_set_status=submission_set_status,
        )
    )
