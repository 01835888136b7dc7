"""State that no transaction of today brings about, made in the database of a served registry.

A deprecated Folder takes ITI-57, a Folder and its documents of different patients a lost merge;
rules have to hold before them all the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import insert, select, update

from tests.registry.wire import World
from tests.serving import Server
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.registry.events import Event
from xds.registry.registry import DocumentRegistry
from xds.registry.tables import association, document_entry, folder, patient, submission_set


@contextmanager
def database(server: Server) -> Iterator[Database]:
    """Open the database that a server serves from."""
    opened = Database(server.database, connections=1)
    try:
        yield opened
    finally:
        opened.close()


def deprecate_folder(number: int, server: Server, world: World) -> None:
    """Deprecate a Folder of a fixture."""
    with database(server) as opened, opened.write() as connection:
        connection.execute(
            update(folder)
            .where(folder.c.entry_uuid == world.uuid(number))
            .values(availability_status=v.DEPRECATED)
        )


def date(entry_uuid: str, last_update_time: str, server: Server) -> None:
    """Make a Folder one that was last updated at some other time."""
    with database(server) as opened, opened.write() as connection:
        connection.execute(
            update(folder)
            .where(folder.c.entry_uuid == entry_uuid)
            .values(last_update_time=last_update_time)
        )


def give_folder_away(number: int, server: Server, world: World) -> None:
    """Make a Folder of a fixture that of a patient who is nobody else's."""
    with database(server) as opened, opened.write() as connection:
        connection.execute(insert(patient).values(patient_id=world.patient(9)))
        key = select(patient.c.pk).where(patient.c.patient_id == world.patient(9))
        connection.execute(
            update(folder)
            .where(folder.c.entry_uuid == world.uuid(number))
            .values(patient=key.scalar_subquery())
        )


def know_patients(server: Server, *patient_ids: str) -> None:
    """Make patient ids known, as a feed would."""
    with database(server) as opened, opened.write() as connection:
        connection.execute(insert(patient), [{"patient_id": one} for one in patient_ids])


def subsume(server: Server, patient_id: str, surviving: str) -> None:
    """Note that one known patient was merged into another one, as a feed would."""
    with database(server) as opened, opened.write() as connection:
        key = select(patient.c.pk).where(patient.c.patient_id == surviving)
        connection.execute(
            update(patient)
            .where(patient.c.patient_id == patient_id)
            .values(survivor=key.scalar_subquery())
        )


def registration_order(server: Server) -> dict[str, tuple[int, int]]:
    """Return for each entryUUID the kind of the object and the number of its registration."""
    with database(server) as opened, opened.read() as connection:
        return {
            row.entry_uuid: (kind, row.pk)
            for kind, table in enumerate((submission_set, document_entry, folder, association))
            for row in connection.execute(select(table.c.entry_uuid, table.c.pk))
        }


def events(server: Server, after: int = 0) -> list[Event]:
    """Read the event rows that a server has written since a number."""
    found: list[Event] = []
    with database(server) as opened:
        registry = DocumentRegistry(database=opened)
        while more := registry.events(found[-1].number if found else after):
            found.extend(more)
    return found
