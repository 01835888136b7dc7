"""Documents that are described anew by whom they are withheld from: a way past a policy.

A uniqueId names a document. Who may register metadata could describe one that is withheld as one
that everybody may read; and could learn from a refusal whether its bytes are those that are
guessed.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests import vouching
from tests.databases import Databases
from tests.fhir.asked import Reply, ask
from tests.fhir.published import message
from tests.serving import Server, serving
from tests.vouching import Asserted, attribute, coded
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentSource,
    Settings,
    TransactionRefused,
    entry_of,
    new_oid,
    submission_of,
)
from xds.metadata.objects import Code, DocumentEntry
from xds.security.policy import READS, SUBMISSIONS

PATIENT, OTHER = "TW1^^^&2.999.1.1&ISO", "TW2^^^&2.999.1.1&ISO"
HERE, ELSEWHERE = "2.999.1.3", "2.999.1.99"
SECRET, GUESS = b"the result is positive", b"the result is negative"
CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
POLICY: Final = f"""
[[rule]]
name = "the laboratory does everything"
decision = "permit"
transactions = {[*READS, *SUBMISSIONS]}
roles = ["laboratory^^2.999.10"]

[[rule]]
name = "doctors read and submit what is normal"
decision = "permit"
transactions = {[*READS, *SUBMISSIONS]}
roles = ["doctor^^2.999.10"]
confidentialityCode = ["N^^{CONFIDENTIALITY}"]
"""


@dataclass(frozen=True, slots=True)
class Shared:
    """A server with that policy, as users of a role come to it."""

    server: Server

    def settings(self, role: str) -> Settings:
        told = coded("Role", role, "2.999.10", role)
        stated = attribute("urn:oasis:names:tc:xacml:2.0:subject:role", told)
        statement = f"<saml2:AttributeStatement>{stated}</saml2:AttributeStatement>"
        signed = vouching.signed(Asserted(name_id=role, attributes=statement))
        return Settings(assertion=vouching.as_text(signed).encode())

    def source(self, role: str) -> DocumentSource:
        urls = self.server.repository_url, self.server.registry_url
        return DocumentSource(*urls, settings=self.settings(role))

    def provide(self, role: str, entry: DocumentEntry, data: bytes) -> list[tuple[str, str]]:
        """Send ITI-41; return code and text of each error."""
        content = {entry.id: Content((data,), len(data))}
        with self.source(role) as source:
            return refusal(lambda: source.provide_and_register(submission_of([entry]), content))

    def register(self, role: str, entry: DocumentEntry) -> list[tuple[str, str]]:
        """Send ITI-42; return code and text of each error."""
        with self.source(role) as source:
            return refusal(lambda: source.register(submission_of([entry])))

    def retrieve(self, role: str, entry: DocumentEntry) -> list[bytes]:
        """Send ITI-43; return the documents, none where it is as unknown."""
        urls = self.server.registry_url, self.server.repository_url
        with (
            DocumentConsumer(*urls, settings=self.settings(role)) as consumer,
            suppress(TransactionRefused),
            consumer.retrieve([entry]) as retrieval,
        ):
            return [b"".join(one.chunks()) for one in retrieval]
        return []

    def ask(self, role: str, method: str, path: str, body: Any = None) -> Reply:
        """Send a FHIR request."""
        roles = [{"system": "urn:oid:2.999.10", "code": role}]
        claims = vouching.claims(extensions={"ihe_iua": {"subject_role": roles}})
        headers = {
            "Authorization": f"Bearer {vouching.token(claims)}",
            "Content-Type": "application/fhir+json",
        }
        data = None if body is None else json.dumps(body).encode()
        return ask(self.server, method, path, headers, data)


def refusal(act: Any) -> list[tuple[str, str]]:
    try:
        act()
    except TransactionRefused as refused:
        return [(one.code, one.code_context) for one in refused.response.errors]
    return []


def described(label: str, data: bytes = SECRET, **more: Any) -> DocumentEntry:
    """Return an entry of a document: here, of PATIENT, unless more is said."""
    facts: Mapping[str, Any] = {
        "repository_unique_id": HERE,
        "hash": hashlib.sha1(data).hexdigest(),
        "size": str(len(data)),
        "confidentiality_code": (Code(label, CONFIDENTIALITY, label),),
        **more,
    }
    return entry_of(facts.get("patient_id", PATIENT), "text/plain").updated(**facts)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Shared]:
    data = tmp_path_factory.mktemp("twins")
    (data / "policy.toml").write_text(POLICY)
    options = vouching.vouching().options(data / "issuers")
    options |= {"database": databases.url(data), "policy": str(data / "policy.toml")}
    with serving(data, options) as server:
        yield Shared(server)


@pytest.fixture(scope="module")
def withheld(shared: Shared) -> DocumentEntry:
    """A restricted document, and its other patient known."""
    entry = described("R")
    assert shared.provide("laboratory", entry, SECRET) == []
    assert shared.provide("laboratory", described("N", patient_id=OTHER), SECRET) == []
    assert shared.retrieve("laboratory", entry) == [SECRET]
    return entry


@pytest.mark.parametrize("patient_id", [PATIENT, OTHER])
@pytest.mark.parametrize("repository", [HERE, ELSEWHERE])
def test_a_twin_is_refused_whether_its_hash_is_guessed_or_not(
    shared: Shared, withheld: DocumentEntry, repository: str, patient_id: str
) -> None:
    more = {
        "unique_id": withheld.unique_id,
        "repository_unique_id": repository,
        "patient_id": patient_id,
    }
    answers = []
    for data in (SECRET, GUESS, GUESS + b"!"):
        twin = described("N", data, **more)
        answers.append((twin.id, shared.register("doctor", twin)))
        if repository == HERE:
            answers.append((twin.id, shared.provide("doctor", twin, data)))
    said = {
        (code, text.replace(identifier, "-")) for identifier, told in answers for code, text in told
    }
    assert all(len(told) == 1 for _, told in answers), answers
    assert said == {
        (
            "XDSDuplicateUniqueIdInRegistry",
            f"DocumentEntry -: uniqueId {withheld.unique_id} is already in use",
        )
    }
    assert shared.retrieve("doctor", withheld) == []


@pytest.mark.parametrize("data", [SECRET, GUESS])
def test_a_twin_is_refused_by_fhir_in_the_same_way(
    shared: Shared, withheld: DocumentEntry, data: bytes
) -> None:
    bundle = message("one_document")
    text = json.dumps(bundle)
    (reference,) = [
        one["resource"]
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "DocumentReference"
    ]
    reference["masterIdentifier"] = {
        "system": "urn:ietf:rfc:3986",
        "value": f"urn:oid:{withheld.unique_id}",
    }
    reference["securityLabel"] = [
        {"coding": [{"system": f"urn:oid:{CONFIDENTIALITY}", "code": "N", "display": "normal"}]}
    ]
    attached = reference["content"][0]["attachment"]
    attached |= {
        "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(),
        "size": len(data),
        "contentType": "text/plain",
    }
    for one in bundle["entry"]:
        if one["resource"]["resourceType"] == "Binary":
            one["resource"] |= {
                "data": base64.b64encode(data).decode(),
                "contentType": "text/plain",
            }
    assert text != json.dumps(bundle)
    answer = shared.ask("doctor", "POST", "", bundle)
    assert answer.status == 409, answer.body
    (issue,) = [one for one in answer.json()["issue"] if one["severity"] == "error"]
    assert "is already in use" in issue["diagnostics"]
    assert shared.retrieve("doctor", withheld) == []


def test_the_uniqueid_of_a_withheld_set_tells_no_more(shared: Shared) -> None:
    entry = described("R", unique_id=new_oid())
    submission = submission_of([entry])
    content = {entry.id: Content((SECRET,), len(SECRET))}
    with shared.source("laboratory") as source:
        source.provide_and_register(submission, content)
    mine = described("N", GUESS, unique_id=submission.submission_set.unique_id)
    ((code, text),) = shared.register("doctor", mine)
    assert code == "XDSDuplicateUniqueIdInRegistry"
    assert "SubmissionSet" not in text


@pytest.mark.parametrize("repository", [HERE, ELSEWHERE])
def test_a_document_is_given_out_where_all_its_entries_may_be_seen(
    shared: Shared, repository: str
) -> None:
    """Who sees both may describe a document as normal and as restricted: it stays withheld."""
    first = described("R")
    assert shared.provide("laboratory", first, SECRET) == []
    second = described("N", unique_id=first.unique_id, repository_unique_id=repository)
    assert shared.register("laboratory", second) == []
    assert shared.retrieve("doctor", second.updated(repository_unique_id=HERE)) == []
    for entry in (first, second):
        identifier = entry.id.removeprefix("urn:uuid:")
        for path in (f"/document/{identifier}", f"/Binary/{identifier}"):
            assert shared.ask("doctor", "GET", path).status == 404
            expected = 200 if entry.repository_unique_id == HERE else 404
            assert shared.ask("laboratory", "GET", path).status == expected
    assert shared.retrieve("laboratory", first) == [SECRET]


def test_a_document_of_entries_that_all_may_be_seen_is_given_out(shared: Shared) -> None:
    first = described("N")
    assert shared.provide("doctor", first, SECRET) == []
    second = described("N", unique_id=first.unique_id)
    assert shared.register("doctor", second) == []
    assert shared.retrieve("doctor", first) == [SECRET]
    identifier = second.id.removeprefix("urn:uuid:")
    assert shared.ask("doctor", "GET", f"/document/{identifier}").status == 200
    other = described("N", GUESS, unique_id=first.unique_id)
    codes = {code for code, _ in shared.register("doctor", other)}
    assert codes == {"XDSNonIdenticalHash"}, "of what one may see, one is told all"


def test_a_patient_is_not_found_of_whom_everything_is_withheld(shared: Shared) -> None:
    def found(role: str, patient_id: str) -> list[str]:
        number = patient_id.partition("^")[0]
        path = f"/Patient?identifier=urn:oid:2.999.1.1%7C{number}"
        bundle = shared.ask(role, "GET", path).json()
        assert bundle["total"] == len(bundle.get("entry", []))
        return [one["resource"]["id"] for one in bundle.get("entry", [])]

    patient_id = f"{new_oid()[-9:]}^^^&2.999.1.1&ISO"
    assert shared.provide("laboratory", described("R", patient_id=patient_id), SECRET) == []
    (number,) = found("laboratory", patient_id)
    assert found("doctor", patient_id) == []
    assert shared.ask("doctor", "GET", f"/Patient/{number}").status == 404
    assert shared.ask("laboratory", "GET", f"/Patient/{number}").status == 200
    assert shared.provide("doctor", described("N", patient_id=patient_id), SECRET) == []
    assert found("doctor", patient_id) == [number]
    assert shared.ask("doctor", "GET", f"/Patient/{number}").status == 200
