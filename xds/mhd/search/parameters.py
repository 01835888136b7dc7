"""The search parameters of DocumentReference, List and Patient (MHD 2:3.66.4.1.2, 2:3.67.4.1.2)."""

from collections.abc import Mapping, Sequence
from typing import Final

from xds.fhir.search.parameters import Kind, Searchable, SearchParameter
from xds.fhir.vocabulary import MHD
from xds.metadata.criteria import negated
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd.search import criteria as compare

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_MHD: Final = f"{MHD}/SearchParameter/"

_ENTRIES: Final[tuple[Kind, ...]] = (DocumentEntry,)
_PACKAGES: Final[tuple[Kind, ...]] = (SubmissionSet, Folder)

_CODED: Final = frozenset({"not", "missing"})
_PRESENT: Final = frozenset({"missing"})
_NAMED: Final = frozenset({"exact", "contains"})
_AUTHORS: Final = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Device", "Patient", "RelatedPerson"}
)


def _entry(attribute: str) -> Mapping[Kind, str]:
    return {DocumentEntry: attribute}


def _both(submission_set: str, folder: str | None = None) -> Mapping[Kind, str]:
    return {SubmissionSet: submission_set, Folder: folder or submission_set}


def _everywhere(kinds: Sequence[Kind], attribute: str) -> Mapping[Kind, str]:
    return dict.fromkeys(kinds, attribute)


def _shared(resource_type: str, kinds: Sequence[Kind]) -> tuple[SearchParameter, ...]:
    """Return what DocumentReference and List have in common, beside the patient."""
    return (
        SearchParameter(
            name="_id",
            type="token",
            documentation="The id of the resource.",
            definition=f"{_R4}Resource-id",
            comparator=compare.logical_ids,
            attributes={kind: compare.id_attribute(kind) for kind in kinds},
            finds=True,
        ),
        SearchParameter(
            name="_lastUpdated",
            type="date",
            documentation="When the registry last changed anything of it, its status for instance.",
            definition=f"{_R4}Resource-lastUpdated",
            aliases=("_lastupdated",),
            comparator=compare.dates,
            attributes=_everywhere(kinds, "last_updated_at"),
            sort=True,
        ),
        SearchParameter(
            name="identifier",
            type="token",
            documentation="The uniqueId or the entryUUID, with or without its system.",
            definition=f"{_R4}clinical-identifier",
            comparator=compare.identifiers,
            attributes=_everywhere(kinds, "unique_id"),
            finds=True,
        ),
        SearchParameter(
            name="status",
            type="token",
            documentation="current or superseded: availabilityStatus Approved or Deprecated; or "
            "entered-in-error, which is not found otherwise.",
            definition=f"{_R4}{resource_type}-status",
            comparator=compare.statuses,
            attributes=_everywhere(kinds, "availability_status"),
            modifiers=_CODED,
        ),
        SearchParameter(
            name="targetCommunityIdList",
            type="uri",
            documentation="The communities to search; only the one of this server is.",
            definition=f"{_MHD}IHE-TargetCommunityIdList",
            comparator=compare.communities,
            warn=compare.of_communities,
            attributes=_everywhere(kinds, "home_community_id"),
        ),
    )


def _of_patient(kinds: Sequence[Kind]) -> tuple[SearchParameter, ...]:
    """Return the two ways to name the patient."""
    attributes = _everywhere(kinds, "patient_id")
    return (
        SearchParameter(
            name="patient",
            type="reference",
            documentation="The patient, by a reference to a Patient of this server.",
            definition=f"{_R4}clinical-patient",
            aliases=("subject",),
            comparator=compare.patients,
            attributes=attributes,
            targets=frozenset({"Patient"}),
            finds=True,
        ),
        SearchParameter(
            name="patient.identifier",
            type="token",
            documentation="The patient, by an identifier.",
            aliases=("subject.identifier",),
            comparator=compare.patient_identifiers,
            attributes=attributes,
            targets=frozenset({"Patient"}),
            finds=True,
        ),
    )


def _code(name: str, attribute: str, documentation: str, *aliases: str) -> SearchParameter:
    return SearchParameter(
        name=name,
        type="token",
        documentation=documentation,
        definition=f"{_R4}{'clinical-type' if name == 'type' else f'DocumentReference-{name}'}",
        aliases=aliases,
        comparator=compare.codes,
        attributes=_entry(attribute),
        modifiers=_CODED,
    )


def _names(prefix: str, attributes: Mapping[Kind, str], whose: str) -> tuple[SearchParameter, ...]:
    """Return the two chained parameters of an author's name (ITI TF-2 Z.2)."""
    return tuple(
        SearchParameter(
            name=f"{prefix}.{part}",
            type="string",
            documentation=f"How a {part} name of {whose} begins, in any case.",
            comparator=comparison,
            attributes=attributes,
            modifiers=_NAMED,
            targets=_AUTHORS,
        )
        for part, comparison in (
            ("given", compare.given_names),
            ("family", compare.family_names),
        )
    )


_DOCUMENT_REFERENCE: Final = (
    *_shared("DocumentReference", _ENTRIES),
    *_of_patient(_ENTRIES),
    *_names("author", _entry("author"), "an author of the document"),
    _code("category", "class_code", "The class of the document.", "class"),
    _code("event", "event_code_list", "A clinical act that is documented."),
    _code("facility", "healthcare_facility_type_code", "The kind of facility."),
    _code("format", "format_code", "The format of the document's content."),
    _code("security-label", "confidentiality_code", "A confidentiality code.", "securitylabel"),
    _code("setting", "practice_setting_code", "The clinical specialty."),
    _code("type", "type_code", "The precise type of the document."),
    SearchParameter(
        name="creation",
        type="date",
        documentation="When the document was made.",
        definition=f"{_MHD}DocumentReference-Creation",
        comparator=compare.dates,
        attributes=_entry("creation_time"),
        modifiers=_PRESENT,
        sort=True,
    ),
    SearchParameter(
        name="date",
        type="date",
        documentation="When the document was registered.",
        definition=f"{_R4}DocumentReference-date",
        aliases=("indexed",),
        comparator=compare.dates,
        attributes=_entry("registered_at"),
        sort=True,
    ),
    SearchParameter(
        name="period",
        type="date",
        documentation="The time of service, which overlaps with the date or span; sorted by start.",
        definition=f"{_R4}DocumentReference-period",
        comparator=compare.periods,
        attributes=_entry("service_start_time"),
        sort=True,
    ),
    SearchParameter(
        name="related",
        type="reference",
        documentation="Something that the document refers to, by its identifier.",
        definition=f"{_R4}DocumentReference-related",
        aliases=("related.identifier", "related-id"),
        comparator=compare.references,
        attributes=_entry("reference_id_list"),
        modifiers=_PRESENT,
        finds=True,
    ),
    SearchParameter(
        name="encounter",
        type="reference",
        documentation="The encounter that the document refers to, by its identifier.",
        definition=f"{_R4}clinical-encounter",
        aliases=("encounter.identifier",),
        comparator=compare.encounters,
        attributes=_entry("reference_id_list"),
    ),
    SearchParameter(
        name="size",
        type="number",
        documentation="The size of the document in bytes (content.attachment.size).",
        comparator=compare.numbers,
        attributes=_entry("size"),
        modifiers=_PRESENT,
        sort=True,
    ),
    SearchParameter(
        name="contenttype",
        type="token",
        documentation="The media type of the document, without its parameters.",
        definition=f"{_R4}DocumentReference-contenttype",
        comparator=compare.plain_codes,
        attributes=_entry("mime_type"),
    ),
    SearchParameter(
        name="language",
        type="token",
        documentation="The language of the document.",
        definition=f"{_R4}DocumentReference-language",
        comparator=compare.plain_codes,
        attributes=_entry("language_code"),
    ),
    SearchParameter(
        name="description",
        type="string",
        documentation="How the comments on the document begin, in any case.",
        definition=f"{_R4}DocumentReference-description",
        comparator=compare.texts,
        attributes=_entry("comments"),
        modifiers=_NAMED,
    ),
)

_LIST: Final = (
    *_shared("List", _PACKAGES),
    *_of_patient(_PACKAGES),
    SearchParameter(
        name="code",
        type="token",
        documentation="submissionset or folder; without it both are found.",
        definition=f"{_R4}clinical-code",
        comparator=compare.list_codes,
        tells_kind=True,
        attributes=_both("entry_uuid"),
        modifiers=frozenset({"not"}),
    ),
    SearchParameter(
        name="date",
        type="date",
        documentation="submissionTime of a SubmissionSet, lastUpdateTime of a Folder.",
        definition=f"{_R4}clinical-date",
        comparator=compare.dates,
        attributes=_both("submission_time", "last_update_time"),
        sort=True,
    ),
    SearchParameter(
        name="designationType",
        type="token",
        documentation="contentTypeCode of a SubmissionSet, codeList of a Folder.",
        definition=f"{_MHD}List-DesignationType",
        comparator=compare.codes,
        attributes=_both("content_type_code", "code_list"),
        modifiers=_CODED,
    ),
    *_names("source", {SubmissionSet: "author"}, "an author of the SubmissionSet"),
    SearchParameter(
        name="sourceId",
        type="token",
        documentation="The sourceId of a SubmissionSet; the system does not matter.",
        definition=f"{_MHD}List-SourceId",
        comparator=compare.source_ids,
        attributes={SubmissionSet: "source_id"},
    ),
)

_PATIENT: Final = (
    SearchParameter(
        name="_id",
        type="token",
        documentation="The id of the resource.",
        definition=f"{_R4}Resource-id",
        finds=True,
    ),
    SearchParameter(
        name="identifier",
        type="token",
        documentation="An identifier of the patient, with or without its system.",
        definition=f"{_R4}Patient-identifier",
        finds=True,
    ),
)

_NO_ERRORS: Final = {"status": negated(compare.IN_ERROR)}
"""What was entered in error is found by those alone who ask for a status."""
DOCUMENT_REFERENCES: Final = Searchable(
    "DocumentReference", _DOCUMENT_REFERENCE, _ENTRIES, _NO_ERRORS
)
LISTS: Final = Searchable("List", _LIST, _PACKAGES, _NO_ERRORS)
PATIENTS: Final = Searchable("Patient", _PATIENT)
