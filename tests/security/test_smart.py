"""SMART: where tokens are had, which scopes grant which interaction, and for which patient."""

import json
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.published import message
from tests.serving import Server
from tests.vouching import TOKEN_ISSUER, claims, token
from xds.app import INTERACTIONS
from xds.security import scopes

AUTHORITY: Final = "2.999.1.1"
OURS: Final = "M4001"
OF_PATIENT: Final = f"patient.identifier=urn:oid:{AUTHORITY}|{OURS}"


def get(server: Server, path: str, **stated: Any) -> Reply:
    return ask(server, "GET", path, {"Authorization": f"Bearer {token(claims(**stated))}"})


def publish(server: Server, **stated: Any) -> Reply:
    headers = {
        "Authorization": f"Bearer {token(claims(**stated))}",
        "Content-Type": FHIR_JSON,
    }
    return ask(server, "POST", "", headers, json.dumps(message("one_document")).encode())


@pytest.fixture(scope="module")
def published(guarded: Server) -> str:
    """The location of a DocumentReference of OURS."""
    reply = publish(guarded, scope="system/DocumentReference.cu system/List.cu system/Binary.c")
    assert reply.status == 200, reply.body
    location: str = reply.json()["entry"][1]["response"]["location"]
    return location


# --- the configuration ---------------------------------------------------------------------------


def test_the_configuration(guarded: Server) -> None:
    reply = ask(guarded, "GET", "/.well-known/smart-configuration", {"Accept": "text/html"})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    stated = json.loads(reply.body)
    assert stated["issuer"] == TOKEN_ISSUER
    assert stated["token_endpoint"] == f"{TOKEN_ISSUER}/token"
    assert stated["grant_types_supported"] == ["client_credentials"]
    assert stated["code_challenge_methods_supported"] == ["S256"]
    assert {"permission-v1", "permission-v2", "permission-patient"} <= set(stated["capabilities"])
    assert {"ITI-67", "system/DocumentReference.crus"} <= set(stated["scopes_supported"])
    assert not {"authorization_endpoint", "response_types_supported", "jwks_uri"} & stated.keys()


def test_the_capability_statement_names_the_endpoint(guarded: Server) -> None:
    for form in ("json", "xml"):
        assert (
            f"{TOKEN_ISSUER}/token"
            in ask(guarded, "GET", f"/metadata?_format={form}").body.decode()
        )


def test_without_tokens_there_is_no_configuration(server: Server) -> None:
    reply = ask(server, "GET", "/.well-known/smart-configuration")
    assert (reply.status, reply.codes()) == (404, ["not-found"])
    assert "token_endpoint" in reply.json()["issue"][0]["diagnostics"]


# --- scopes --------------------------------------------------------------------------------------

SEARCH: Final = f"/DocumentReference?{OF_PATIENT}"
SCOPES: Final[dict[str, tuple[str, int]]] = {
    "system/DocumentReference.s": (SEARCH, 200),
    "system/DocumentReference.rs": (SEARCH, 200),
    "user/DocumentReference.cruds": (SEARCH, 200),
    "system/*.s": (SEARCH, 200),
    "system/DocumentReference.read": (SEARCH, 200),
    "user/*.*": (SEARCH, 200),
    "system/DocumentReference.r": (SEARCH, 403),
    "system/DocumentReference.write": (SEARCH, 403),
    "system/DocumentReference.sr": (SEARCH, 403),
    "system/DocumentReference.": (SEARCH, 403),
    "system/DocumentReference.rs?category=x": (SEARCH, 403),
    "system/documentreference.rs": (SEARCH, 403),
    "other/DocumentReference.rs": (SEARCH, 403),
    "system/List.rs": (SEARCH, 403),
    "launch/patient openid": (SEARCH, 403),
    "user/DocumentReference.s": (f"?_type=DocumentReference&{OF_PATIENT}", 403),
    "user/*.s": (f"?_type=DocumentReference&{OF_PATIENT}", 200),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_scopes(guarded: Server, scope: str) -> None:
    path, status = SCOPES[scope]
    reply = get(guarded, path, scope=scope)
    assert reply.status == status, reply.body
    if status == 403:
        assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
        assert "system/DocumentReference.s" in reply.headers["www-authenticate"]


def test_reads_and_documents_have_scopes_of_their_own(guarded: Server, published: str) -> None:
    number = published.rpartition("/")[2]
    for path, scope in (
        (f"/{published}", "system/DocumentReference.r"),
        (f"/document/{number}", "system/Binary.r"),
        (f"/Binary/{number}", "system/Binary.read"),
    ):
        assert get(guarded, path, scope=scope).status == 200
        assert get(guarded, path, scope="system/DocumentReference.s system/List.r").status == 403


def test_publishing_needs_to_create_and_to_update(guarded: Server) -> None:
    assert publish(guarded, scope="system/*.rs").status == 403
    assert publish(guarded, scope="system/DocumentReference.c system/List.c").status == 403


def test_every_interaction_is_granted_by_some_scope() -> None:
    for row in INTERACTIONS:
        if row.handler is None:
            continue
        needed = row.needed
        assert needed, row
        listed = frozenset(scopes.as_scopes(needed))
        assert scopes.grant(listed, row.name, needed) == scopes.ScopeGrant(granted=True)
        for one in listed:
            assert not scopes.grant(listed - {one}, row.name, needed).granted


# --- the patient of a token ----------------------------------------------------------------------

OF_PATIENTS: Final = "patient/*.cruds"


def total(reply: Reply) -> int:
    found: int = reply.json()["total"]
    return found


def test_a_patient_scope_is_for_the_patient_of_the_token(guarded: Server, published: str) -> None:
    ours, other = f"{OURS}^^^&{AUTHORITY}&ISO", f"{OURS}9^^^&{AUTHORITY}&ISO"
    number = published.rpartition("/")[2]
    for path in (SEARCH, f"/List?{OF_PATIENT}", f"/Patient?identifier=urn:oid:{AUTHORITY}|{OURS}"):
        searched = path.replace("|", quote("|"))
        if not path.startswith("/List"):  # of which this server asks for no token
            assert total(get(guarded, searched, scope=OF_PATIENTS, patient=other)) == 0
        assert total(get(guarded, searched, scope=OF_PATIENTS, patient=ours)) >= 1
    for path in (f"/{published}", f"/document/{number}", f"/Binary/{number}"):
        assert get(guarded, path, scope=OF_PATIENTS, patient=ours).status == 200
        assert get(guarded, path, scope=OF_PATIENTS, patient=other).status == 404
    # person_id of IUA counts where SMART's claim is not there
    assert get(guarded, f"/{published}", scope=OF_PATIENTS).status == 404


def test_a_patient_may_be_named_by_its_resource(guarded: Server, published: str) -> None:
    search = f"/Patient?identifier=urn:oid:{AUTHORITY}%7C{OURS}"
    (entry,) = get(guarded, search).json()["entry"]
    for named in (entry["resource"]["id"], f"Patient/{entry['resource']['id']}"):
        assert get(guarded, f"/{published}", scope=OF_PATIENTS, patient=named).status == 200


@pytest.mark.parametrize("named", ["99999999", "somebody", "https://other.example/Patient/1"])
def test_a_patient_scope_without_a_patient_grants_nothing(guarded: Server, named: str) -> None:
    reply = get(guarded, SEARCH, scope=OF_PATIENTS, patient=named)
    assert reply.status == 403
    assert "patient/ scopes" in reply.json()["issue"][0]["diagnostics"]


def test_a_wider_scope_beside_it_counts(guarded: Server, published: str) -> None:
    other = f"{OURS}9^^^&{AUTHORITY}&ISO"
    scope = f"{OF_PATIENTS} user/DocumentReference.r"
    assert get(guarded, f"/{published}", scope=scope, patient=other).status == 200


def test_nothing_is_published_for_another_patient(guarded: Server) -> None:
    other = f"{OURS}9^^^&{AUTHORITY}&ISO"
    reply = publish(guarded, scope=OF_PATIENTS, patient=other)
    assert (reply.status, reply.codes()) == (403, ["forbidden"])
