"""Moves records from the spool to the table, and gives those of documents their patients."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_OID, uuid5

from xds import logs
from xds.audit import anchor, chain
from xds.audit.record import RecordJson, read_json
from xds.audit.spool import SET_ASIDE, Spool, SpoolFile, left_behind, set_aside
from xds.audit.vocabulary import REPORT_NUMBER
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable

PatientsOf = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]
"""Takes uniqueIds of documents and returns the patients (CX) of those that are registered."""

_EVERY_SECONDS: Final = 0.5
_LEFT_BEHIND_EVERY: Final = 20
"""Rounds after which files of processes that have gone are looked for."""
_A_COMMIT: Final = 1_000
_TOLD_EVERY_SECONDS: Final = 3600.0
_OF_DOCUMENT: Final = list(REPORT_NUMBER)

_log = logs.get_logger(__name__)


def nobody(unique_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Know no patient: where the registry is elsewhere."""
    return {}


class SpoolMover:
    """Moves what one process has spooled to the table, in a thread of its own."""

    def __init__(
        self,
        database: Database,
        spool: Spool,
        folder: Path,
        whose: PatientsOf,
        then: Callable[[], None],
    ) -> None:
        """``then`` is called after each round, when what was spooled is in the table."""
        self._database = database
        self._then = then
        self._spool = spool
        self._folder = folder
        self._whose = whose
        self._noted: chain.Link | None = None
        self._without_more: int | None = None
        self._told_again = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="audit spool", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Move what is there, and stop."""
        self._end.set()
        self._thread.join()
        self._spool.close()

    def _work(self) -> None:
        rounds = 0
        while not self._end.wait(_EVERY_SECONDS):
            self._round(rounds % _LEFT_BEHIND_EVERY == 0)
            rounds += 1
        self._round(False)
        self._tell()

    def _round(self, thorough: bool) -> None:
        taken: list[SpoolFile] = []
        before = self._database.last_commit()
        try:
            taken = self._spool.taken()
            if not (taken or thorough) and before is not None and before == self._without_more:
                return  # nothing has changed since a look that found nothing
            self._without_more = None
            while taken:
                move(self._database, taken[0], self._whose)
                self._spool.moved(taken[0])
                del taken[0]
            if thorough:
                collect(self._database, self._folder, self._whose)
            self._note_end()
            self._then()
            self._without_more = before
        except (DatabaseUnavailable, OSError) as error:
            _log.error("audit records stay on the disk for now", exc_info=error)
        except Exception as error:
            _log.error("audit records were not moved", exc_info=error)
        if taken:
            self._spool.give_back(taken)

    def _note_end(self) -> None:
        """Chain what has come in commits of its own, and note where the chain ends."""
        with self._database.read() as connection:
            has_more, end = chain.has_unchained(connection), chain.head(connection)
        if has_more:
            end = chain.append(self._database, [])
        if end != self._noted:
            anchor.note(self._folder, end)
            self._noted = end
        if time.monotonic() >= self._told_again:
            self._tell()

    def _tell(self) -> None:
        """Tell the log where the chain ends, which is then known apart from the database."""
        self._told_again = time.monotonic() + _TOLD_EVERY_SECONDS
        if self._noted is not None:
            _log.info("end of the audit chain", end="{}:{}".format(*self._noted))


def collect(database: Database, folder: Path, whose: PatientsOf) -> None:
    """Move the records of processes that have gone; DatabaseUnavailable where that fails."""
    for spool_file in left_behind(folder):
        try:
            move(database, spool_file, whose)
        except BaseException:
            spool_file.close()
            raise
        spool_file.remove()


def move(database: Database, spool_file: SpoolFile, whose: PatientsOf) -> None:
    """Write a file's records into the table; those that it does not take are set aside.

    DatabaseUnavailable or OSError where that cannot be done now; it may be done again.
    """
    records = list(whole(spool_file.lines()))
    for start in range(0, len(records), _A_COMMIT):
        batch = records[start : start + _A_COMMIT]
        try:
            _insert(database, batch, whose)
        except DatabaseUnavailable:
            raise
        except Exception:
            _insert_each(database, batch, whose, spool_file.path.parent)


def _insert(database: Database, records: Sequence[RecordJson], whose: PatientsOf) -> None:
    chain.append(database, list(_with_patients(records, whose)))


def _insert_each(
    database: Database, records: Sequence[RecordJson], whose: PatientsOf, folder: Path
) -> None:
    """Insert records one by one, so that one which cannot be holds up no other."""
    for record in records:
        try:
            _insert(database, [record], whose)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            set_aside(folder, record)
            # the text of an error may quote the record
            _log.error(
                "an audit record is not taken by the database, and was set aside",
                reason=type(error).__name__,
                file=SET_ASIDE,
            )


def whole(lines: Iterable[bytes]) -> Iterator[RecordJson]:
    """Yield the records among the lines of a file that are whole."""
    for line in lines:
        with suppress(ValueError):  # what a crash has cut off
            yield read_json(line)


def _with_patients(records: Sequence[RecordJson], whose: PatientsOf) -> Iterator[RecordJson]:
    """Give the records of documents their patients: one record for each (ITI TF-2 3.43.5.1.2)."""
    wanted = {thing["id"] for record in records for thing in _documents(record)}
    # where they cannot be asked for now, the records wait: nobody would find them by their patient
    patients = whose(sorted(wanted)) if wanted else {}
    for record in records:
        yield from _by_patient(record, patients) if _documents(record) else (record,)


def _documents(record: RecordJson) -> Sequence[RecordJson]:
    if record["patient_id"] is not None:
        return ()
    return [thing for thing in record["things"] if thing["id_type"] == _OF_DOCUMENT]


def _by_patient(record: RecordJson, patients: Mapping[str, Sequence[str]]) -> Iterator[RecordJson]:
    groups: dict[str | None, list[RecordJson]] = {}
    for thing in record["things"]:
        for patient_id in patients.get(thing["id"]) or (None,):
            groups.setdefault(patient_id, []).append(thing)
    for number, (patient_id, things) in enumerate(groups.items()):
        own = str(uuid5(NAMESPACE_OID, f"{record['id']} {number}")) if number else record["id"]
        yield {**record, "id": own, "patient_id": patient_id, "things": things}
