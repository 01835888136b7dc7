"""Conformance: what is answered here, and the tables of what the program answers and enforces."""

from collections.abc import Iterator
from dataclasses import dataclass

from xds.console.views.deployment.conformance_tables import tables
from xds.console.visits import Answer, PageContent, PageNotFound, Visit
from xds.fhir.interactions import answered
from xds.metadata.catalogue import CATALOGUE, TransactionRow
from xds.schema_validation import XDS_ACTORS


@dataclass(frozen=True, slots=True)
class AnsweredMessage:
    """One message of a transaction."""

    transaction: str
    title: str
    message: str
    actor: str
    is_here: bool
    """Whether the options have it answered."""


def show(visit: Visit) -> Answer:
    """Show what is answered here, and which tables there are."""
    config = visit.console.config
    return PageContent(
        {
            "tables": list(tables().values()),
            "contracts": list(_contracts(visit)),
            "messages": [one for row in CATALOGUE for one in _messages(visit, row)],
            "interactions": [
                (f"{one.method} /fhir{one.path}", one.summary, one.name)
                for one in answered(visit.console.interactions, config)
            ],
        }
    )


def _contracts(visit: Visit) -> Iterator[tuple[str, str]]:
    """Yield where programs read what is answered, and what stands there."""
    actors = visit.domain.actors
    for actor in actors:
        yield f"/{actor}?wsdl", f"the WSDL of the {actor}, with its schemas"
    if set(XDS_ACTORS) <= set(actors):
        yield "/fhir/metadata?_format=json&_pretty=true", "the CapabilityStatement"
        yield "/fhir/openapi.json", "the same as OpenAPI"


def show_table(visit: Visit) -> Answer:
    """Show one table, with the tests of each row."""
    table = tables().get(visit.path["table"])
    if table is None:
        raise PageNotFound
    return PageContent({"table": table}, title=f"Conformance: {table.title}")


def _messages(visit: Visit, row: TransactionRow) -> Iterator[AnsweredMessage]:
    is_here = row.name not in visit.domain.excluded_transactions
    for one in row.soap:
        title = f"{row.title}: {one.title}" if one.title else row.title
        element = one.element.rpartition("}")[2]
        yield AnsweredMessage(row.name, title, element, row.actor, is_here)
    for event in row.hl7v2:
        name = f"{event.code}^{event.trigger}"
        yield AnsweredMessage(row.name, event.title, name, row.actor, is_here)
    if row.fhir is not None:
        yield AnsweredMessage(row.name, row.title, f"/fhir{row.fhir}", row.actor, is_here)
