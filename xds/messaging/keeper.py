"""What is done about messages because time goes by: patients become known, retention ends.

Every process that takes messages has a keeper. What is done is a matter of rows, each changed in a
commit that has found it as it was, so it is done once.
"""

import threading
import time
from typing import Final

from xds import logs
from xds.messaging import fragments, records
from xds.messaging.operations import MessageOperations

_LOOK_SECONDS: Final = 5.0
_TIDY_SECONDS: Final = 3_600.0
_DAY: Final = 86_400_000

_log = logs.get_logger(__name__)


class MessageKeeper:
    """Looks after messages, from :meth:`start` to :meth:`close`."""

    def __init__(self, acting: MessageOperations, kept_days: int) -> None:
        self._acting = acting
        self._kept_days = kept_days
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messages", daemon=True)
        self._tidied = 0.0
        self._held_before = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop after what is under way."""
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ends.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception as error:
                _log.error("messages could not be looked after", exc_info=error)

    def look(self) -> None:
        """File what was held for patients who are known now; remove what is kept no longer."""
        _, self._held_before = self._acting.release(self._held_before)
        if time.monotonic() > self._tidied + _TIDY_SECONDS:
            self._tidied = time.monotonic()
            database = self._acting.filer.domain.database
            before = int(time.time() * 1000) - self._kept_days * _DAY
            while records.purge(database, before) and not self._ends.is_set():
                pass
            fragments.remove_old(database)
