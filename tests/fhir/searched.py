"""A small known population behind a facade, and searches of it without HTTP between."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.databases import Databases
from tests.fhir.asked import ANYONE
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4 import json
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import (
    Association,
    Author,
    Code,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.metadata.submission import Submission

BASE = "https://hub.example/fhir"
AUTHORITY = "2.999.1.1"
ANNA, BERT = (f"{name}^^^&{AUTHORITY}&ISO" for name in ("anna", "bert"))
LOINC = "2.16.840.1.113883.6.1"
CONFIDENTIALITY = "2.16.840.1.113883.5.25"
EVENTS = "2.999.5.6"

Handler = Callable[[Facade, Call], Answer]


@dataclass
class Population:
    """What is registered, by name, and the facade that it is searched through."""

    facade: Facade
    ids: dict[str, str] = field(default_factory=dict)
    """The ids of the resources."""

    def ask(
        self, handler: Handler, query: str = "", *, identifier: str = "", **more: Any
    ) -> Answer:
        """Call an interaction with the query of a URL."""
        parameters = tuple(parse_qsl(query.format(**self._known()), keep_blank_values=True))
        return handler(
            self.facade,
            Call(access=ANYONE, base=BASE, identifier=identifier, parameters=parameters, **more),
        )

    def follow(self, handler: Handler, bundle: Resource, relation: str) -> Resource:
        """Follow a link of a searchset."""
        (url,) = (link["url"] for link in bundle["link"] if link["relation"] == relation)
        assert url.startswith(f"{BASE}/")
        parameters = tuple(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        return resource(handler(self.facade, Call(access=ANYONE, base=BASE, parameters=parameters)))

    def found(self, bundle: Resource) -> list[str]:
        """Return the names of the matches."""
        names = {identifier: name for name, identifier in self.ids.items()}
        return [names[one["id"]] for one in matches(bundle)]

    def _known(self) -> dict[str, str]:
        with self.facade.domain.registry.view(ANYTHING) as view:
            known = view.patients([ANNA, BERT])
        numbers = {p.patient_id.partition("^")[0]: str(p.number) for p in known}
        return {**self.ids, **numbers, "base": BASE}

    def register(self, *things: MetadataObject, patient_id: str = ANNA, **of_set: Any) -> str:
        """Register entries and Folders; the name of the set is its title."""
        chosen = submission_set(patient_id, len(self.ids), **of_set)
        objects: list[MetadataObject] = [chosen]
        for thing in things:
            objects.append(thing)
            if not isinstance(thing, Association):
                status = v.ORIGINAL if isinstance(thing, DocumentEntry) else None
                objects.append(has_member(chosen, thing, status))
                self._name(thing)
            elif thing.association_type == v.HAS_MEMBER:
                objects.append(has_member(chosen, thing))
        self._name(chosen)
        self._provide(Submission(tuple(objects)))
        return chosen.id

    def _provide(self, submission: Submission) -> None:
        repository = self.facade.domain.repository
        staged = {
            # report and rescan have 60 bytes, letter 62 and scan 58
            one.id: repository.stage([f"{one.id}{one.title}{one.unique_id}".encode()])
            for one in submission.document_entries
        }
        completed = [
            thing.updated(hash=staged[thing.id].hash, size=str(staged[thing.id].size))
            if isinstance(thing, DocumentEntry)
            else thing
            for thing in submission.objects
        ]
        repository.provide_and_register(Submission(tuple(completed)), staged)

    def _name(self, thing: MetadataObject) -> None:
        assert isinstance(thing, DocumentEntry | SubmissionSet | Folder)
        assert thing.title is not None
        self.ids[thing.title] = thing.id.removeprefix("urn:uuid:")


def told(bundle: Resource) -> list[Resource]:
    """Return the issues of the OperationOutcome of a searchset."""
    entries = [one for one in bundle.get("entry", ()) if one["search"]["mode"] == "outcome"]
    return [issue for one in entries for issue in one["resource"]["issue"]]


def resource(answer: Answer) -> Resource:
    """Return the resource of an answer, which has one."""
    assert answer.status == 200
    assert answer.resource is not None
    return json.read(json.render(answer.resource))


def matches(bundle: Resource) -> Iterator[Resource]:
    """Yield the resources that were found."""
    for entry in bundle.get("entry", ()):
        if entry["search"]["mode"] == "match":
            yield entry["resource"]


def code(name: str, scheme: str = "2.999.5.1") -> Code:
    return Code(name, scheme, name.title())


def entry(title: str, unique_id: str, patient_id: str = ANNA, **changed: Any) -> DocumentEntry:
    """Make a DocumentEntry; what is not given is the same for all."""
    values: dict[str, Any] = {
        "title": title,
        "patient_id": patient_id,
        "source_patient_id": "H-1^^^&2.999.1.2&ISO",
        "unique_id": unique_id,
        "mime_type": "text/plain",
        "language_code": "en-GB",
        "creation_time": "20200101",
        "repository_unique_id": "2.999.1.3",
        "confidentiality_code": (code("N", CONFIDENTIALITY),),
        **{
            name: code("usual")
            for name in (
                "class_code",
                "type_code",
                "format_code",
                "practice_setting_code",
                "healthcare_facility_type_code",
            )
        },
    }
    return DocumentEntry.create(**{**values, **changed})


def submission_set(patient_id: str, number: int, **changed: Any) -> SubmissionSet:
    values: dict[str, Any] = {
        "patient_id": patient_id,
        "source_id": "2.999.1.8",
        "unique_id": f"2.999.2.{number}",
        "submission_time": "20260101",
        "content_type_code": code("usual"),
        "author": (Author(person=("^Nobody",)),),
    }
    return SubmissionSet.create(**{**values, **changed})


def has_member(
    holder: MetadataObject, held: MetadataObject, status: str | None = None
) -> Association:
    made = Association.create(association_type=v.HAS_MEMBER, source=holder.id, target=held.id)
    return made if status is None else made.updated(submission_set_status=status)


def by(*persons: str) -> tuple[Author, ...]:
    return tuple(Author(person=(person,)) for person in persons)


def cxi(number: str, kind: str = v.REFERENCE_ACCESSION, authority: str = "&2.999.1.5&ISO") -> str:
    return f"{number}^^^{authority}^{kind}"


@contextmanager
def opened(data: Path, databases: Databases, **options: Any) -> Iterator[Population]:
    """Open the affinity domain of a folder, which is empty at first."""
    config = Config(data=data, database=databases.url(data), **options)
    domain = AffinityDomain.open(config)
    try:
        yield Population(Facade(domain, config))
    finally:
        domain.database.close()


def populate(made: Population) -> None:
    """Register the population that the tables of searches name."""
    report = entry(
        "report",
        "2.999.3.1",
        type_code=Code("34133-9", LOINC, "Summary"),
        class_code=code("Reports"),
        format_code=Code("urn:ihe:pcc:xphr:2007", v.IHE_FORMAT_CODES, "XPHR"),
        practice_setting_code=code("cardiology"),
        healthcare_facility_type_code=code("hospital"),
        confidentiality_code=(code("N", CONFIDENTIALITY), code("R", CONFIDENTIALITY)),
        event_code_list=(code("A", EVENTS), code("B", EVENTS)),
        creation_time="20260301",
        service_start_time="20260220",
        service_stop_time="20260305",
        author=by("^Müller^Änne^Maria", "17^O\\T\\Brien&de^Pat"),
        reference_id_list=(cxi("acc-1"), cxi("enc-1", v.REFERENCE_ENCOUNTER_ID)),
    )
    letter = entry(
        "letter",
        "2.999.3^L-2",
        type_code=Code("57133-1", LOINC, "Letter"),
        event_code_list=(code("A", EVENTS),),
        creation_time="20260401120000",
        service_start_time="20260310",
        author=by("^Smith^John"),
        mime_type="application/pdf; version=1.7",
        language_code="cy-GB",
        comments="Été at the coast",
        reference_id_list=(
            cxi("9.8.7", v.REFERENCE_STUDY_INSTANCE_UID, ""),
            cxi("acc_1"),
        ),
    )
    heart = Folder.create(
        title="heart",
        code_list=(code("organ"), code("chronic")),
        patient_id=ANNA,
        unique_id="2.999.4.1",
    )
    member = has_member(heart, report)
    made.register(
        report,
        letter,
        heart,
        member,
        title="first",
        author=by("^Curie^Marie"),
        submission_time="20260501",
        content_type_code=code("discharge"),
    )
    scan = entry("scan", "2.999.3.3", creation_time="2026", author=by("^Smithers^Jane^John Lee"))
    made.register(scan, title="second", source_id="2.999.1.9", submission_time="20260601")
    rescan = entry("rescan", "2.999.3.4", service_stop_time="20260101")
    replaces = Association.create(association_type=v.RPLC, source=rescan.id, target=scan.id)
    made.register(rescan, replaces, title="third", submission_time="20260701")
    foreign = entry("foreign", "2.999.3.5", patient_id=BERT)
    made.register(foreign, title="of another", patient_id=BERT)
