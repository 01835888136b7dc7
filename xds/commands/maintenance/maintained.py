"""What sweep and verify share: the configured database and store, opened without a server."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.registry import schema
from xds.repository.registering import RegistryUnavailable
from xds.repository.store import StoreError, folder_of
from xds.sqlite_file import path_of


@contextmanager
def maintained(config: Config) -> Iterator[AffinityDomain]:
    """Open what is there; what goes wrong ends the command with a sentence."""
    if config.serve_repository == "no":
        raise click.ClickException("There is no repository here, and so are no documents.")
    try:
        _require_data(config)
        domain = AffinityDomain.open(config)
        try:
            yield domain
        finally:
            domain.close()
    except RegistryUnavailable as error:
        raise click.ClickException(f"The registry cannot be asked. {error}") from None
    except DatabaseUnavailable as error:
        raise click.ClickException(f"The database is not available: {error}.") from None
    except (StoreError, ValueError) as error:
        raise click.ClickException(f"The document store is not available: {error}.") from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'A file'}: {error.strerror}.") from None


@contextmanager
def database_of(config: Config) -> Iterator[Database]:
    """Open the database alone; what goes wrong ends the command with a sentence."""
    _require_database(config)
    try:
        database = Database(config.database_url)
        try:
            schema.prepare(database)
            yield database
        finally:
            database.close()
    except DatabaseUnavailable as error:
        raise click.ClickException(f"The database is not available: {error}.") from None


def _require_database(config: Config) -> None:
    embedded = path_of(config.database_url)
    if embedded is not None and not embedded.exists():
        raise click.ClickException(f"There is no database {embedded}.")


def _require_data(config: Config) -> None:
    """Refuse what is not there: opening a database or a folder of documents would make it."""
    _require_database(config)
    documents = folder_of(config.documents_url)
    if documents is not None and not documents.exists():
        raise click.ClickException(f"There is no folder of documents {documents}.")
