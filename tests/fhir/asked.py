"""Plain HTTP for the tests of the facade: one request a connection, and what came back."""

import http.client
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.serving import Server
from tests.waiting import PATIENCE
from xds.client import Content, DocumentSource, entry_of, new_oid, submission_of
from xds.metadata.objects import DocumentEntry
from xds.security.access import Access

ANYONE = Access(transaction="any")
FHIR_JSON = "application/fhir+json"
FHIR_XML = "application/fhir+xml"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; the names of its headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the resource of the body."""
        assert self.headers["content-type"] == f"{FHIR_JSON}; charset=utf-8"
        return json.loads(self.body)

    def codes(self) -> list[str]:
        """Return the codes of the issues of an OperationOutcome, which the body must be."""
        found = self.json()
        assert found["resourceType"] == "OperationOutcome"
        assert all(issue["severity"] and issue["diagnostics"] for issue in found["issue"])
        return [issue["code"] for issue in found["issue"]]


def ask(
    server: Server,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | Iterable[bytes] | None = None,
) -> Reply:
    """Send a request to a path below the base; a body in pieces is sent chunked."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request(
            method,
            f"/fhir{path}",
            body=body,
            headers={**(headers or {})},
            encode_chunked=body is not None and not isinstance(body, bytes),
        )
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, received, response.read())
    finally:
        connection.close()


def new_patient() -> str:
    """Return a patient whom no other test knows."""
    return f"{new_oid()[-12:]}^^^&2.999.1.1&ISO"


def provide(server: Server, data: bytes, mime_type: str = "text/plain") -> str:
    """Provide and register a document by ITI-41, and return the id of its DocumentReference."""
    entry = entry_of(new_patient(), mime_type)
    with DocumentSource(server.repository_url, server.registry_url) as source:
        source.provide_and_register(
            submission_of([entry]), {entry.entry_uuid: Content((data,), len(data))}
        )
    return bare(entry)


def bare(entry: DocumentEntry) -> str:
    """Return the entryUUID without its urn."""
    return entry.entry_uuid.removeprefix("urn:uuid:")
