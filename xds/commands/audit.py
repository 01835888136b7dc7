"""`xds audit`: who has done what, and to whose documents."""

from collections.abc import Iterable
from typing import Final

import click

from xds.audit import office, table
from xds.audit.message import render
from xds.audit.record import AuditRecord, Thing, milliseconds
from xds.audit.table import Wanted
from xds.commands.options import with_config
from xds.commands.terminal import print_table, printable
from xds.config import Config
from xds.database import Database, DatabaseUnavailable
from xds.registry import schema
from xds.registry.registry import DocumentRegistry
from xds.sqlite_file import path_of

_OUTCOMES: Final = {0: "ok", 4: "refused", 8: "failed", 12: "failed"}


@click.command("audit")
@with_config(
    "data", "database", "audit_source_id", "audit_enterprise_site_id", "public_url", "host", "port"
)
@click.option("--patient", metavar="CX", help="Of this patient, such as P1^^^&2.999.1.1&ISO.")
@click.option("--user", metavar="NAME", help="Of this user, as the assertion or token names it.")
@click.option(
    "--since", metavar="TIME", help="From then on, such as 2026-11-25 or 2026-11-25T09:30."
)
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--transaction", metavar="NAME", help="Of this kind, such as ITI-43.")
@click.option("--failed/--succeeded", default=None, help="Only what failed, or what did not.")
@click.option("--most", default=100, show_default=True, type=click.IntRange(1), help="Newest only.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "xml"]),
    default="table",
    show_default=True,
    help="For people; or a record a line, as JSON or as the audit message.",
)
def command(
    config: Config, form: str, patient: str | None, user: str | None, **told: object
) -> None:
    """Search the audit records, newest first. Times without a zone are UTC."""
    try:
        wanted = Wanted(patient_id=patient, user_id=user, **told)  # type: ignore[arg-type]
        for found in filter(None, (wanted.since, wanted.until)):
            milliseconds(found)
    except ValueError as error:
        raise click.UsageError(f"not a time: {error}") from None
    records = _found(config, wanted)
    if form == "table":
        _show(records)
        return
    source = office.source_of(config)
    for record in records:
        click.echo(record.dump() if form == "json" else render(record, source))


def _found(config: Config, wanted: Wanted) -> list[AuditRecord]:
    embedded = path_of(config.database_url)
    if embedded is not None and not embedded.exists():
        raise click.ClickException(f"There is no database {embedded}.")
    try:
        database = Database(config.database_url)
        try:
            schema.prepare(database)
            whose = DocumentRegistry(database=database).patients_of_documents
            office.catch_up(config, database, None if config.registry_url else whose)
            with database.read() as connection:
                return list(table.search(connection, wanted))
        finally:
            database.close()
    except DatabaseUnavailable as error:
        raise click.ClickException(f"The database is not available: {error}.") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'A file'}: {error.strerror}.") from None


def _show(records: Iterable[AuditRecord]) -> None:
    rows = [
        (
            record.at,
            record.transaction,
            record.action,
            _OUTCOMES.get(record.outcome, str(record.outcome)),
            printable(record.actor.user_name if record.actor else record.node or record.address),
            printable(record.patient_id or ""),
            printable(
                "; ".join([*map(_named, record.things), *filter(None, [record.description])])
            ),
        )
        for record in records
    ]
    if not rows:
        click.echo("No record fits.")
        return
    print_table(("at", "what", "", "outcome", "who", "patient", "of what"), rows)


def _named(thing: Thing) -> str:
    return f"query {thing.id}" if thing.query is not None else thing.id
