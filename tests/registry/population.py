"""A small known population, registered through the wire, and names for all that is in it.

A name stands for an object in the tables of queries: ``report`` is a DocumentEntry, ``heart`` a
Folder, ``first`` a SubmissionSet, ``heart>report`` the HasMember from one to the other, and
``first>heart>report`` that from the SubmissionSet to it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.registry import behind, wire
from tests.registry.wire import Answer, World
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.attributes import (
    Author,
    Code,
)
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.metadata.submission import Submission

_NAME: Final = re.compile(r"\{(#?)([^{}]+)\}")
_PLAIN: Final = {
    "creation_time": "2020",
    "service_start_time": "2020",
    "service_stop_time": "2020",
    "hash": "a" * 40,
    "size": "1",
}
"""What is given to a Stable document that has nothing of its own to say."""


@dataclass(frozen=True, slots=True)
class Population:
    """What is registered, by name."""

    world: World
    ids: dict[str, str] = field(default_factory=dict)
    unique_ids: dict[str, str] = field(default_factory=dict)

    def text(self, text: str) -> str:
        """Put entryUUIDs for ``{name}`` and uniqueIds for ``{#name}``, and the world's names."""

        def known(found: re.Match[str]) -> str:
            return (self.unique_ids if found[1] else self.ids)[found[2]]

        return _NAME.sub(known, self.world.text(text))

    def parameters(self, parameters: wire.Parameters) -> wire.Parameters:
        """Put ids for names in the values of parameters."""
        return {name: self._values(values) for name, values in parameters.items()}

    def _values(self, values: wire.Values) -> wire.Values:
        if isinstance(values, str):
            return self.text(values)
        if isinstance(values, tuple):
            return tuple(self.text(value) for value in values)
        return [tuple(map(self.text, (v,) if isinstance(v, str) else v)) for v in values]

    def names(self, answer: Answer) -> list[str]:
        """Return the names of what a query found, in its order."""
        names = {identifier: name for name, identifier in self.ids.items()}
        return [names[identifier] for identifier in answer.ids]

    # --- making ---

    def _number(self, name: str, kind: str) -> dict[str, str]:
        number = 100 + len(self.ids)
        self.ids[name] = self.world.uuid(number)
        if kind:
            self.unique_ids[name] = self.world.text(f"2.999.{kind}.{number}")
            return {"entry_uuid": self.ids[name], "unique_id": self.unique_ids[name]}
        return {"entry_uuid": self.ids[name]}

    def entry(self, name: str, patient: int = 1, **attributes: object) -> DocumentEntry:
        """Make a DocumentEntry; what is not given is the same for all."""
        other = {n: Code("other", f"2.999.5.{k}", "Other") for k, n in _CODES.items()}
        return DocumentEntry.create(
            **{
                **other,
                "format_code": Code("other", v.IHE_FORMAT_CODES, "Other"),
                "confidentiality_code": (Code("U", "2.16.840.1.113883.5.25", "unrestricted"),),
                "language_code": "en",
                "mime_type": "application/pdf",
                "patient_id": self.world.patient(patient),
                "source_patient_id": "H-1^^^&2.999.1.2&ISO",
                "repository_unique_id": "2.999.1.3",
                "author": (Author(person=("^Nobody",)),),
                **(_PLAIN if attributes.get("object_type") is None else {}),
                **self._number(name, "3"),
                **attributes,
            }
        )

    def own(self, code: str) -> Code:
        """Make a code of a scheme that only this population has."""
        return Code(code, self.world.text("2.999.4.7"), code)

    def folder(self, name: str, patient: int, *codes: Code) -> Folder:
        """Make a Folder with codes."""
        return Folder.create(
            title=name,
            code_list=codes,
            patient_id=self.world.patient(patient),
            **self._number(name, "4"),
        )

    def submission_set(self, name: str, patient: int = 1, **attributes: object) -> SubmissionSet:
        """Make a SubmissionSet; what is not given is the same for all."""
        return SubmissionSet.create(
            **{
                "patient_id": self.world.patient(patient),
                "source_id": "2.999.1.8",
                "submission_time": "2020",
                "content_type_code": Code("other", "2.999.5.7", "Other"),
                "author": (Author(person=("^Nobody",)),),
                **self._number(name, "2"),
                **attributes,
            }
        )

    def association(self, name: str, kind: str, source: str, target: str) -> Association:
        """Make an Association between two names."""
        return Association.create(
            association_type=kind,
            source=self.ids[source],
            target=self.ids[target],
            **self._number(name, ""),
        )

    def member(self, source: str, target: str, status: str | None = None) -> Association:
        """Make the HasMember from one name to another."""
        made = self.association(f"{source}>{target}", v.HAS_MEMBER, source, target)
        return made if status is None else made.updated(submission_set_status=status)

    def submission(
        self, the_set: SubmissionSet, *things: MetadataObject, members: Iterable[str] = ()
    ) -> Submission:
        """Join a SubmissionSet, its objects, their memberships and those of Folders."""
        names = {identifier: name for name, identifier in self.ids.items()}
        set_name = names[the_set.id]
        joined: list[MetadataObject] = [the_set, *things]
        for thing in things:
            if isinstance(thing, DocumentEntry):
                joined.append(self.member(set_name, names[thing.id], v.ORIGINAL))
            elif isinstance(thing, Folder):
                joined.append(self.member(set_name, names[thing.id]))
        for membership in members:
            joined.append(self.member(*membership.split(">")))
            joined.append(self.member(set_name, membership))
        return Submission(tuple(joined))


_CODES: Final = {
    1: "class_code",
    2: "type_code",
    3: "practice_setting_code",
    4: "healthcare_facility_type_code",
}


def _coded(kind: int, code: str) -> Code:
    return Code(code, f"2.999.5.{kind}", code.title())


def _confidential(*codes: str) -> tuple[Code, ...]:
    return tuple(Code(code, "2.16.840.1.113883.5.25", code) for code in codes)


def _by(*persons: str) -> tuple[Author, ...]:
    return tuple(Author(person=(person,)) for person in persons)


def _reference(number: str) -> str:
    return f"{number}^^^&2.999.1.5&ISO^{v.REFERENCE_ACCESSION}"


def populate(server: Server, world: World) -> Population:
    """Register the population on a server."""
    made = Population(world)
    for step in (_first, _second, _third, _fourth, _fifth, _sixth, _of_another_patient):
        for submission, transaction in step(made).items():
            answer = wire.submit(server, submission, transaction)
            assert (answer.status, answer.problems) == ("Success", []), answer.problems
    _name_inherited(made, server)
    for name, time in (("heart", "20250101"), ("lung", "20250701120000"), ("foreign", "2025")):
        behind.date(made.ids[name], time, server)
    return made


Made = Mapping[Submission, str]


def _first(made: Population) -> Made:
    """Two documents in a Folder."""
    the_set = made.submission_set(
        "first",
        submission_time="20250101",
        author=_by("77^Ruiz^Elena", "^Okafor^Ngozi"),
        content_type_code=_coded(7, "discharge"),
    )
    report = made.entry(
        "report",
        class_code=_coded(1, "report"),
        type_code=_coded(2, "discharge"),
        practice_setting_code=_coded(3, "medicine"),
        healthcare_facility_type_code=_coded(4, "hospital"),
        format_code=Code(v.MIME_TYPE_SUFFICIENT, v.IHE_FORMAT_CODES, "Sufficient"),
        confidentiality_code=_confidential("N"),
        event_code_list=(_coded(6, "angiography"), _coded(6, "admission")),
        creation_time="2025",
        service_start_time="202501",
        service_stop_time="20250315",
        author=(
            Author(
                person=("77^Ruiz^Elena",),
                institution=("Heart Clinic", "St. Mary^^^^^^^^^1.2.276.0.76.4711"),
            ),
            *_by("^Okafor^Ngozi"),
        ),
        title="Discharge report, 100% \u00fcber O'Hara",
        reference_id_list=(_reference("A"), _reference("B")),
    )
    letter = made.entry(
        "letter",
        class_code=_coded(1, "letter"),
        type_code=_coded(2, "referral"),
        practice_setting_code=_coded(3, "surgery"),
        healthcare_facility_type_code=_coded(4, "practice"),
        format_code=Code("text", v.IHE_FORMAT_CODES, "Text"),
        confidentiality_code=_confidential("R", "N"),
        event_code_list=(_coded(6, "admission"),),
        creation_time="20250630",
        service_start_time=None,
        service_stop_time="",
        author=(Author(person=("^Ruiz_^Ana",), institution=("Heart Practice",)),),
        title="Referral letter",
        reference_id_list=(_reference("B"),),
    )
    heart = made.folder("heart", 1, _coded(8, "cardiology"), _coded(8, "surgery"), made.own("here"))
    return {
        made.submission(
            the_set, report, letter, heart, members=("heart>report", "heart>letter")
        ): "ITI-42"
    }


def _second(made: Population) -> Made:
    """Three documents, one of them in another Folder."""
    the_set = made.submission_set(
        "second",
        source_id="2.999.1.9",
        submission_time="20250701120000",
        author=_by("^Okafor^Ngozi"),
        content_type_code=_coded(7, "consultation"),
    )
    image = made.entry(
        "image",
        class_code=_coded(1, "image"),
        type_code=_coded(2, "x-ray"),
        practice_setting_code=_coded(3, "radiology"),
        healthcare_facility_type_code=_coded(4, "hospital"),
        format_code=Code("dicom", v.IHE_FORMAT_CODES, "DICOM"),
        confidentiality_code=_confidential("V"),
        creation_time="20250630120000",
        service_start_time="20250102",
        service_stop_time="20250102",
        author=_by("^O'Hara^100%"),
    )
    lab = made.entry(
        "lab",
        class_code=Code("report", "2.999.5.99", "Another report"),
        creation_time="20260101",
        service_start_time="20260101",
        service_stop_time="2026",
        author=_by("^M\\T\\M^Lab"),
    )
    old = made.entry("old", author=_by("^M\u00fcller^J\u00f6rg"))
    lung = made.folder("lung", 1, _coded(8, "pneumology"))
    return {made.submission(the_set, image, lab, old, lung, members=("lung>old",)): "ITI-42"}


def _third(made: Population) -> Made:
    """The replacement of a document that is in a Folder."""
    the_set = made.submission_set("third")
    new = made.entry("new", author=_by("^M\u00fcller^J\u00f6rg"))
    submission = made.submission(the_set, new)
    replaces = made.association("new RPLC old", v.RPLC, "new", "old")
    return {submission.with_objects((*submission.objects, replaces)): "ITI-42"}


def _fourth(made: Population) -> Made:
    """What can be related to a document without replacing it."""
    the_set = made.submission_set("fourth")
    here = made.own("here")
    note = made.entry(
        "note",
        class_code=here,
        event_code_list=(here,),
        healthcare_facility_type_code=here,
    )
    entries = [made.entry("scan"), note, made.entry("signature")]
    submission = made.submission(the_set, *entries)
    relations = [
        made.association("scan XFRM report", v.XFRM, "scan", "report"),
        made.association("note APND report", v.APND, "note", "report"),
        made.association("signature signs report", v.SIGNS, "signature", "report"),
        made.association("signature signs note", v.SIGNS, "signature", "note"),
    ]
    held = [
        made.member("fourth", "note APND report"),
        made.member("fourth", "signature signs note"),
    ]
    return {submission.with_objects((*submission.objects, *relations, *held)): "ITI-42"}


def _fifth(made: Population) -> Made:
    """An On-Demand document in a Folder."""
    the_set = made.submission_set("fifth")
    demand = made.entry(
        "demand",
        object_type=v.ON_DEMAND_DOCUMENT_ENTRY,
        class_code=_coded(1, "summary"),
        confidentiality_code=_confidential("N"),
    )
    return {made.submission(the_set, demand, members=("heart>demand",)): "ITI-61"}


def _sixth(made: Population) -> Made:
    """What the On-Demand document once was."""
    the_set = made.submission_set("sixth")
    submission = made.submission(the_set, made.entry("snapshot"))
    relation = made.association(
        "snapshot IsSnapshotOf demand", v.IS_SNAPSHOT_OF, "snapshot", "demand"
    )
    return {submission.with_objects((*submission.objects, relation)): "ITI-42"}


def _of_another_patient(made: Population) -> Made:
    """A document, a Folder, and a reference to a document of the first patient."""
    the_set = made.submission_set("seventh", 2)
    twin = made.entry(
        "twin", 2, class_code=_coded(1, "letter"), event_code_list=(made.own("here"),)
    )
    foreign = made.folder("foreign", 2, _coded(8, "cardiology"), made.own("here"))
    submission = made.submission(the_set, twin, foreign, members=("foreign>twin",))
    reference = made.member("seventh", "report", v.REFERENCE)
    return {submission.with_objects((*submission.objects, reference)): "ITI-42"}


def _name_inherited(made: Population, server: Server) -> None:
    """Name the memberships that the registry made for the replacement."""
    listed = wire.get_all(server, made.world.patient(1)).objects.values()
    known = set(made.ids.values())
    added = [one for one in listed if isinstance(one, Association) and one.id not in known]
    names = {identifier: name for name, identifier in made.ids.items()}
    for one in sorted(added, key=lambda found: found.target not in known):
        made.ids[f"{names[one.source]}>{names[one.target]}"] = one.id
        names[one.id] = f"{names[one.source]}>{names[one.target]}"
