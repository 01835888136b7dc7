"""`xds verify`: is every stored document as it was registered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

import click

from xds.affinity_domain import AffinityDomain
from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import maintained
from xds.commands.terminal import human_size, print_table, printable, progress
from xds.config import Config
from xds.metadata.objects import DocumentEntry
from xds.registry.registry import RegisteredDocument
from xds.repository import index, maintenance, pending_registrations
from xds.repository.index import IndexedDocument
from xds.repository.maintenance import Damage
from xds.repository.registering import RemoteRegistry

_AT_ONCE: Final = 500


@dataclass(slots=True)
class _VerifyCounts:
    stored: int = 0
    size: int = 0
    damaged: int = 0
    registered: int = 0
    unmatched: int = 0
    removed: int = 0
    """Documents that were removed on request, while their entries stayed."""
    pending: int | None = None
    """Documents that may be registered or not; None where the registry is here."""

    @property
    def is_good(self) -> bool:
        return not (self.damaged or self.unmatched)


@click.command("verify")
@with_config(
    "data", "database", "documents", "documents_options", "repository_unique_id", "registry_url"
)
def command(config: Config) -> None:
    """Read every stored document and compare it with its registered size and hash.

    Compares also every document that is registered for this repository with what the repository
    holds; where the registry is elsewhere (registry_url), it is asked for what the repository
    holds. Exits with 1 where anything is damaged or missing. It may be run while the server serves.
    """
    tally = _VerifyCounts()
    with maintained(config) as domain:
        # a store that is not there at all is not to be told document by document
        next(domain.repository.store.list(), None)
        remote = domain.remote_registry
        compared = _unregistered(domain, remote, tally) if remote else _unmatched(domain, tally)
        for damage in chain(_damages(domain, tally), compared):
            click.echo(f"{printable(damage.unique_id)}\t{damage.reason}")
        belongs = maintenance.holds_some(domain.repository)
    _summarise(tally)
    if not belongs:
        told = "There are stored documents, but none is in the index of this database."
        click.echo(f"{told} Is it the right one?", err=True)
    raise SystemExit(0 if tally.is_good and belongs else 1)


def _damages(domain: AffinityDomain, tally: _VerifyCounts) -> Iterator[Damage]:
    with progress("reading", None) as tell:
        for document, damage in maintenance.damages(domain.repository):
            tally.stored += 1
            tally.size += document.size
            tell(document.size)
            if damage is not None:
                tally.damaged += 1
                yield damage


def _unmatched(domain: AffinityDomain, tally: _VerifyCounts) -> Iterator[Damage]:
    """Yield what is registered but not held; the registry is asked first, to miss nothing new."""
    documents = domain.registry.stable_documents(domain.repository.unique_id)
    while some := list(islice(documents, _AT_ONCE)):
        with domain.database.read() as connection:
            unique_ids = [document.unique_id for document in some]
            held = index.find(connection, unique_ids)
            removed = index.removed(connection, unique_ids) - held.keys()
        for document in some:
            tally.registered += 1
            if document.unique_id in removed:
                tally.removed += 1
                continue
            reason = _mismatch(document, held.get(document.unique_id))
            if reason is not None:
                tally.unmatched += 1
                yield Damage(document.unique_id, reason)


def _unregistered(
    domain: AffinityDomain, registry: RemoteRegistry, tally: _VerifyCounts
) -> Iterator[Damage]:
    """Yield what is held but not registered so, as far as it should be."""
    tally.pending = 0
    documents = index.every(domain.database)
    while some := {one.unique_id: one for one in islice(documents, _AT_ONCE)}:
        with domain.database.read() as connection:
            pending = index.pending(connection, some)
        found = pending_registrations.registered(domain.repository, registry, some)
        with domain.database.read() as connection:
            held = index.find(connection, sorted(some))  # without what was withdrawn meanwhile
        tally.registered += len(found)
        tally.pending += len(pending & held.keys() - found.keys())
        for unique_id in held.keys() - pending | held.keys() & found.keys():
            reason = _difference(found.get(unique_id, ()), held[unique_id])
            if reason is not None:
                tally.unmatched += 1
                yield Damage(unique_id, reason)


def _difference(entries: Sequence[DocumentEntry], held: IndexedDocument) -> str | None:
    if not entries:
        return "held, but not registered"
    registered = (
        RegisteredDocument(held.unique_id, one.hash or "", int(one.size or -1)) for one in entries
    )
    return next(filter(None, (_mismatch(one, held) for one in registered)), None)


def _mismatch(registered: RegisteredDocument, held: IndexedDocument | None) -> str | None:
    if held is None:
        return "registered, but this repository does not hold it"
    if registered.hash.lower() != held.hash.lower():
        return f"registered with hash {registered.hash}, held with {held.hash}"
    if registered.size != held.size:
        return f"registered with size {registered.size}, held with {held.size}"
    return None


def _summarise(tally: _VerifyCounts) -> None:
    rows = [
        ("documents read", f"{tally.stored} ({human_size(tally.size)})"),
        ("damaged or missing", str(tally.damaged)),
        ("registered for this repository", str(tally.registered)),
        ("not held as registered", str(tally.unmatched)),
    ]
    if tally.removed:
        rows.append(("removed on request, still registered", str(tally.removed)))
    if tally.pending is not None:
        rows.append(("perhaps to be registered yet", str(tally.pending)))
    print_table(("what", "number"), rows)
