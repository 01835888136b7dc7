"""Publishing without HTTP between: a deployment of a test's own, and the messages of fixtures/."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import databases
from tests.fhir.asked import ANYONE
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4 import structure
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd.iti65_provide_document_bundle import provide
from xds.mhd.iti105_simplified_publish import publish
from xds.registry.queries.views import Found
from xds.repository.repository import OutgoingDocument

BASE = "https://hub.example/fhir"
FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "mhd"
PATIENT = "M4001^^^&2.999.1.1&ISO"
REGISTERED = "4d48a000-0000-4000-8000-000000000001"
"""The id that one_document.json asks for."""
FOLDER = "4d48a000-0000-4000-8000-000000000009"
"""The id that folder.json asks for."""
NOTE = b"Discharge note. Rest for a week, review in ten days.\n"

Change = Callable[[Resource], object]


def message(name: str, *changes: Change) -> Resource:
    """Return a message of fixtures/mhd, changed."""
    found: Resource = json.loads((FIXTURES / f"{name}.json").read_text())
    for change in changes:
        change(found)
    return found


def resource(bundle: Resource, index: int) -> Resource:
    """Return the resource of an entry."""
    found: Resource = bundle["entry"][index]["resource"]
    return found


def attachment(bundle: Resource, index: int = 1) -> Resource:
    """Return the attachment of an entry's DocumentReference."""
    found: Resource = resource(bundle, index)["content"][0]["attachment"]
    return found


@dataclass(frozen=True, slots=True)
class Deployment:
    """A registry and repository of one test."""

    facade: Facade

    @property
    def domain(self) -> AffinityDomain:
        return self.facade.domain

    def provide(self, bundle: Resource, **call: Any) -> Resource:
        """Send an ITI-65 request that is good, and return the Bundle of the answer."""
        answer = self._asked(provide, bundle, **call)
        assert answer.status == 200
        assert answer.resource is not None
        return answer.resource

    def publish(self, reference: Resource, **call: Any) -> Answer:
        """Send an ITI-105 request that is good."""
        return self._asked(publish, reference, **call)

    def _asked(
        self, handler: Callable[[Facade, Call], Answer], sent: Resource, **call: Any
    ) -> Answer:
        found = [one for one in structure.problems(sent) if one.severity == "error"]
        assert found == [], "the message is FHIR"
        asked: dict[str, Any] = {"access": ANYONE, "base": BASE, "resource": sent, **call}
        answer = handler(self.facade, Call(**asked))
        if answer.resource is not None:
            assert structure.problems(answer.resource) == []
        return answer

    def refusal(self, sent: Resource, **call: Any) -> Refused:
        """Send a request that is refused, and of which nothing is stored."""
        before = self.content()
        handler = provide if sent["resourceType"] == "Bundle" else publish
        with pytest.raises(Refused) as refused:
            self._asked(handler, sent, **call)
        assert self.content() == before, "something of a refused request was stored"
        return refused.value

    def content(self) -> tuple[object, ...]:
        """Return what is stored: documents, those that arrive, and the number of objects."""
        store = self.domain.repository.store
        with self.domain.registry.view(ANYTHING) as view:
            counts = [view.count(DocumentEntry, []), view.count(SubmissionSet, [])]
            counts.append(view.count(Folder, []))
        published = sorted(one.key for one in store.list())
        return (published, [one.key for one in store.staged_leftovers()], counts)

    def entry(self, identifier: str) -> Found[DocumentEntry]:
        """Return a DocumentEntry by its resource id."""
        found: Found[DocumentEntry] = self._found(DocumentEntry, identifier)
        return found

    def folder(self, identifier: str) -> Found[Folder]:
        """Return a Folder by its resource id."""
        found: Found[Folder] = self._found(Folder, identifier)
        return found

    def submission_set(self, identifier: str) -> Found[SubmissionSet]:
        """Return a SubmissionSet by its resource id."""
        found: Found[SubmissionSet] = self._found(SubmissionSet, identifier)
        return found

    def _found(self, kind: Any, identifier: str) -> Any:
        wanted = Comparison("entry_uuid", Operator.EQUAL, (f"urn:uuid:{identifier}",))
        with self.domain.registry.view(ANYTHING) as view:
            (found,) = view.find(kind, [wanted])
            assert found.thing
        return found

    def members(self, identifier: str) -> list[str]:
        """Return the ids of what a SubmissionSet or Folder holds."""
        with self.domain.registry.view(ANYTHING) as view:
            found = view.members([f"urn:uuid:{identifier}"])
        return [one.entry_uuid.removeprefix("urn:uuid:") for one in found]

    def relations(self, identifier: str) -> list[tuple[str, str]]:
        """Return type and target of the relations of a document."""
        with self.domain.registry.view(ANYTHING) as view:
            found = view.relations([f"urn:uuid:{identifier}"])
        return [
            (one.association_type.rpartition(":")[2], one.target.removeprefix("urn:uuid:"))
            for one in found
        ]

    def document(self, entry: DocumentEntry) -> bytes:
        """Retrieve a document."""
        repository = self.domain.repository
        request = DocumentRequest(repository.unique_id, entry.unique_id or "")
        (found,) = repository.retrieve([request]).documents
        return in_memory(found)


def in_memory(found: OutgoingDocument) -> bytes:
    """Return a document that is small, and so was read before the answer began."""
    assert isinstance(found.chunks, tuple)
    return b"".join(found.chunks)


class Deploy:
    """Opens deployments in a folder, and closes them in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened: list[AffinityDomain] = []

    def __call__(self, **options: Any) -> Deployment:
        """Open one with these options."""
        config = Config(data=self._folder / str(len(self._opened)), **options)
        databases.default().url(config.data)  # which has tables
        self._opened.append(AffinityDomain.open(config))
        return Deployment(Facade(self._opened[-1], config))

    def close(self) -> None:
        """Close all of them."""
        for domain in self._opened:
            domain.database.close()


@contextmanager
def deploying(folder: Path) -> Iterator[Deploy]:
    """Open deployments for as long as the block lasts."""
    made = Deploy(folder)
    try:
        yield made
    finally:
        made.close()


def locations(answer: Resource) -> list[str]:
    """Return the location of every entry."""
    return [one["response"]["location"] for one in answer["entry"]]


def ids(answer: Resource) -> list[str]:
    """Return the id in the location of every entry."""
    return [location.partition("/")[2] for location in locations(answer)]


def statuses(answer: Resource) -> list[str]:
    """Return the status of every entry."""
    return [one["response"]["status"] for one in answer["entry"]]


def warnings(answer: Resource) -> list[tuple[int, str]]:
    """Return the entry and the text of every warning."""
    return [
        (index, issue["diagnostics"])
        for index, one in enumerate(answer["entry"])
        for issue in one["response"].get("outcome", {}).get("issue", ())
    ]


def told(refused: Refused) -> list[tuple[str, str, str]]:
    """Return issue code, XDS error code and first expression of every issue."""
    return [_told(issue) for issue in refused.issues]


def _told(issue: Issue) -> tuple[str, str, str]:
    return issue.code, issue.error_code, next(iter(issue.expression), "")
