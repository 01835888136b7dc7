"""One registry and two repositories, each a server of its own, through the wire."""

import http.client
import json
import re
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest
from click.testing import CliRunner, Result

from tests import databases
from tests.documents import kept as kept_by
from tests.line import Line, served
from tests.odd_server import (
    envelope,
    odd_server,
    query_response,
)
from tests.odd_server import http as answer
from tests.ports import free_port
from tests.registry.test_rules import VIOLATIONS
from tests.registry.violations import message
from tests.registry.wire import World
from tests.serving import Server, serving
from xds import schema_validation
from xds.__main__ import main
from xds.client import (
    Content,
    DocumentAdministrator,
    DocumentConsumer,
    DocumentSource,
    Settings,
    TransactionRefused,
    entry_of,
    new_oid,
    submission_of,
)
from xds.client.administrator import removal_of
from xds.client.registry_client import RegistryClient
from xds.config import ConfigError, load
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import UnusedObject
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.submission import Submission
from xds.parsing import parse

shows = pytest.mark.shows

FIRST, SECOND = "2.999.1.41", "2.999.1.42"
DOCUMENT = b"Nothing to report.\n"
NOT_AVAILABLE = "XDSRegistryNotAvailable"
REGISTRY = {"workers": "1", "serve_repository": "no", "remove_metadata": "yes"}
ON_HOLD = Code("litigation", "2.999.5.30", "Litigation")


@dataclass(slots=True)
class Apart:
    """A registry, a repository that reaches it directly, and one that does so by a line."""

    registry: Server
    repositories: dict[str, Server]
    line: Line
    stack: ExitStack

    def start_registry_again(self) -> None:
        """Serve the same registry at the same place, once it was stopped."""
        options = {**REGISTRY, "port": str(self.registry.port)}
        self.registry = self.stack.enter_context(serving(self.registry.data, options, processes=1))

    def provide(self, repository: str, entry: DocumentEntry, submission: Submission) -> list[str]:
        """Provide a document, and return the codes where it is refused."""
        content = Content(lambda: (DOCUMENT,), len(DOCUMENT))
        with DocumentSource(self.repositories[repository].repository_url) as source:
            try:
                source.provide_and_register(submission, {entry.id: content})
            except TransactionRefused as refusal:
                return [one.code for one in refusal.response.errors]
        return []

    def consumer(self) -> DocumentConsumer:
        """Ask the registry, and whichever repository has a document."""
        urls = {one: server.repository_url for one, server in self.repositories.items()}
        return DocumentConsumer(self.registry.registry_url, urls)

    def registered(self, entry: DocumentEntry) -> Sequence[DocumentEntry]:
        """Find what is registered under the uniqueId of an entry."""
        with self.consumer() as consumer:
            return consumer.get_documents(unique_ids=[entry.unique_id or ""]).document_entries

    def retrieved(self, repository: str, entry: DocumentEntry) -> bytes | None:
        """Retrieve a document from a repository, whether it is registered or not."""
        wanted = entry.updated(repository_unique_id=repository)
        with self.consumer() as consumer:
            try:
                return b"".join(b"".join(one.chunks()) for one in consumer.retrieve([wanted]))
            except TransactionRefused:
                return None

    def run(self, repository: str, command: str, *arguments: str, registry: str = "") -> Result:
        """Run a command on the state of a repository."""
        server = self.repositories[repository]
        options = {
            "data": str(server.data),
            "database": server.database,
            "documents": server.config.documents_url,
            "documents-options": server.config.documents_options or "",
            "repository-unique-id": repository,
            "registry-url": registry or self.registry.registry_url,
        }
        flags = [part for name, value in options.items() if value for part in (f"--{name}", value)]
        return CliRunner().invoke(main, [command, *flags, *arguments])


def new_document() -> tuple[DocumentEntry, Submission]:
    entry = entry_of(f"A{new_oid()[5:20]}^^^&2.999.1.1&ISO", "text/plain")
    return entry, submission_of([entry])


def stored(server: Server) -> set[str]:
    """Return everything that the document store holds."""
    return kept_by(server.store())


def get(server: Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{server.url}{path}") as found:
            return found.status, found.read().decode()
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    port = free_port()
    one = {"workers": "1"}
    with ExitStack() as stack:
        line = stack.enter_context(served(Line(port)))
        to_registry = f"http://127.0.0.1:{port}/registry"
        by_line = f"http://127.0.0.1:{line.own_port}/registry"
        options = {
            "registry": {**REGISTRY, "port": str(port)},
            FIRST: {
                **one,
                "repository_unique_id": FIRST,
                "registry_url": to_registry,
                "remove_documents": "unreferenced",
            },
            SECOND: {
                **one,
                "repository_unique_id": SECOND,
                "registry_url": by_line,
                "registry_seconds": "3",
                "remove_documents": "any",
                "legal_hold_codes": str(ON_HOLD),
            },
        }
        for name, given in options.items():  # one after the other: they are made from one template
            given |= databases.options(folder / name)
        # before one that is stopped there must be nothing that takes connections
        several = {"registry": 1}
        running = {
            name: serving(folder / name, given, processes=several.get(name))
            for name, given in options.items()
        }
        with ThreadPoolExecutor() as threads:  # a repository starts without its registry
            servers = list(threads.map(stack.enter_context, running.values()))
        started = dict(zip(running, servers, strict=True))
        yield Apart(started.pop("registry"), started, line, stack)


# --- what is served ------------------------------------------------------------------------------


def test_each_process_serves_its_actor_and_no_other(apart: Apart) -> None:
    repository = apart.repositories[FIRST]
    for server, here, elsewhere in (
        (apart.registry, "registry", "repository"),
        (repository, "repository", "registry"),
    ):
        status, home = get(server, "/")
        assert status == 200
        assert f"/{here} " in home
        assert f"/{elsewhere} " not in home
        assert "/fhir" not in home
        assert get(server, f"/{here}?wsdl")[0] == 200
        assert get(server, f"/{elsewhere}?wsdl")[0] == 404
        assert get(server, "/fhir/metadata")[0] == 404
        assert get(server, "/health/ready")[0] == 200
        connection = http.client.HTTPConnection(server.host, server.port)
        connection.request("POST", f"/{elsewhere}", b"<x/>", {"Content-Type": "text/xml"})
        assert connection.getresponse().status == 404
        connection.close()
    assert not (apart.registry.data / "documents").exists()


def test_the_log_says_what_is_not_served(apart: Apart) -> None:
    def events(server: Server) -> set[str]:
        return {json.loads(line)["event"] for line in server.log.read_text().splitlines()}

    no_fhir = "serves no FHIR, which takes registry and repository in one process"
    elsewhere = "serves no registry, but registers elsewhere"
    assert {no_fhir, elsewhere} <= events(apart.repositories[FIRST])
    assert no_fhir in events(apart.registry)
    assert elsewhere not in events(apart.registry)


@shows("ITI-41", "ITI-43")
def test_repositories_share_a_registry(apart: Apart) -> None:
    entry, submission = new_document()
    assert apart.provide(FIRST, entry, submission) == []
    other = entry_of(entry.patient_id or "", "text/plain")
    assert apart.provide(SECOND, other, submission_of([other])) == []
    with apart.consumer() as consumer:
        found = consumer.find_documents(entry.patient_id or "").document_entries
        assert {one.repository_unique_id: one.unique_id for one in found} == {
            FIRST: entry.unique_id,
            SECOND: other.unique_id,
        }
        assert [b"".join(one.chunks()) for one in consumer.retrieve(found)] == [DOCUMENT] * 2
    for repository in (FIRST, SECOND):
        assert apart.run(repository, "verify").exit_code == 0


def test_one_document_may_lie_in_both_and_is_of_one_patient(apart: Apart) -> None:
    entry, submission = new_document()
    assert apart.provide(FIRST, entry, submission) == []
    for patient_id, codes in (
        (entry.patient_id or "", []),
        ("A3^^^&2.999.1.1&ISO", ["XDSPatientIdDoesNotMatch"]),
    ):
        again = entry_of(patient_id, "text/plain", unique_id=entry.unique_id)
        assert apart.provide(SECOND, again, submission_of([again])) == codes
    with closing(RegistryClient(apart.registry.registry_url, Settings())) as client:
        found = client.document_entries([entry.unique_id or "", "1.2.3"])
    assert sorted(one.repository_unique_id or "" for one in found) == [FIRST, SECOND]
    assert apart.run(SECOND, "verify").exit_code == 0


# --- what is refused -----------------------------------------------------------------------------


@shows("ITI-41")
def test_what_the_registry_refuses_is_passed_on_and_leaves_nothing(apart: Apart) -> None:
    server = apart.repositories[FIRST]
    entry = entry_of("A1^^^&2.999.1.1&ISO", "text/plain", language_code="q_q")
    submission = submission_of([entry], patient_id="A2^^^&2.999.1.1&ISO")
    before = stored(server)
    content = Content(lambda: (DOCUMENT,), len(DOCUMENT))
    with (
        DocumentSource(server.repository_url) as source,
        pytest.raises(TransactionRefused) as caught,
    ):
        source.provide_and_register(submission, {entry.id: content})
    told = {(one.code, one.location) for one in caught.value.response.errors}
    assert ("XDSRegistryMetadataError", entry.id) in told
    assert "XDSPatientIdDoesNotMatch" in {code for code, _ in told}
    assert (stored(server), apart.retrieved(FIRST, entry)) == (before, None)


def test_a_submission_breaks_the_same_rules_when_it_is_passed_on() -> None:
    passed_on = 0
    for violation in VIOLATIONS:
        root = message(World.new(), violation.fixture, violation.edit)
        body = next(root.iter(f"{{{v.NS_LCM}}}SubmitObjectsRequest"))
        submission = Submission.read(body)
        if schema_validation.problems(body) or any(
            isinstance(o, UnusedObject) for o in submission.others
        ):
            continue
        rendered = parse(submission.render().encode())
        assert schema_validation.problems(rendered) == [], violation.name
        assert Submission.read(rendered) == submission, violation.name
        passed_on += 1
    assert passed_on > 150


# --- a registry that is away ---------------------------------------------------------------------


@shows("ITI-41", f"error {NOT_AVAILABLE}")
def test_without_its_registry_a_repository_stores_nothing_but_gives_out(apart: Apart) -> None:
    server = apart.repositories[FIRST]
    entry, submission = new_document()
    kept, kept_submission = new_document()
    assert apart.provide(FIRST, kept, kept_submission) == []
    before = stored(server)
    assert apart.registry.stop() == 0

    assert apart.provide(FIRST, entry, submission) == [NOT_AVAILABLE]
    assert (stored(server), apart.retrieved(FIRST, entry)) == (before, None)
    assert apart.retrieved(FIRST, kept) == DOCUMENT
    assert get(server, "/health/ready")[0] == 200
    for command in ("verify", "sweep"):
        result = apart.run(FIRST, command)
        assert result.exit_code == 1
        assert "Error: The registry cannot be asked. 127.0.0.1" in result.stderr

    apart.start_registry_again()
    assert apart.provide(FIRST, entry, submission) == []
    assert apart.retrieved(FIRST, entry) == DOCUMENT
    assert len(apart.registered(entry)) == 1


@shows("ITI-41", f"error {NOT_AVAILABLE}", "error XDSDuplicateUniqueIdInRegistry")
def test_a_registration_whose_answer_is_lost_is_kept(apart: Apart) -> None:
    entry, submission = new_document()
    apart.line.cut_answers_at, apart.line.cuts = 0, 1
    assert apart.provide(SECOND, entry, submission) == [NOT_AVAILABLE]
    assert apart.line.cuts == 0
    apart.line.cut_answers_at = None
    (registered,) = apart.registered(entry)
    assert registered.repository_unique_id == SECOND
    assert "XDSDuplicateUniqueIdInRegistry" in apart.provide(SECOND, entry, submission)
    assert apart.retrieved(SECOND, entry) == DOCUMENT

    assert apart.run(SECOND, "verify").exit_code == 0
    result = apart.run(SECOND, "sweep", "--older-than", "0s", "--force")
    assert (result.exit_code, result.stdout) == (0, "")
    assert apart.retrieved(SECOND, entry) == DOCUMENT


@pytest.mark.slow
@shows("ITI-41", f"error {NOT_AVAILABLE}")
def test_a_registration_that_never_arrived_is_made_again_or_swept(apart: Apart) -> None:
    entry, submission = new_document()
    lost, lost_submission = new_document()
    apart.line.silent = True
    apart.line.drop()
    try:
        assert apart.provide(SECOND, entry, submission) == [NOT_AVAILABLE]
        assert apart.provide(SECOND, lost, lost_submission) == [NOT_AVAILABLE]
    finally:
        apart.line.silent = False
    assert apart.retrieved(SECOND, entry) == DOCUMENT
    assert apart.provide(SECOND, entry, submission) == []
    verified = apart.run(SECOND, "verify")
    assert verified.exit_code == 0, verified.output
    assert "perhaps to be registered yet\t1\n" in verified.stdout

    kept = apart.run(SECOND, "sweep")
    assert (kept.exit_code, kept.stdout) == (0, "")
    (line,) = apart.run(SECOND, "sweep", "--older-than", "0s", "--dry-run").stdout.splitlines()
    assert apart.retrieved(SECOND, lost) == DOCUMENT
    swept = apart.run(SECOND, "sweep", "--older-than", "0s", "--force")
    assert swept.stdout.splitlines() == [line]
    assert swept.stderr.endswith("1 unregistered document removed, 19 bytes.\n")
    assert apart.retrieved(SECOND, lost) is None
    assert apart.retrieved(SECOND, entry) == DOCUMENT


# --- a registry that is not the right one --------------------------------------------------------


def test_a_registry_that_does_not_know_what_is_held_is_told(apart: Apart) -> None:
    entry, submission = new_document()
    assert apart.provide(FIRST, entry, submission) == []
    nothing = answer(envelope(query_response()))
    with odd_server(*[nothing] * 100, closing=True) as odd:
        verified = apart.run(FIRST, "verify", registry=odd.url)
        assert verified.exit_code == 1
        assert f"{entry.unique_id}\theld, but not registered\n" in verified.stdout
        swept = apart.run(FIRST, "sweep", registry=odd.url)
        assert swept.exit_code == 1
        assert "The registry knows none of the documents" in swept.stderr
        assert apart.run(FIRST, "sweep", "--force", registry=odd.url).exit_code == 0
    assert apart.retrieved(FIRST, entry) == DOCUMENT


def test_a_registry_that_knows_another_document_is_told(apart: Apart) -> None:
    entry, submission = new_document()
    assert apart.provide(FIRST, entry, submission) == []
    (known,) = apart.registered(entry)
    other = known.updated(size="7")
    answers = [answer(envelope(query_response(ebrim.render(other))))] * 100
    with odd_server(*answers, closing=True) as odd:
        verified = apart.run(FIRST, "verify", registry=odd.url)
    assert f"{entry.unique_id}\tregistered with size 7, held with 19\n" in verified.stdout


# --- removal -------------------------------------------------------------------------------------


def removal_refused(apart: Apart, repository: str, entry: DocumentEntry) -> list[str]:
    """Ask for the removal of a document (ITI-86); return what is told where it is refused."""
    url = apart.repositories[repository].repository_url
    with DocumentAdministrator(repository_url=url) as administrator:
        try:
            administrator.remove_documents([entry.updated(repository_unique_id=repository)])
        except TransactionRefused as refusal:
            return [f"{one.code}: {one.code_context}" for one in refusal.response.errors]
    return []


@shows("ITI-86", "behaviour removal of documents")
def test_metadata_are_removed_at_the_registry_and_then_the_document(apart: Apart) -> None:
    entry, submission = new_document()
    assert apart.provide(FIRST, entry, submission) == []
    (told,) = removal_refused(apart, FIRST, entry)
    assert told.startswith("XDSRemoveDocumentsError: ")
    (registered,) = apart.registered(entry)
    assert told.endswith(f"DocumentEntry {registered.id} names it: remove that first")
    assert apart.retrieved(FIRST, entry) == DOCUMENT
    with (
        apart.consumer() as consumer,
        DocumentAdministrator(apart.registry.registry_url) as administrator,
    ):
        administrator.remove_metadata(removal_of(consumer, [entry.unique_id or ""]).entry_uuids)
    assert not apart.registered(entry)
    assert removal_refused(apart, FIRST, entry) == []
    assert apart.retrieved(FIRST, entry) is None
    (told,) = removal_refused(apart, FIRST, entry)
    assert told.startswith("XDSDocumentUniqueIdError: ")


@shows("behaviour legal hold")
def test_a_code_at_the_registry_holds_the_document_at_the_repository(apart: Apart) -> None:
    entry, _ = new_document()
    held = entry.updated(confidentiality_code=[*entry.confidentiality_code, ON_HOLD])
    assert apart.provide(SECOND, held, submission_of([held])) == []
    (told,) = removal_refused(apart, SECOND, held)
    assert told.startswith("XDSRemoveDocumentsError: ")
    assert told.endswith("it is on legal hold")
    assert apart.retrieved(SECOND, held) == DOCUMENT
    free, submission = new_document()
    assert apart.provide(SECOND, free, submission) == []
    assert removal_refused(apart, SECOND, free) == []
    assert apart.retrieved(SECOND, free) is None


def test_commands_for_documents_need_a_repository(apart: Apart, tmp_path: Path) -> None:
    for command in ("verify", "sweep"):
        result = CliRunner().invoke(
            main, [command, "--data", str(apart.registry.data)], env={"XDS_SERVE_REPOSITORY": "no"}
        )
        assert result.stderr == "Error: There is no repository here, and so are no documents.\n"
    result = CliRunner().invoke(
        main, ["serve", "--serve-repository", "no", "--round-trip", __file__]
    )
    assert "a registry alone makes no --round-trip" in result.stderr


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"registry_url": "registry.example"}, "not a URL of the form http://host"),
        ({"registry_url": "http://u:p@r.example/"}, "not a URL of the form http://host"),
        (
            {"registry_url": "http://r.example/", "serve_repository": "no"},
            "there is nothing to serve",
        ),
        ({"registry_url": "http://r.example/", "mllp_port": "2575"}, "mllp_port: the patient feed"),
        ({"serve_repository": "maybe"}, "Input should be 'yes' or 'no'"),
    ],
)
def test_options_that_do_not_fit_are_told(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load(options)
