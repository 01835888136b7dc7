"""Search parameters: the tables of what can be asked (MHD 2:3.66.4.1.2, 2:3.67.4.1.2).

:data:`SEARCH_PARAMETERS` has a row for each parameter of each resource type: searches are read by
it (:mod:`xds.fhir.search.requests`), and the CapabilityStatement is written from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from xds.fhir.vocabulary import MHD
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.searched import ORDERED, TEXTS, Searched
from xds.mhd.search import criteria as compare
from xds.mhd.search.criteria import Compare, Kind

_R4: Final = "http://hl7.org/fhir/SearchParameter/"
_MHD: Final = f"{MHD}/SearchParameter/"

KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "DocumentReference": (DocumentEntry,),
    "List": (SubmissionSet, Folder),
}
"""The objects that a resource type stands for, in the order of their results."""


_BY_OBJECT: Final[frozenset[Searched]] = frozenset()
COMPARED_WITH: Final[Mapping[Compare, frozenset[Searched]]] = {
    compare.codes: TEXTS,
    compare.statuses: TEXTS,
    compare.list_codes: _BY_OBJECT,
    compare.logical_ids: frozenset({Searched.REFERENCE}),
    compare.identifiers: TEXTS,
    compare.source_ids: TEXTS,
    compare.references: TEXTS,
    compare.encounters: TEXTS,
    compare.communities: _BY_OBJECT,
    compare.patients: frozenset({Searched.REFERENCE}),
    compare.patient_identifiers: frozenset({Searched.REFERENCE}),
    compare.plain_codes: _BY_OBJECT,
    compare.texts: _BY_OBJECT,
    compare.dates: frozenset({Searched.TIME}),
    compare.periods: frozenset({Searched.TIME}),
    compare.numbers: frozenset({Searched.NUMBER}),
    compare.family_names: TEXTS,
    compare.given_names: TEXTS,
}
"""As what an attribute has to be searched to be compared so; empty where no row is asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameter:
    """One row: a parameter of one resource type.

    Raises ValueError where an attribute is not searched, or not so as the row compares or sorts it:
    so a wrong row ends the program at its start.
    """

    name: str
    type: str
    """Of the value set SearchParamType: ``token``, ``date`` and so on."""
    documentation: str
    definition: str = ""
    """The canonical URL of the SearchParameter, where there is one."""
    aliases: tuple[str, ...] = ()
    """Other names under which clients send it."""
    compare: Compare | None = None
    """How values become a demand; None for what is read by the interaction itself."""
    attributes: Mapping[Kind, str] = field(default_factory=dict)
    """The attribute that it looks at, for each kind that has one."""
    modifiers: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    """The resource types that may be named after it, as in ``patient:Patient``."""
    sort: bool = False
    """Whether results can be sorted by it."""
    finds: bool = False
    """Whether a search may stand on it, since it leads to few objects."""

    def __post_init__(self) -> None:
        for kind, attribute in self.attributes.items():
            searched = kind.searched_as(attribute)
            if attribute not in kind.attributes() and searched is None:
                raise ValueError(f"{self.name}: {kind.KIND} has no {attribute}")
            for admitted in self._needs():
                if searched not in admitted:
                    how = "not searched" if searched is None else f"searched as {searched.value}"
                    wanted = ", ".join(sorted(one.value for one in admitted))
                    raise ValueError(
                        f"{self.name}: {attribute} of a {kind.KIND} is {how}, not as {wanted}"
                    )

    def _needs(self) -> Iterator[frozenset[Searched]]:
        """Yield as what its attributes have to be searched, for each use that it makes of them."""
        if self.compare is None or self.compare not in COMPARED_WITH:
            raise ValueError(f"{self.name}: its comparison is not in COMPARED_WITH")
        if admitted := COMPARED_WITH[self.compare]:
            yield admitted
        if self.sort:
            yield ORDERED
        if "missing" in self.modifiers:
            yield frozenset(Searched)


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


def _shared(resource_type: str) -> tuple[SearchParameter, ...]:
    """Return what DocumentReference and List have in common, beside the patient."""
    kinds = KINDS[resource_type]
    return (
        SearchParameter(
            name="_id",
            type="token",
            documentation="The id of the resource.",
            definition=f"{_R4}Resource-id",
            compare=compare.logical_ids,
            attributes=_everywhere(kinds, "entry_uuid"),
            finds=True,
        ),
        SearchParameter(
            name="_lastUpdated",
            type="date",
            documentation="When the registry last changed anything of it, its status for instance.",
            definition=f"{_R4}Resource-lastUpdated",
            aliases=("_lastupdated",),
            compare=compare.dates,
            attributes=_everywhere(kinds, "last_updated_at"),
            sort=True,
        ),
        SearchParameter(
            name="identifier",
            type="token",
            documentation="The uniqueId or the entryUUID, with or without its system.",
            definition=f"{_R4}clinical-identifier",
            compare=compare.identifiers,
            attributes=_everywhere(kinds, "unique_id"),
            finds=True,
        ),
        SearchParameter(
            name="status",
            type="token",
            documentation="current, or superseded: availabilityStatus Approved or Deprecated.",
            definition=f"{_R4}{resource_type}-status",
            compare=compare.statuses,
            attributes=_everywhere(kinds, "availability_status"),
            modifiers=_CODED,
        ),
        SearchParameter(
            name="targetCommunityIdList",
            type="uri",
            documentation="The communities to search; only the one of this server is.",
            definition=f"{_MHD}IHE-TargetCommunityIdList",
            compare=compare.communities,
            attributes=_everywhere(kinds, "home_community_id"),
        ),
    )


def _of_patient(resource_type: str) -> tuple[SearchParameter, ...]:
    """Return the two ways to name the patient."""
    attributes = _everywhere(KINDS[resource_type], "patient_id")
    return (
        SearchParameter(
            name="patient",
            type="reference",
            documentation="The patient, by a reference to a Patient of this server.",
            definition=f"{_R4}clinical-patient",
            aliases=("subject",),
            compare=compare.patients,
            attributes=attributes,
            targets=frozenset({"Patient"}),
            finds=True,
        ),
        SearchParameter(
            name="patient.identifier",
            type="token",
            documentation="The patient, by an identifier.",
            aliases=("subject.identifier",),
            compare=compare.patient_identifiers,
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
        compare=compare.codes,
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
            compare=comparison,
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
    *_shared("DocumentReference"),
    *_of_patient("DocumentReference"),
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
        compare=compare.dates,
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
        compare=compare.dates,
        attributes=_entry("registered_at"),
        sort=True,
    ),
    SearchParameter(
        name="period",
        type="date",
        documentation="The time of service, which overlaps with the date or span; sorted by start.",
        definition=f"{_R4}DocumentReference-period",
        compare=compare.periods,
        attributes=_entry("service_start_time"),
        sort=True,
    ),
    SearchParameter(
        name="related",
        type="reference",
        documentation="Something that the document refers to, by its identifier.",
        definition=f"{_R4}DocumentReference-related",
        aliases=("related.identifier", "related-id"),
        compare=compare.references,
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
        compare=compare.encounters,
        attributes=_entry("reference_id_list"),
    ),
    SearchParameter(
        name="size",
        type="number",
        documentation="The size of the document in bytes (content.attachment.size).",
        compare=compare.numbers,
        attributes=_entry("size"),
        modifiers=_PRESENT,
        sort=True,
    ),
    SearchParameter(
        name="contenttype",
        type="token",
        documentation="The media type of the document, without its parameters.",
        definition=f"{_R4}DocumentReference-contenttype",
        compare=compare.plain_codes,
        attributes=_entry("mime_type"),
    ),
    SearchParameter(
        name="language",
        type="token",
        documentation="The language of the document.",
        definition=f"{_R4}DocumentReference-language",
        compare=compare.plain_codes,
        attributes=_entry("language_code"),
    ),
    SearchParameter(
        name="description",
        type="string",
        documentation="How the comments on the document begin, in any case.",
        definition=f"{_R4}DocumentReference-description",
        compare=compare.texts,
        attributes=_entry("comments"),
        modifiers=_NAMED,
    ),
)

_LIST: Final = (
    *_shared("List"),
    *_of_patient("List"),
    SearchParameter(
        name="code",
        type="token",
        documentation="submissionset or folder; without it both are found.",
        definition=f"{_R4}clinical-code",
        compare=compare.list_codes,
        attributes=_both("entry_uuid"),
        modifiers=frozenset({"not"}),
    ),
    SearchParameter(
        name="date",
        type="date",
        documentation="submissionTime of a SubmissionSet, lastUpdateTime of a Folder.",
        definition=f"{_R4}clinical-date",
        compare=compare.dates,
        attributes=_both("submission_time", "last_update_time"),
        sort=True,
    ),
    SearchParameter(
        name="designationType",
        type="token",
        documentation="contentTypeCode of a SubmissionSet, codeList of a Folder.",
        definition=f"{_MHD}List-DesignationType",
        compare=compare.codes,
        attributes=_both("content_type_code", "code_list"),
        modifiers=_CODED,
    ),
    *_names("source", {SubmissionSet: "author"}, "an author of the SubmissionSet"),
    SearchParameter(
        name="sourceId",
        type="token",
        documentation="The sourceId of a SubmissionSet; the system does not matter.",
        definition=f"{_MHD}List-SourceId",
        compare=compare.source_ids,
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

SEARCH_PARAMETERS: Final[Mapping[str, tuple[SearchParameter, ...]]] = {
    "DocumentReference": _DOCUMENT_REFERENCE,
    "List": _LIST,
    "Patient": _PATIENT,
}
