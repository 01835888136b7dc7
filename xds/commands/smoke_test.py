"""A smoke test over HTTP, shown on the terminal: one round trip, with which `make run` begins."""

import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console

from xds.client import (
    LOCAL_URL,
    ClientError,
    DocumentConsumer,
    DocumentSource,
    Fingerprint,
    Settings,
    submission_of,
)
from xds.client.submitting import entry_of_file
from xds.config import Config
from xds.metadata.catalogue import ITI_18, ITI_41, ITI_43, TransactionRow
from xds.metadata.datatypes import CX
from xds.metadata.objects import DocumentEntry
from xds.tls import contexts

T = TypeVar("T")

EXAMPLE_AUTHORITY: Final = "2.999.1.1"
EXAMPLE_PATIENT: Final = "EXAMPLE-1"
"""Both are of the arc for examples, and the patient is that of fixtures/documents."""


class SmokeTestFailed(Exception):
    """The server did not do what it is there for; the text says which step failed, and why."""


def show(config: Config, paths: Sequence[Path]) -> None:
    """Provide and register files, find them, retrieve them, and print each step.

    The server is to run at ``config.url``. Raises SmokeTestFailed.
    """
    trip = _SmokeTest(config, paths)
    _tell_next(trip, trip.run())


@dataclass(slots=True)
class _SmokeTest:
    config: Config
    paths: Sequence[Path]
    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))

    @property
    def patient_id(self) -> str:
        return str(CX(EXAMPLE_PATIENT, self.config.assigning_authority or EXAMPLE_AUTHORITY))

    @property
    def registry_url(self) -> str:
        return self.config.registry_url or f"{self.config.url}/registry"

    def run(self) -> list[DocumentEntry]:
        """Take the three steps, and return what was provided."""
        url = self.config.url
        settings = Settings(tls=contexts.outgoing(self.config))
        self.say(f"One round trip at {url}, for the invented patient {self.patient_id}")
        with (
            DocumentSource(f"{url}/repository", settings=settings) as source,
            DocumentConsumer(self.registry_url, f"{url}/repository", settings=settings) as consumer,
        ):
            provided = self._provide(source)
            self._retrieve(consumer, self._find(consumer, provided))
        return provided

    def _provide(self, source: DocumentSource) -> list[DocumentEntry]:
        entries = [
            entry_of_file(path, self.patient_id, with_hash=True, title=path.name)
            for path in self.paths
        ]
        documents = dict(zip((entry.entry_uuid for entry in entries), self.paths, strict=True))
        self._step(
            _named(ITI_41),
            lambda: source.provide_and_register(submission_of(entries), documents),
            lambda _: f"{_counted(entries)} accepted",
        )
        for entry in entries:
            self.say(f"            {entry.title}  {entry.mime_type}  {entry.size} bytes")
        return entries

    def _find(
        self, consumer: DocumentConsumer, provided: Sequence[DocumentEntry]
    ) -> list[DocumentEntry]:
        unique_ids = {entry.unique_id for entry in provided}

        def find() -> list[DocumentEntry]:
            every = consumer.find_documents(self.patient_id).document_entries
            found = [entry for entry in every if entry.unique_id in unique_ids]
            if len(found) != len(provided):
                raise SmokeTestFailed(f"FindDocuments found {len(found)} of {_counted(provided)}.")
            return found

        return self._step(
            f"{_named(ITI_18)}, FindDocuments", find, lambda e: f"{_counted(e)} found"
        )

    def _retrieve(self, consumer: DocumentConsumer, entries: Sequence[DocumentEntry]) -> None:
        by_unique_id = {entry.unique_id: entry for entry in entries}

        def retrieve() -> list[Fingerprint]:
            received = []
            for document in consumer.retrieve(entries):
                fingerprint = document.fingerprint()
                entry = by_unique_id.get(document.document_unique_id)
                if entry is None or (fingerprint.size, fingerprint.hash) != _registered(entry):
                    raise SmokeTestFailed("A document that came back is not one that was provided.")
                received.append(fingerprint)
            return received

        received = self._step(
            _named(ITI_43),
            retrieve,
            lambda e: f"{_counted(e)} received, hashes and sizes equal",
        )
        for fingerprint in received:
            self.say(f"            {fingerprint.size} bytes  SHA-1 {fingerprint.hash}")

    def _step(self, name: str, work: Callable[[], T], outcome: Callable[[T], str]) -> T:
        begin = time.perf_counter()
        try:
            result = work()
        except ClientError as error:
            raise SmokeTestFailed(f"The round trip failed. {error.explain()}") from error
        milliseconds = (time.perf_counter() - begin) * 1_000
        self.say(f"  {name:<46}{milliseconds:>5.0f} ms  {outcome(result)}")
        return result

    def say(self, line: str = "") -> None:
        """Print a line as it stands, however long: it may be copied."""
        self.console.print(line, markup=False)


def _counted(things: Sequence[object]) -> str:
    return "1 document" if len(things) == 1 else f"{len(things)} documents"


def _named(row: TransactionRow) -> str:
    return f"{row.name}  {row.title}"


def _registered(entry: DocumentEntry) -> tuple[int, str]:
    return int(entry.size or 0), (entry.hash or "").lower()


def _tell_next(trip: _SmokeTest, provided: Sequence[DocumentEntry]) -> None:
    url = trip.config.url
    program = _program()
    at = "" if url == LOCAL_URL else f" --url {url}"
    if trip.config.registry_url is not None:
        at += f" --registry {shlex.quote(trip.registry_url)}"
    patient = shlex.quote(trip.patient_id)
    for line in (
        "",
        "It serves until Ctrl-C:",
        *_places(trip),
        "",
        "To be tried next, in another terminal:",
        f"  {program} find --patient {patient}{at}",
        f"  {program} get {provided[0].unique_id}{at}",
        f"  {program} submit {shlex.quote(str(trip.paths[0]))} --patient {patient}{at}",
        "",
    ):
        trip.say(line)


_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "registry": ("Document Registry", "described at {}?wsdl"),
    "repository": ("Document Repository", "described at {}?wsdl"),
    "notification": ("notification broker", "described at {}?wsdl"),
    "fhir": ("FHIR (MHD)", "described at {}/metadata"),
    "feed": ("patient feed", "HL7 v2 by MLLP"),
    "console": ("console", "pages for people"),
    "metrics": ("metrics", "for Prometheus"),
}


def _places(trip: _SmokeTest) -> Iterator[str]:
    places = {"registry": trip.registry_url, **trip.config.places}
    for what, (name, said) in _NAMES.items():
        if found := places.get(what):
            yield f"  {name:<19}  {found:<38}  {said.format(found)}"
    url = trip.config.url
    yield f"  {'health':<19}  {url}/health/live and {url}/health/ready"


def _program() -> str:
    """Name this program so that it can be typed: by its path where the shell does not find it."""
    path = Path(sys.argv[0])
    if path.name != "xds":
        return f"{shlex.quote(sys.executable)} -m xds"
    found = shutil.which("xds")
    if found is not None and Path(found).resolve() == path.resolve():
        return "xds"
    return shlex.quote(str(path))
