"""A server with destinations of messages, and documents that are given to it."""

import secrets
from contextlib import closing
from dataclasses import dataclass

from click.testing import CliRunner

from tests.messaging.senders import NHS, nhs_number
from tests.serving import Server, configured
from tests.waiting import until
from xds.__main__ import main
from xds.client import Content, DocumentSource, entry_of, submission_of
from xds.database.access import Database
from xds.messaging.outbound import records
from xds.messaging.outbound.records import OutboundMessage
from xds.messaging.outbound.tables import outbound_message
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, Code, DocumentEntry

SCT = "2.16.840.1.113883.6.96"
GENETIC = Code("1054161000000101", SCT, "Genetic report")
CONTENT = b"%PDF-1.7\nreport\n%%EOF\n"


@dataclass(frozen=True, slots=True)
class Feeds:
    """A server with destinations."""

    server: Server

    def provide(
        self, *, replaces: DocumentEntry | None = None, postcode: str = "M1 1AA", **changes: object
    ) -> DocumentEntry:
        """Provide a document of a new patient, or one that replaces another."""
        number = f"T25-{secrets.randbelow(10**9):09}"
        patient = f"{nhs_number()}^^^&{NHS}&ISO"
        values: dict[str, object] = {
            "type_code": GENETIC,
            "title": f"Report {number}",
            "creation_time": "20260810101500",
            "reference_id_list": (f"{number}^^^&2.999.699&ISO^{v.REFERENCE_ACCESSION}",),
            "source_patient_info": (
                "PID-5|Hale^Una",
                "PID-7|19700101",
                "PID-8|F",
                f"PID-11|1 High St^^Town^^{postcode}",
            ),
        }
        if replaces is not None:
            patient = replaces.patient_id or ""
        entry = entry_of(patient, "application/pdf", **{**values, **changes})
        submission = submission_of([entry])
        if replaces is not None:
            link = Association.create(association_type=v.RPLC, source=entry.id, target=replaces.id)
            submission = submission.with_objects([*submission.objects, link])
        with DocumentSource(self.server.repository_url) as source:
            content = Content((CONTENT,), len(CONTENT))
            source.provide_and_register(submission, {entry.id: content})
        return entry

    def records(self, entry: DocumentEntry) -> list[OutboundMessage]:
        """What is recorded of a document, oldest first."""
        database = Database(configured(self.server.data).database_url)
        try:
            with database.read() as connection:
                of_it = outbound_message.c.logical_id == entry.id
                return records.messages(connection, of_it, most=100)[::-1]
        finally:
            database.close()

    def audited(self, entry: DocumentEntry) -> list[str]:
        """The exports that are recorded of a document's patient."""
        url = configured(self.server.data).database_url
        told = ["--patient", entry.patient_id or "", "--transaction", "CARD-7", "--format", "xml"]
        result = CliRunner().invoke(main, ["audit", "--database", url, *told])
        return [line for line in result.output.splitlines() if 'csd-code="110106"' in line]

    def wait_for(
        self, entry: DocumentEntry, *states: str, destination: str = "record"
    ) -> list[OutboundMessage]:
        """Return the records of a document for a destination once they are so."""
        return until(
            lambda: [one for one in self.records(entry) if one.destination == destination],
            lambda found: [one.state for one in found] == list(states),
        )

    def settle(self) -> None:
        """Wait until nothing is under way, so that the next message is that of the test."""
        under_way = outbound_message.c.state.in_(["waiting", "failed"])
        with closing(Database(configured(self.server.data).database_url)) as database:

            def found() -> list[OutboundMessage]:
                with database.read() as connection:
                    return records.messages(connection, under_way, most=100)

            until(found, lambda left: not left)


def segment(message: list[list[str]], name: str) -> list[str]:
    (found,) = [one for one in message if one[0] == name]
    return [*found, *[""] * 40]


def number_of(entry: DocumentEntry) -> str:
    return entry.reference_id_list[0].partition("^")[0]
