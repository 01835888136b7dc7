"""`xds audit`: who has done what, and to whose documents."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from xds.audit import anchor, audit_log, chain, searching
from xds.audit.message import render
from xds.audit.record import AuditRecord, ParticipantObject, milliseconds
from xds.audit.searching import RecordFilter
from xds.commands.client.client_options import parsed_by
from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import print_table, printable
from xds.config import Config
from xds.database.access import Database
from xds.registry.registry import DocumentRegistry

_OUTCOMES: Final = {0: "ok", 4: "refused", 8: "failed", 12: "failed"}


def _patient(text: str) -> str:
    if "^" not in text:
        raise ValueError("a bare id: write who assigned it as well, such as P1^^^&2.999.1.1&ISO")
    return text


@click.command("audit")
@with_config(
    "data", "database", "audit_source_id", "audit_enterprise_site_id", "public_url", "host", "port"
)
@click.option(
    "--patient",
    metavar="CX",
    callback=parsed_by(_patient),
    help="Of this patient, such as P1^^^&2.999.1.1&ISO.",
)
@click.option(
    "--document",
    "documents",
    multiple=True,
    metavar="ID",
    help="About a document with this uniqueId, or an object with this entryUUID; repeatable.",
)
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
@click.option("--verify", is_flag=True, help="Check that the records are as they were written.")
@click.option(
    "--end",
    "ends",
    multiple=True,
    metavar="NUMBER:HASH",
    help="With --verify: an end of the chain as the log had it, which must be in it; repeatable.",
)
def command(
    config: Config,
    form: str,
    patient: str | None,
    documents: tuple[str, ...],
    user: str | None,
    most: int,
    verify: bool,
    ends: tuple[str, ...],
    **told: object,
) -> None:
    """Search the audit records, newest first. Times without a zone are UTC.

    That they were read is recorded as well. --verify ends with 1 where the records are not as they
    were written, and tells the first that is not.
    """
    try:
        wanted = RecordFilter(
            patient_ids=(patient,) if patient else (),
            documents=documents,
            user_id=user,
            **told,  # type: ignore[arg-type]
        )
        for found in filter(None, (wanted.since, wanted.until)):
            milliseconds(found)
    except ValueError as error:
        raise click.UsageError(f"not a time: {error}") from None
    if ends and not verify:
        raise click.UsageError("--end goes with --verify.")
    if verify:
        _verify(config, ends)
        return
    records = _found(config, wanted, most)
    if form == "table":
        _show(records)
        return
    source = audit_log.source_of(config)
    for record in records:
        click.echo(record.dump() if form == "json" else render(record, source))


def _verify(config: Config, ends: Iterable[str]) -> None:
    """Print what is found of the chain; exit with 1 where it is broken."""
    try:
        anchors = list(map(anchor.parsed, ends))
    except ValueError as error:
        raise click.UsageError(f"--end: {error}") from None
    if noted := anchor.noted(audit_log.folder_of(config)):
        anchors.append(noted)
    with _opened(config) as database:
        verdict = chain.verify(database, anchors)
        audit_log.note_use(config, database, "verify")
    if verdict.before:
        click.echo(f"{verdict.before} records are of before the chain, and not checked.")
    if verdict.broken is None:
        click.echo(f"{verdict.chained} records are as they were written.")
        click.echo(f"The chain ends with {verdict.end.sequence}:{verdict.end.hash}")
        return
    click.echo(f"{verdict.chained} records are as they were written. Then:")
    click.echo(f"{verdict.broken.kind}: {printable(verdict.broken.said)}")
    raise SystemExit(1)


def _found(config: Config, wanted: RecordFilter, most: int) -> list[AuditRecord]:
    asked = ", ".join(filter(None, (wanted.told(), f"most {most}")))
    with _opened(config) as database:
        with database.read() as connection:
            found = list(searching.search(connection, wanted, most))
        audit_log.note_use(config, database, asked)
        return found


@contextmanager
def _opened(config: Config) -> Iterator[Database]:
    """Open the database with all records that servers have left behind."""
    try:
        with database_of(config) as database:
            whose = DocumentRegistry(database=database).patients_of_documents
            audit_log.catch_up(config, database, None if config.registry_url else whose)
            yield database
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


def _named(thing: ParticipantObject) -> str:
    return f"query {thing.id}" if thing.query is not None else thing.id
