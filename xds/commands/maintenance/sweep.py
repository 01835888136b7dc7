"""`xds sweep`: remove documents that no submission stands behind."""

import re
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import click

from xds.affinity_domain import AffinityDomain
from xds.commands.client.client_options import parsed_by
from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import maintained
from xds.commands.terminal import human_size
from xds.config import Config
from xds.repository import index, maintenance, pending_registrations
from xds.repository.registering import RemoteRegistry
from xds.repository.store import StoredDocument

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SAMPLE: Final = 100
_LEAST: Final = timedelta(minutes=5)
"""What is younger is removed with --force only: a large submission may take so long."""
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])")


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a number of s, m, h or d, such as 1h")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command("sweep")
@with_config(
    "data", "database", "documents", "documents_options", "repository_unique_id", "registry_url"
)
@click.option(
    "--older-than",
    callback=parsed_by(_duration),
    metavar="TIME",
    default="1h",
    show_default=True,
    help="Leave alone what is younger: it may belong to a submission that is under way. Less than "
    "5m takes --force. By the clock of the document store.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option(
    "--force",
    is_flag=True,
    help="Sweep also where none of the documents is in the index, or known to the registry, and "
    "what is younger than 5m: submissions that are under way may have to be repeated.",
)
def command(config: Config, older_than: timedelta, dry_run: bool, force: bool) -> None:
    """Remove stored documents that were never registered, which is what a crash leaves behind.

    Where the registry is elsewhere (registry_url), it is asked for the documents of which it did
    not say whether it registered them. It may be run while the server serves.
    """
    if not (dry_run or force):
        _require_age(config, older_than)
    with maintained(config) as domain:
        if not (dry_run or force):
            _require_documents(domain)
        now = domain.repository.store.now()
        find = maintenance.orphans if dry_run else maintenance.sweep
        count, size = 0, 0
        for orphan in find(domain.repository, older_than=older_than):
            count, size = count + 1, size + orphan.size
            click.echo(_line(orphan, now, is_removed=_is_removed(domain, orphan)))
        _tell("orphaned", count, size, dry_run)
        if domain.remote_registry is not None:
            _resolve(domain, domain.remote_registry, older_than, dry_run, force)


def _resolve(
    domain: AffinityDomain,
    registry: RemoteRegistry,
    older_than: timedelta,
    dry_run: bool,
    force: bool,
) -> None:
    """Remove what may have been registered elsewhere, and was not."""
    if not (dry_run or force):
        _require_known(domain, registry)
    find = pending_registrations.unregistered if dry_run else pending_registrations.resolve
    count, size = 0, 0
    for document in find(domain.repository, registry, older_than=older_than):
        count, size = count + 1, size + document.size
        click.echo(f"{document.key}\t{document.size}\tnot registered")
    _tell("unregistered", count, size, dry_run)


def _tell(kind: str, count: int, size: int, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    documents = "document" if count == 1 else "documents"
    click.echo(f"{count} {kind} {documents} {verb}, {human_size(size)}.", err=True)


def _require_age(config: Config, older_than: timedelta) -> None:
    """Refuse to touch what may well be of a submission that is under way."""
    least = _LEAST
    if config.registry_url is not None:
        least = max(least, timedelta(seconds=2 * config.registry_seconds))
    if older_than < least:
        raise click.UsageError(
            f"--older-than is less than {least.total_seconds():.0f}s: what is so young may be of a "
            "submission that is under way. --dry-run shows it, --force removes it."
        )


def _require_documents(domain: AffinityDomain) -> None:
    """Refuse to sweep beside an index of other documents: all that is stored would be lost."""
    if not maintenance.holds_some(domain.repository):
        raise click.ClickException(
            "There are stored documents, but none is in the index of this database. Is it the "
            "right one? --dry-run shows them, --force removes them."
        )


def _require_known(domain: AffinityDomain, registry: RemoteRegistry) -> None:
    """Refuse to believe a registry that has no document at all: it may be the wrong one."""
    some = [found.unique_id for found in islice(index.every(domain.database), _SAMPLE)]
    with domain.database.read() as connection:
        resolved = set(some) - index.pending(connection, some)
    if resolved and not pending_registrations.registered(domain.repository, registry, resolved):
        raise click.ClickException(
            "The registry knows none of the documents that were registered before. Is it the "
            "right one? --dry-run shows what it would have removed, --force removes it."
        )


def _is_removed(domain: AffinityDomain, orphan: StoredDocument) -> bool:
    """Tell whether a document was removed on request, and its bytes are left of that."""
    with domain.database.read() as connection:
        return bool(index.removed_keys(connection, [orphan.key]))


def _line(orphan: StoredDocument, now: datetime, *, is_removed: bool) -> str:
    age = timedelta(seconds=round((now - orphan.modified).total_seconds()))
    told = "\tremoved on request" if is_removed else ""
    return f"{orphan.key}\t{orphan.size}\t{max(age, timedelta(0))}{told}"
