"""Subscriptions through the wire: what is asked for, and what happens in the registry."""

import copy
import json
from dataclasses import dataclass
from typing import Any

from tests.dsubm.receiver import Receiver
from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.serving import Server
from xds.client import DocumentAdministrator, DocumentSource, entry_of, new_oid, submission_of
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, Code, DocumentEntry, Folder
from xds.metadata.submission import Submission

Resource = dict[str, Any]

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
TOPIC = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/DSUBm-SubscriptionTopic-"
DOCUMENTS = "DocumentReference-PatientDependent"
SYSTEM = "urn:oid:2.999.1.1"


def number(patient: str) -> str:
    """Return the id number of a patient id (CX)."""
    return patient.partition("^")[0]


def of_patient(patient: str) -> str:
    """Return the parameter that names a patient."""
    return f"patient.identifier={SYSTEM}|{number(patient)}"


def subscription(
    endpoint: str,
    topic: str = DOCUMENTS,
    *filters: str,
    content: str = "id-only",
    **channel: Any,
) -> Resource:
    """Return a Subscription to a topic, in the form of the R4 backport."""
    extensions = [{"url": f"{BACKPORT}filter-criteria", "valueString": one} for one in filters]
    payload = {"extension": [{"url": f"{BACKPORT}payload-content", "valueCode": content}]}
    made: Resource = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a test",
        "criteria": topic if topic.startswith("http") else TOPIC + topic,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": FHIR_JSON,
            "_payload": payload,
            **channel,
        },
    }
    if extensions:
        made["_criteria"] = {"extension": extensions}
    return made


def classic(endpoint: str, criteria: str, **channel: Any) -> Resource:
    """Return a Subscription as R4 itself has it."""
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "a test",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": endpoint, **channel},
    }


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription on a server."""

    server: Server
    made: Resource
    """As the server has answered its creation."""
    wanted: Resource
    """As the client has sent it."""

    @property
    def path(self) -> str:
        """The path of the Subscription."""
        return f"/Subscription/{self.made['id']}"

    def read(self) -> Resource:
        """Read it."""
        found: Resource = ask(self.server, "GET", self.path).json()
        return found

    def put(self, status: str, **changes: Any) -> Reply:
        """Send it again as it was wanted, with another status."""
        changed = {**copy.deepcopy(self.wanted), "id": self.made["id"], "status": status, **changes}
        return send(self.server, "PUT", self.path, changed)

    def operation(self, name: str, query: str = "") -> Resource:
        """Ask for an operation by GET."""
        found: Resource = ask(self.server, "GET", f"{self.path}/${name}{query}").json()
        return found

    def is_now(self, status: str) -> bool:
        """Tell whether it has a status."""
        return bool(self.read()["status"] == status)


def send(server: Server, method: str, path: str, resource: Resource, **headers: str) -> Reply:
    """Send a resource."""
    named = {"Content-Type": FHIR_JSON, **headers}
    return ask(server, method, path, named, json.dumps(resource).encode())


def subscribe(server: Server, wanted: Resource, receiver: Receiver | None = None) -> Subscribed:
    """Subscribe, and wait for the handshake where a receiver is given."""
    reply = send(server, "POST", "/Subscription", wanted)
    assert reply.status == 201, reply.body
    made = Subscribed(server, reply.json(), wanted)
    if receiver is not None:
        receiver.take(1, of="handshake")
        receiver.waits(lambda: made.is_now("active"))
    return made


def issues(reply: Reply) -> list[tuple[int, str, str]]:
    """Return status, code and place of each issue of a refusal."""
    return [
        (reply.status, one["code"], next(iter(one.get("expression", ())), ""))
        for one in reply.json()["issue"]
    ]


# --- what happens --------------------------------------------------------------------------------


def register(server: Server, *objects: Any) -> None:
    """Register objects by ITI-42."""
    with DocumentSource(server.repository_url, server.registry_url) as source:
        source.register(Submission(objects))


def entry_for(patient: str, **attributes: Any) -> DocumentEntry:
    """Return an entry of a document that lies elsewhere."""
    more = {"hash": "da39a3ee5e6b4b0d3255bfef95601890afd80709", "size": "0"}
    return entry_of(
        patient, "text/plain", **{**more, "repository_unique_id": "2.999.9.9", **attributes}
    )


def registered(server: Server, patient: str, **attributes: Any) -> DocumentEntry:
    """Register a document by ITI-42; return its entry."""
    entry = entry_for(patient, **attributes)
    register(server, *submission_of([entry]).objects)
    return entry


def replaced(server: Server, old: DocumentEntry) -> DocumentEntry:
    """Replace a document; return the entry of the new one."""
    new = entry_for(old.patient_id or "")
    replacement = Association.create(association_type=v.RPLC, source=new.id, target=old.id)
    register(server, *submission_of([new]).objects, replacement)
    return new


def folder_with(server: Server, patient: str, **attributes: Any) -> Folder:
    """Register a Folder with a document in it."""
    codes = (Code("heart", "2.999.8", "Heart"),)
    given = {"title": "heart", "patient_id": patient, "unique_id": new_oid(), "code_list": codes}
    folder = Folder.create(**{**given, **attributes})
    entry = entry_for(patient)
    submission = submission_of([entry])
    held = member(folder.id, entry.id)
    own = submission.submission_set.id
    register(
        server, *submission.objects, folder, held, member(own, folder.id), member(own, held.id)
    )
    return folder


def put_into(server: Server, folder: Folder, patient: str) -> DocumentEntry:
    """Register a document in a Folder that is there."""
    entry = entry_for(patient)
    submission = submission_of([entry])
    held = member(folder.id, entry.id)
    register(server, *submission.objects, held, member(submission.submission_set.id, held.id))
    return entry


def member(source: str, target: str) -> Association:
    """Return a HasMember Association."""
    return Association.create(
        association_type=v.HAS_MEMBER,
        source=source,
        target=target,
        submission_set_status=v.ORIGINAL,
    )


def administrator(server: Server) -> DocumentAdministrator:
    """Return a client that updates and removes."""
    return DocumentAdministrator(server.registry_url, server.repository_url)
