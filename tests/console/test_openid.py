"""Logging in at a provider of OpenID Connect through the wire.

Whom it lets in, and what is not taken of a provider that is wrong, or of somebody who pretends to
come from one.
"""

import base64
import http.client
import json
import re
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import jwt
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import delete

from tests.console.browsing import ConsoleBrowser, Page, browser_of
from tests.console.conftest import OPTIONS
from tests.console.examples import ELSEWHERE
from tests.console.provided import cx, page_of, provide
from tests.console.providers import CLIENT, SECRET, OddProvider, odd_provider
from tests.console.recorded import now, require_login, require_refusal
from tests.console.test_hostile import HOSTILE, require_harmless
from tests.ports import free_port
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from xds.__main__ import main
from xds.accounts.openid_login import LoginUnderWay
from xds.accounts.openid_provider import LoginRefused, OpenIDClient, OpenIDProvider, ProviderFailed
from xds.accounts.tables import login_failure
from xds.accounts.vouched import RoleTable
from xds.config import load
from xds.console.pages.row import ConsolePage
from xds.console.pages.table import PAGES
from xds.database.access import Database
from xds.url_allowlist import prefixes

RETURN = "/console/openid/return"


@pytest.fixture(scope="module")
def running_provider(kept: Kept) -> OddProvider:
    return kept.opened("odd provider", odd_provider)


@pytest.fixture
def provider(running_provider: OddProvider) -> OddProvider:
    running_provider.behave()
    return running_provider


@pytest.fixture(scope="module")
def served(module_servers: SharedServers, running_provider: OddProvider) -> Server:
    """A server whose people log in at a provider; few local accounts may as well."""
    port = str(free_port())
    return module_servers(
        "openid console",
        {
            **OPTIONS,
            "port": port,
            "public_url": f"http://127.0.0.1:{port}",
            "console_login": "openid",
            "console_roles": "clinician=doctors;nurses privacy=caldicott operator='xds admins'",
            "openid_issuer": running_provider.url,
            "openid_client": CLIENT,
            "openid_secret": SECRET,
            "openid_patients_claim": "/xds/patients",
            "clock_skew_seconds": "5",
        },
    )


@pytest.fixture
def person(served: Server, provider: OddProvider) -> ConsoleBrowser:
    """The browser of somebody whom the provider does not limit to patients."""
    provider.claims["xds"] = {"patients": ["*"]}
    database = Database(served.database)
    with database.write() as connection:
        connection.execute(delete(login_failure))  # else nobody could fail so often
    database.close()
    return browser_of(served.url)


@pytest.fixture
def began() -> str:
    return now()


def at_provider(person: ConsoleBrowser, provider: OddProvider, place: str = "/console") -> str:
    """Ask for a page, follow the link to log in, and return where the provider sends one back."""
    page = person.get(place)
    assert page.heading == "Log in"
    there = person.request("GET", page.link("Log in with your organisation's account"))
    assert there.status == http.client.SEE_OTHER, there.words
    asked = urlsplit(there.headers["Location"])
    assert there.headers["Location"].startswith(f"{provider.url}/authorize?tenant=1&")
    return provider.authorize(dict(parse_qsl(asked.query)))


def come_back(person: ConsoleBrowser, url: str) -> Page:
    return person.get(url.removeprefix(f"http://{person.host}:{person.port}"))


def log_in(person: ConsoleBrowser, provider: OddProvider, place: str = "/console") -> Page:
    return come_back(person, at_provider(person, provider, place))


def require_refused(page: Page, told: str, status: int = http.client.FORBIDDEN) -> None:
    assert page.status == status
    assert told.casefold() in page.words.casefold()
    assert page.tree.xpath("string(//title)").startswith("Error: ")


# --- whom it lets in -----------------------------------------------------------------------------


def test_one_logs_in_at_the_provider_and_comes_to_the_page_asked_for(
    person: ConsoleBrowser, provider: OddProvider, served: Server, began: str
) -> None:
    page = log_in(person, provider, "/console/messages?state=refused")
    assert page.status == http.client.NOT_FOUND  # it is not for clinicians
    assert page.url == "/console/messages?state=refused"
    home = person.get("/console")
    assert home.heading == "Home"
    assert "Ada Lovelace" in home.text
    (asked,) = provider.asked
    pair = base64.b64encode(f"xds+console:{quote(SECRET, safe='').replace('%20', '+')}".encode())
    assert asked["authorization"] == f"Basic {pair.decode()}"
    assert "client_secret" not in asked
    assert asked["redirect_uri"] == f"{served.url}{RETURN}"
    require_login(served, began, f"<ada-1@{provider.url}>")


def test_each_login_has_values_of_its_own(person: ConsoleBrowser, provider: OddProvider) -> None:
    for _ in range(2):
        at_provider(person, provider)
    first, second = provider.codes.values()
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]
    assert first["code_challenge_method"] == "S256"
    assert first["response_type"] == "code"
    assert first["scope"] == "openid profile"


def test_a_login_gives_another_session_than_before(
    person: ConsoleBrowser, provider: OddProvider
) -> None:
    person.cookies["console"] = "chosen-by-somebody-else"
    assert log_in(person, provider).heading == "Home"
    first = person.cookies["console"]
    assert first != "chosen-by-somebody-else"
    assert "console-login" not in person.cookies
    url = at_provider(other := browser_of(f"http://{person.host}:{person.port}"), provider)
    other.cookies["console"] = first
    assert come_back(other, url).heading == "Home"
    assert other.cookies["console"] != first
    assert person.get("/console").heading == "Log in"  # the session of before has ended


def test_groups_that_the_provider_tells_on_asking_count(
    person: ConsoleBrowser, provider: OddProvider
) -> None:
    provider.claims["groups"] = None
    provider.userinfo = {"sub": "ada-1", "groups": "caldicott", "iss": "https://evil.example"}
    assert log_in(person, provider).heading == "Home"
    provider.userinfo = {"sub": "bob", "groups": ["xds admins"]}
    again = browser_of(f"http://{person.host}:{person.port}")
    require_refused(log_in(again, provider), "of another person")


def test_a_person_is_limited_to_the_patients_that_the_provider_names(
    person: ConsoleBrowser, provider: OddProvider, served: Server
) -> None:
    mine, other = cx("OPENID-1"), cx("OPENID-2")
    provider.claims["xds"] = {"patients": [mine]}
    log_in(person, provider)
    assert person.get(page_of(provide(served, mine))).status == http.client.OK
    assert person.get(page_of(provide(served, other))).status == http.client.NOT_FOUND


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"groups": ["doctor", "nobody"]}, "none of the person's groups has a role"),
        ({"groups": [{"doctors": 1}, 7, None]}, "none of the person's groups has a role"),
        ({"groups": None}, "none of the person's groups has a role"),
        ({"xds": None}, "which patients the person may see"),
        ({"xds": {"patients": []}}, "which patients the person may see"),
        ({"xds": {"patients": ["P1"]}}, "is no CX"),
        ({"xds": {"patients": [["*"]]}}, "which patients the person may see"),
        ({"sub": "ada\u0007"}, "name cannot be kept"),
        ({"sub": "a" * 2000}, "name cannot be kept"),
    ],
)
def test_who_has_no_right_here_is_told_and_recorded(
    person: ConsoleBrowser,
    provider: OddProvider,
    served: Server,
    began: str,
    claims: dict[str, Any],
    told: str,
) -> None:
    provider.claims |= claims
    provider.userinfo = {"sub": claims.get("sub", "ada-1")}
    page = log_in(person, provider)
    require_refused(page, told)
    assert "console" not in person.cookies
    require_refusal(served, began, told)


# --- ID tokens that are not taken ----------------------------------------------------------------


def other_key(claims: dict[str, Any]) -> str:
    key = rsa.generate_private_key(65537, 2048)
    return jwt.encode(claims, key, "RS256", {"kid": "one"})


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none")


def by_secret(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET * 4, "HS256", {"kid": "one"})


def past(seconds: int) -> int:
    return int(time.time()) - seconds


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({"nonce": "of another login"}, "the nonce of the token is not that of the login"),
        ({"nonce": None}, "the nonce of the token is not that of the login"),
        ({"nonce": ["x"]}, "the nonce of the token is not that of the login"),
        ({"exp": past(60)}, "ExpiredSignatureError"),
        ({"exp": None}, "MissingRequiredClaimError"),
        ({"iat": None}, "does not say when it was issued"),
        ({"nbf": past(-600)}, "ImmatureSignatureError"),
        ({"aud": "another client"}, "InvalidAudienceError"),
        ({"aud": None}, "MissingRequiredClaimError"),
        ({"aud": [CLIENT, "another"]}, "issued to another client"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "issued to another client"),
        ({"azp": "another"}, "issued to another client"),
        ({"iss": "https://evil.example"}, "the issuer is not one"),
        ({"sub": None}, "MissingRequiredClaimError"),
        ({"sub": " "}, "names no subject"),
        ({"at_hash": "AAAA"}, "not for the access token"),
        ({"at_hash": 7}, "not for the access token"),
    ],
)
def test_an_id_token_that_says_something_wrong_is_refused(
    person: ConsoleBrowser,
    provider: OddProvider,
    served: Server,
    began: str,
    claims: dict[str, Any],
    told: str,
) -> None:
    provider.claims |= claims
    page = log_in(person, provider)
    require_refused(page, "The provider's ID token is not accepted")
    assert told in page.words
    assert "console" not in person.cookies
    assert "console-login" not in person.cookies
    require_refusal(served, began, told)


@pytest.mark.parametrize(
    ("sign", "told"),
    [
        (unsigned, "the algorithm is not one of those accepted"),
        (by_secret, "the algorithm is not one of those accepted"),
        (other_key, "no key of the issuer has signed it"),
        (lambda _: "a.b.c", "DecodeError"),
        (lambda _: "x" * 100_000, "too long"),
    ],
)
def test_an_id_token_that_is_not_signed_rightly_is_refused(
    person: ConsoleBrowser,
    provider: OddProvider,
    served: Server,
    began: str,
    sign: Callable[[dict[str, Any]], str],
    told: str,
) -> None:
    provider.sign = sign
    require_refused(log_in(person, provider), told)
    require_refusal(served, began, told)


def test_a_right_at_hash_and_several_audiences_are_taken(
    person: ConsoleBrowser, provider: OddProvider
) -> None:
    digest = jwt.get_algorithm_by_name("RS256").compute_hash_digest(b"of-access")
    at_hash = base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
    provider.claims |= {"at_hash": at_hash, "aud": [CLIENT, "another"], "azp": CLIENT}
    assert log_in(person, provider).heading == "Home"


# --- answers that are not to a login -------------------------------------------------------------


def test_an_answer_to_no_login_is_refused(person: ConsoleBrowser, provider: OddProvider) -> None:
    """Else somebody could have another person log in as themselves (login CSRF)."""
    url = at_provider(person, provider)
    victim = browser_of(f"http://{person.host}:{person.port}")
    require_refused(come_back(victim, url), "No login has been begun in this browser")
    assert "console" not in victim.cookies
    at_provider(victim, provider)
    require_refused(come_back(victim, url), "The state of the answer is not that of the login")
    assert provider.asked == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"state": "x" * 43}, "The state of the answer"),
        ({"state": ""}, "The state of the answer"),
        ({"state": "é\u202e<b>"}, "The state of the answer"),
        ({"iss": "https://evil.example"}, "The answer is of another provider"),
        ({"code": ""}, "has no code"),
        ({"code": "", "error": "access_denied"}, "has refused the login (access_denied)"),
        ({"error": "<script>alert(1)</script>"}, "has refused the login (no error code)"),
        ({"code": "of somebody else"}, "does not accept the code (invalid_grant)"),
    ],
)
def test_an_answer_that_is_wrong_is_refused_and_recorded(
    person: ConsoleBrowser,
    provider: OddProvider,
    served: Server,
    began: str,
    answer: dict[str, str],
    told: str,
) -> None:
    provider.answer |= {**answer, "error_description": "call 0900-EVIL"}
    page = log_in(person, provider)
    require_refused(page, told)
    assert "EVIL" not in page.text
    assert "<script" not in page.text
    assert "secret" not in page.text
    require_refusal(served, began, told)


def test_an_answer_counts_once(person: ConsoleBrowser, provider: OddProvider) -> None:
    url = at_provider(person, provider)
    kept = dict(person.cookies)
    assert come_back(person, url).heading == "Home"
    require_refused(come_back(person, url), "No login has been begun in this browser")
    thief = browser_of(f"http://{person.host}:{person.port}")
    thief.cookies = kept
    require_refused(come_back(thief, url), "does not accept the code (invalid_grant)")


def test_the_answer_has_to_name_the_provider_where_that_says_so(
    served: Server, provider: OddProvider
) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    client = client_of(provider)
    login = LoginUnderWay.begin("/")
    asked = dict(parse_qsl(urlsplit(client.login_url(login)).query))
    answer = {"code": "", "error": "", "iss": "", **parse(provider.authorize(asked))}
    with pytest.raises(LoginRefused, match="of another provider"):
        client.redeem(login, answer, ())
    assert client.redeem(login, {**answer, "iss": provider.url}, ()).claims["sub"] == "ada-1"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (401, b'{"error": "invalid_client"}', "gives no token: 401 (invalid_client)"),
        (500, b"<html>oh</html>", "gives no token: 500 (no error code)"),
        (302, b"", "gives no token: 302"),
        (200, b"<html>", "does not answer in JSON"),
        (200, b"[1]", "does not answer in JSON"),
        (200, b"[" * 100_000, "does not answer in JSON"),
        (200, b'{"access_token": "a"}', "without an ID token"),
        (200, b'{"access_token": 1, "id_token": 2}', "without an ID token"),
        (200, b" " * (2 << 20), "it has more than"),
    ],
)
def test_a_provider_that_fails_is_told_of(
    person: ConsoleBrowser, provider: OddProvider, status: int, body: bytes, told: str
) -> None:
    provider.token_answer = (status, body)
    require_refused(log_in(person, provider), told, http.client.SERVICE_UNAVAILABLE)


# --- the provider itself -------------------------------------------------------------------------


def parse(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def client_of(provider: OddProvider, secret: str = SECRET, allowed: str = "") -> OpenIDProvider:
    return OpenIDProvider(
        OpenIDClient(
            issuer=provider.url,
            client_id=CLIENT,
            secret=secret,
            redirect_uri=f"http://127.0.0.1{RETURN}",
            after_logout="http://127.0.0.1/console/login",
            allowed=prefixes(allowed or provider.url),
        )
    )


def redeemed(client: OpenIDProvider, provider: OddProvider) -> str:
    login = LoginUnderWay.begin("/")
    answer = parse(provider.authorize(parse(client.login_url(login))))
    found = client.redeem(login, {"error": "", "iss": "", **answer}, ())
    return str(found.claims["sub"])


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://evil.example/authorize"},
        {"token_endpoint": "http://169.254.169.254/token"},
        {"token_endpoint": ["x"]},
        {"end_session_endpoint": "//evil.example"},
    ],
)
def test_metadata_that_lead_elsewhere_are_not_taken(
    provider: OddProvider, metadata: dict[str, Any]
) -> None:
    provider.metadata |= metadata
    with pytest.raises(ProviderFailed):
        client_of(provider).login_url(LoginUnderWay.begin("/"))


def test_endpoints_elsewhere_are_for_the_option_to_allow(provider: OddProvider) -> None:
    elsewhere = provider.url.replace("localhost", "127.0.0.1")
    provider.metadata["token_endpoint"] = f"{elsewhere}/token"
    with pytest.raises(ProviderFailed):
        client_of(provider).login_url(LoginUnderWay.begin("/"))
    assert redeemed(client_of(provider, allowed=f"{provider.url} {elsewhere}"), provider) == "ada-1"


def test_clients_say_who_they_are_as_the_provider_takes_it(provider: OddProvider) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    redeemed(client_of(provider), provider)
    provider.metadata["token_endpoint_auth_methods_supported"] = ["none"]
    redeemed(client_of(provider, secret=""), provider)
    by_form, public = provider.asked
    assert (by_form["client_id"], by_form["client_secret"]) == (CLIENT, SECRET)
    assert public["client_id"] == CLIENT
    assert "client_secret" not in public
    assert by_form["authorization"] == public["authorization"] == ""


def test_new_keys_of_the_provider_are_read_when_a_token_names_them(
    provider: OddProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    client = client_of(provider)
    assert redeemed(client, provider) == "ada-1"
    read = provider.paths.count("/keys")
    old = provider.key, provider.kid
    provider.key, provider.kid = rsa.generate_private_key(65537, 2048), "two"
    try:
        started = time.monotonic()
        monkeypatch.setattr("time.monotonic", lambda: started + now[0])
        now[0] = 60.0
        assert redeemed(client, provider) == "ada-1"
        assert provider.paths.count("/keys") == read + 1
    finally:
        provider.key, provider.kid = old


def test_a_provider_that_is_not_there_is_told_of_and_asked_again() -> None:
    gone = OddProvider(f"http://localhost:{free_port()}")
    with pytest.raises(ProviderFailed, match="metadata cannot be read"):
        client_of(gone).login_url(LoginUnderWay.begin("/"))


# --- logging out ---------------------------------------------------------------------------------


def test_logging_out_ends_both_sessions(
    person: ConsoleBrowser, provider: OddProvider, served: Server
) -> None:
    home = log_in(person, provider)
    kept = dict(person.cookies)
    page = person.submit(home, "/console/logout")
    assert page.heading == "You have logged out of the console"
    url = page.link("Log out of your organisation's account as well")
    (refresh,) = page.tree.xpath("//meta[@http-equiv='refresh']/@content")
    assert refresh == f"0; url={url}"
    assert url.startswith(f"{provider.url}/logout?")
    told = {name: one for name, (one,) in parse_qs(urlsplit(url).query).items()}
    assert told["post_logout_redirect_uri"] == f"{served.url}/console/login"
    assert told["client_id"] == CLIENT
    assert json.loads(base64.urlsafe_b64decode(told["id_token_hint"].split(".")[1] + "=="))
    assert "Ada Lovelace" not in page.text
    person.cookies = kept
    assert person.get("/console").heading == "Log in"


# --- hostile texts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", [r for r in PAGES if r.path in ELSEWHERE and r.parameters], ids=lambda r: str(r.path)
)
def test_hostile_parameters_do_no_harm(
    person: ConsoleBrowser, provider: OddProvider, row: ConsolePage
) -> None:
    """With a login under way and without one; an address to go on to is never another server's."""
    for name, text in product(row.parameters, HOSTILE):
        given = urlencode({name: text}, errors="surrogatepass")
        for is_under_way in (False, True):
            if is_under_way:
                person.request("GET", "/console/openid")
            page = person.request("GET", f"/console{row.path}?{given}")
            if page.status == http.client.SEE_OTHER:
                assert page.headers["Location"].startswith(f"{provider.url}/authorize?")
                login = LoginUnderWay.read(person.cookies["console-login"])
                assert login is not None
                assert not login.place.startswith("//")
                assert ":" not in login.place.partition("/")[0]
            else:
                require_harmless(page)


def test_a_cookie_that_is_none_is_no_login(person: ConsoleBrowser, provider: OddProvider) -> None:
    absurd = ("", ".", "x", ".eA", "secret.%%%", "secret.\xff", "é.é", "a" * 4000, "s.Ly8vZXZpbA")
    for kept in absurd:
        person.cookies["console-login"] = kept
        page = person.request("GET", f"{RETURN}?code=c&state=s")
        require_refused(page, "login", page.status)
        assert page.status in (http.client.FORBIDDEN, http.client.TOO_MANY_REQUESTS)
    assert provider.asked == []


def test_who_comes_back_wrongly_again_and_again_has_to_wait(person: ConsoleBrowser) -> None:
    found = [person.request("GET", f"{RETURN}?code=c&state=s") for _ in range(21)]
    assert {page.status for page in found[:20]} == {http.client.FORBIDDEN}
    assert found[20].status == http.client.TOO_MANY_REQUESTS
    assert int(found[20].headers["Retry-After"]) > 0


# --- there is no other way in --------------------------------------------------------------------


def test_there_is_no_form_for_passwords(person: ConsoleBrowser) -> None:
    page = person.get("/console/login?next=//evil.example")
    assert not page.tree.xpath("//input")
    assert page.link("Log in with your organisation's account") == "/console/openid"
    fields = {"name": "trial", "password": "correct horse battery", "token": "x"}
    assert person.post("/console/login", fields).status == http.client.FORBIDDEN


def test_a_server_without_a_provider_has_no_such_pages(browser: ConsoleBrowser) -> None:
    for place in ("/console/openid", f"{RETURN}?{urlencode({'code': 'x', 'state': 'x'})}"):
        assert browser.get(place).status == http.client.NOT_FOUND


# --- options -------------------------------------------------------------------------------------

GOOD: dict[str, str] = {
    "console": "on",
    "console_login": "openid",
    "console_roles": "viewer=staff",
    "openid_issuer": "https://login.hospital.example/realms/staff",
    "openid_client": "xds-console",
    "public_url": "https://xds.hospital.example",
}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"console_roles": None}, "console_login needs console_roles"),
        ({"openid_issuer": None}, "console_login needs openid_issuer"),
        ({"openid_client": None}, "console_login needs openid_issuer and openid_client"),
        ({"public_url": None}, "console_login needs public_url"),
        ({"openid_issuer": "http://login.hospital.example"}, "needs https"),
        ({"openid_endpoints": "http://keys.hospital.example"}, "needs https"),
        ({"openid_scopes": "profile"}, "openid is missing"),
        ({"console": "trial"}, "trial makes a local account"),
        ({"console_roles": "king=staff"}, "king: the roles are viewer"),
        ({"console_roles": "viewer=;"}, "viewer: no group is named"),
    ],
)
def test_options_that_let_nobody_in_are_told_of(options: dict[str, str | None], told: str) -> None:
    given = {name: value for name, value in {**GOOD, **options}.items() if value is not None}
    environment = {f"XDS_{name.upper()}": value for name, value in given.items()}
    done = CliRunner().invoke(main, ["config"], env=environment)
    assert done.exit_code == 2
    assert told in done.output


def test_the_example_of_the_page_is_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "console.md").read_text()
    below = page.partition("\n### OpenID Connect\n")[2].partition("\n\n    ")[2]
    file = tmp_path / "xds.toml"
    file.write_text(re.sub(r"(?m)^    ", "", below.partition("\n\n")[0]))
    config = load(file=file)
    assert config.has_openid
    assert RoleTable.read(config.console_roles or "").roles(["nurses", "staff"]) == (
        "viewer",
        "clinician",
    )
