"""`xds update`: change the metadata of a registered document (ITI-57, ITI-92)."""

from collections.abc import Sequence
from typing import Any, Final

import click

from xds.client.administrator import (
    Difference,
    DocumentAdministrator,
    differences,
    next_version,
    status_change_of,
    update_of,
)
from xds.commands.client.client_options import Servers, code, dtm, parsed_by, with_servers
from xds.commands.terminal import print_table, printable
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

_CODE: Final = parsed_by(code)
_STATUSES: Final = {"approved": v.APPROVED, "deprecated": v.DEPRECATED}
_HEADINGS: Final = ("attribute", "before", "after")


@click.command("update")
@click.argument("unique_id", metavar="UNIQUE_ID")
@click.option("--title", help="Its title.")
@click.option("--comments", help="Comments on it.")
@click.option("--class-code", metavar="CODE", callback=_CODE, help="Coarse kind of document.")
@click.option("--type-code", metavar="CODE", callback=_CODE, help="Fine kind of document.")
@click.option("--format-code", metavar="CODE", callback=_CODE, help="Format of the content.")
@click.option(
    "--event-code", "event_code_list", metavar="CODE", callback=_CODE, multiple=True, help="Events."
)
@click.option(
    "--confidentiality-code",
    metavar="CODE",
    callback=_CODE,
    multiple=True,
    help="How confidential it is: code^display^scheme.",
)
@click.option("--language", "language_code", help="Its language, such as en-GB.")
@click.option(
    "--service-start-time", metavar="DTM", callback=parsed_by(dtm), help="YYYYMMDDhhmmss in UTC."
)
@click.option(
    "--service-stop-time", metavar="DTM", callback=parsed_by(dtm), help="YYYYMMDDhhmmss in UTC."
)
@click.option("--status", type=click.Choice(list(_STATUSES)), help="Its status, and nothing else.")
@click.option("--restricted", is_flag=True, help="By ITI-92 in place of ITI-57.")
@click.option(
    "--no-propagation", is_flag=True, help="Leave Folders and relationships to the version before."
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@with_servers
def command(
    servers: Servers,
    unique_id: str,
    status: str | None,
    restricted: bool,
    no_propagation: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Change the metadata of a document: what is not named stays as it is."""
    changes = {name: value for name, value in given.items() if value not in (None, ())}
    if bool(changes) == bool(status):
        raise click.UsageError("Name attributes to change, or else the --status.")
    if status and restricted:
        raise click.UsageError("A restricted update changes no status.")
    with servers.consumer() as consumer:
        found = consumer.get_documents(unique_ids=[unique_id]).document_entries
    old = _latest(found, unique_id)
    new = next_version(old, **changes)
    told = _status_differences(old, status) if status else differences(old, new)
    if not told:
        click.echo("Nothing would change.")
        return
    print_table(_HEADINGS, [tuple(map(printable, one)) for one in told])
    if dry_run:
        return
    with servers.administrator() as administrator:
        _update(administrator, old, new, status, restricted, not no_propagation)


def _update(
    administrator: DocumentAdministrator,
    old: DocumentEntry,
    new: DocumentEntry,
    status: str | None,
    restricted: bool,
    propagates: bool,
) -> None:
    if status:
        response = administrator.update(status_change_of(old, _STATUSES[status]))
    elif restricted:
        response = administrator.restricted_update(update_of(old, new))
    else:
        response = administrator.update(update_of(old, new, propagates=propagates))
    for warning in response.errors:
        click.echo(f"Warning: {printable(str(warning))}", err=True)


def _latest(found: tuple[DocumentEntry, ...], unique_id: str) -> DocumentEntry:
    """Return the latest version; a uniqueId may be that of several entries."""
    versions = sorted(found, key=lambda one: int(one.version or 1))
    logical = {one.lid or one.id for one in versions}
    if not versions:
        raise click.ClickException(f"No document {printable(unique_id)} is registered.")
    if len(logical) > 1:
        raise click.ClickException(
            f"{len(logical)} entries have the uniqueId {printable(unique_id)}."
        )
    return versions[-1]


def _status_differences(old: DocumentEntry, status: str) -> Sequence[Difference]:
    before = (old.availability_status or "").rpartition(":")[2].lower()
    return [] if before == status else [Difference("availabilityStatus", before, status)]
