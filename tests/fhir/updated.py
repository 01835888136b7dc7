"""Updates by FHIR through the wire: what a test has published, and what is asked of it."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.published import locations, message
from tests.serving import Server
from xds.fhir.r4.resource import Resource

UPDATE_OPTIONS = {
    "fhir_update": "yes",
    "fhir_patch": "yes",
    "fhir_update_metadata": "yes",
    "fhir_history": "yes",
    "fhir_delete": "yes",
    "metadata_update": "yes",
    "legal_hold_codes": "V^^2.16.840.1.113883.5.25",
}
Edit = Callable[[Resource], object]
RESTRICTED = [
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                "code": "R",
                "display": "restricted",
            }
        ]
    }
]


@dataclass(frozen=True, slots=True)
class Published:
    """A document, Folder or SubmissionSet on a server, and requests about its resource."""

    server: Server
    id: str
    kind: str = "DocumentReference"

    @property
    def path(self) -> str:
        """The path of its resource."""
        return f"/{self.kind}/{self.id}"

    def read(self, version: str = "") -> Resource:
        """Read it as it is now, or was in a version."""
        history = f"/_history/{version}" if version else ""
        found: Resource = ask(self.server, "GET", self.path + history).json()
        return found

    def edited(self, *edits: Edit) -> Resource:
        """Return what a read gives, changed."""
        found = copy.deepcopy(self.read())
        for edit in edits:
            edit(found)
        return found

    def put(self, resource: Resource, path: str = "", **headers: str) -> Reply:
        """Send a PUT."""
        return self.send("PUT", path or self.path, json.dumps(resource).encode(), **headers)

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Send a request, whose headers are named with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            named.setdefault("Content-Type", FHIR_JSON)
        return ask(self.server, method, path, named, body)

    def refuses(self, reply: Reply, status: int) -> list[tuple[str, str, str]]:
        """Return code, error code and place of the issues of a refusal."""
        assert reply.status == status, reply.body
        return [
            (
                one["code"],
                one.get("details", {}).get("text", ""),
                next(iter(one.get("expression", ())), ""),
            )
            for one in reply.json()["issue"]
        ]


def published(server: Server) -> Published:
    """Publish a document of a patient of its own."""
    return _published(server, "one_document")[1]


def published_folder(server: Server) -> tuple[Published, Published, Published]:
    """Publish a document in a Folder; return the SubmissionSet, the document and the Folder."""
    submission_set, document, _, folder = _published(server, "folder")
    return submission_set, document, folder


def new_bundle(name: str, patient: str = "") -> Resource:
    """Return a message of fixtures/mhd with ids of its own, of the patient given or a new one."""
    own = uuid4()
    text = json.dumps(message(name))
    text = text.replace("urn:oid:2.999.4.", f"urn:oid:2.999.4.{own.int % 10**12}.")
    text = text.replace("4d48a000-0000", f"{own.hex[:8]}-0000")
    found: Resource = json.loads(text.replace("M4001", patient or f"P{own.hex[:8]}"))
    return found


def _published(server: Server, name: str, patient: str = "") -> list[Published]:
    text = json.dumps(new_bundle(name, patient))
    reply = ask(server, "POST", "", {"Content-Type": FHIR_JSON}, text.encode())
    assert reply.status == 200, reply.body
    found = [one.partition("/") for one in locations(reply.json())]
    return [Published(server, identifier, kind) for kind, _, identifier in found]


def another_document(of: Published) -> Published:
    """Publish another document of the same patient."""
    return _published(of.server, "one_document", patient_of(of))[1]


def replacing(document: Published) -> Resource:
    """Return an ITI-65 Bundle with another document that replaces one."""
    bundle = new_bundle("one_document", patient_of(document))
    target = {"reference": document.path.removeprefix("/")}
    bundle["entry"][1]["resource"]["relatesTo"] = [{"code": "replaces", "target": target}]
    return bundle


def patient_of(document: Published) -> str:
    """Return the patient of a document, by the value of the identifier."""
    value: str = document.read()["subject"]["identifier"]["value"]
    return value


def setting(**elements: Any) -> Edit:
    """Return an edit that sets elements anew; None takes one away."""

    def edit(resource: Resource) -> None:
        for name, value in elements.items():
            resource.pop(name, None)
            if value is not None:
                resource[name] = value

    return edit


def history_of(resource: Mapping[str, Any]) -> tuple[str, str]:
    """Return number of the version and status of a resource."""
    return resource["meta"]["versionId"].partition("-")[0], resource["status"]
