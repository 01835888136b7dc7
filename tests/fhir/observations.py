"""A second FHIR service beside MHD, served over HTTP: Observations out of a dictionary.

``python -m tests.fhir.observations PORT`` serves by the options in the environment. Its transaction
is one row more in the catalogue, which is there before the rest of the program is imported.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from xds.metadata import catalogue

OBSERVATIONS: Final = catalogue.TransactionRow(
    name="PCC-44",
    title="Mobile Query Existing Data",
    kind=catalogue.TransactionKind.QUERY,
    actor="registry",
    audit=catalogue.AuditedAs(catalogue.AuditEventID.REST, "E", "search"),
    fhir="/Observation",
)
PATIENT: Final = "O1^^^&2.999.1.1&ISO"
HELD: Final[Mapping[str, Mapping[str, Any]]] = {
    name: {
        "resourceType": "Observation",
        "id": name,
        "meta": {"versionId": "1"},
        "status": status,
        "code": {"text": text},
    }
    for name, status, text in (
        ("pulse", "final", "Heart rate"),
        ("weight", "final", "Body weight"),
        ("height", "preliminary", "Body height"),
    )
}


def rows() -> Sequence[Any]:
    """Return the rows of the service: a search by URL and by form, and a read."""
    from xds.fhir.exchange import Answer, Call
    from xds.fhir.facade import Facade
    from xds.fhir.interactions import READ, SEARCH, ImplementationGuide, Interaction
    from xds.fhir.r4 import json
    from xds.fhir.r4.json import Rendered
    from xds.fhir.search import searchset
    from xds.fhir.search.paging import Position, cut
    from xds.fhir.search.parameters import Searchable, SearchParameter
    from xds.security.details import PatientDetails, QueryDetails

    status = SearchParameter(
        name="status",
        type="token",
        documentation="The status of the Observation.",
        finds=True,
    )
    searchable = Searchable("Observation", (status,))
    guide = ImplementationGuide(
        "https://profiles.ihe.net/PCC/QEDm/ImplementationGuide/ihe.pcc.qedm",
        "QEDm Clinical Data Source",
        "Observations of a dictionary.",
    )

    def details() -> QueryDetails:
        return QueryDetails("Observation", lambda: "Observation", lambda: [PATIENT])

    def find(facade: Facade, call: Call) -> Answer:
        search = searchset.SearchRequest.read(call, searchable)
        wanted = {value for one in search.selections for value in one.asked.values}
        found = [one for one in HELD.values() if one["status"] in wanted]
        page = cut(found, lambda one: Position((), 0, [*HELD].index(one["id"])), search.wanted, 10)
        call.access.details = replace(details(), results=len(page.found))
        resources = [Rendered(one["id"], json.render(dict(one))) for one in page.found]
        return Answer(resource=search.searchset(None, page, resources))

    def read(facade: Facade, call: Call) -> Answer:
        call.access.details = PatientDetails((PATIENT,))
        held = HELD.get(call.identifier)
        return searchset.read(call, searchable, dict(held) if held else None)

    def describe(facade: Facade, call: Call) -> None:
        call.access.details = details()

    def search(method: str, path: str) -> Interaction:
        return Interaction(
            OBSERVATIONS.name,
            SEARCH,
            method,
            path,
            "Find Observations.",
            find,
            "Observation",
            describer=describe,
            parameters=searchable.parameters,
            guide=guide,
        )

    return (
        search("GET", "/Observation"),
        search("POST", "/Observation/_search"),
        Interaction(
            OBSERVATIONS.name,
            READ,
            "GET",
            "/Observation/{id}",
            "Read an Observation.",
            read,
            "Observation",
        ),
    )


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


def main(port: int) -> None:
    """Serve until the process is ended."""
    catalogue.CATALOGUE = (*catalogue.CATALOGUE, OBSERVATIONS)  # type: ignore[assignment,misc]
    from xds.app import create_app
    from xds.config import load
    from xds.mhd.interactions import INTERACTIONS

    application = create_app(load({}), (*INTERACTIONS, *rows()))
    with make_server("127.0.0.1", port, application, _Server, _Quiet) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
