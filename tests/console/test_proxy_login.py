"""People who log in at a proxy before the server: it is believed, and nobody else is."""

import http.client
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from click.testing import CliRunner

from tests import haproxy
from tests.certificates import make
from tests.console.browsing import FORM, ConsoleBrowser, Page, browser_of
from tests.console.conftest import OPTIONS
from tests.console.provided import cx, page_of, provide
from tests.console.recorded import now, require_login, require_refusal
from tests.servers.shared import SharedServers
from tests.serving import Server
from xds.__main__ import main
from xds.config import load

GROUPS = {"ConsoleGroups": "all staff, engineers"}
ADA = {"ConsoleUser": "ada@hospital.example", **GROUPS, "ConsolePatients": "*"}
ROLES = {
    "console_login": "proxy",
    "console_roles": "integration=engineers clinician=doctors;nurses",
    "console_patients_header": "ConsolePatients",
    "console_logout_url": "https://login.hospital.example/out",
}


@pytest.fixture(scope="module")
def served(module_servers: SharedServers) -> Server:
    """A server that believes a proxy on this machine."""
    return module_servers("proxy console", {**OPTIONS, **ROLES, "trusted_proxies": "127.0.0.1"})


@pytest.fixture(scope="module")
def wary(module_servers: SharedServers) -> Server:
    """The same where the proxy is another machine."""
    return module_servers("wary console", {**OPTIONS, **ROLES, "trusted_proxies": "192.0.2.1"})


def asked(
    browser: ConsoleBrowser, told: Mapping[str, str] = ADA, url: str = "/console/messages"
) -> Page:
    return browser.request("GET", url, headers=told)


def sent(browser: ConsoleBrowser, url: str, fields: Mapping[str, str], **told: str) -> Page:
    own = {"Content-Type": FORM, "Origin": f"http://{browser.host}:{browser.port}"}
    return browser.request("POST", url, urlencode(fields), {**own, **told})


def test_who_has_logged_in_at_the_proxy_is_there_at_once(served: Server) -> None:
    began, browser = now(), browser_of(served.url)
    page = asked(browser)
    assert page.status == http.client.OK
    assert page.heading == "Messages"
    assert "ada@hospital.example" in page.text
    require_login(served, began, "<ada@hospital.example@urn:xds:console:proxy>")
    secret = browser.cookies["console"]
    assert asked(browser).heading == "Messages"
    assert browser.cookies["console"] == secret
    assert asked(browser, url="/console/login").headers["Location"] == "/console/"
    found = sent(browser, "/console/search", {**page.form("/console/search"), "q": "none"}, **ADA)
    assert found.status == http.client.OK


def test_names_may_be_of_any_alphabet(served: Server) -> None:
    told = {**ADA, "ConsoleUser": quote("Zoë Łuk"), "ConsoleGroups": "engineer%73"}
    assert "Zoë Łuk" in asked(browser_of(served.url), told).text


def test_without_the_proxys_word_a_session_is_worth_nothing(served: Server) -> None:
    browser = browser_of(served.url)
    asked(browser)
    for told in ({}, {"ConsoleUser": " "}, GROUPS):
        page = asked(browser, told)
        assert page.status == http.client.FORBIDDEN
        assert page.heading == "You are not logged in"
        assert "ada" not in page.text


@pytest.mark.parametrize(
    "other",
    [
        {"ConsoleUser": "bob"},
        {"ConsoleGroups": "doctors"},
        {"ConsolePatients": "P1^^^&2.999.1.1&ISO"},
    ],
)
def test_another_person_or_other_rights_are_another_session(
    served: Server, other: dict[str, str]
) -> None:
    browser = browser_of(served.url)
    home = asked(browser, url="/console")
    secret = browser.cookies["console"]
    asked(browser, {**ADA, **other}, "/console")
    assert browser.cookies["console"] != secret
    browser.cookies["console"] = secret  # the session of before has ended
    page = sent(browser, "/console/search", {**home.form("/console/search"), "q": "x"}, **ADA)
    assert page.status == http.client.FORBIDDEN


def test_rights_follow_from_the_groups_of_the_moment(served: Server) -> None:
    browser = browser_of(served.url)
    assert asked(browser).status == http.client.OK
    assert asked(browser, {**ADA, "ConsoleGroups": "nurses"}).status == http.client.NOT_FOUND


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"ConsoleGroups": "all staff"}, "none of the person's groups has a role here"),
        ({"ConsoleGroups": ""}, "none of the person's groups has a role here"),
        ({"ConsolePatients": ""}, "nothing says which patients the person may see"),
        ({"ConsolePatients": "P1"}, "a patient of the person is no CX"),
        ({"ConsoleUser": "x" * 2000}, "the person's name cannot be kept"),
    ],
)
def test_who_has_no_right_here_is_told_and_recorded(
    served: Server, other: dict[str, str], told: str
) -> None:
    began = now()
    page = asked(browser_of(served.url), {**ADA, **other})
    assert page.status == http.client.FORBIDDEN
    assert page.heading == "You are not let in"
    assert told in page.words[:1].lower() + page.words or told[1:] in page.words
    require_refusal(served, began, told)


def test_a_person_is_limited_to_the_patients_that_the_proxy_names(served: Server) -> None:
    mine, other = cx("PROXY-1"), cx("PROXY-2")
    told = {**ADA, "ConsoleGroups": "nurses", "ConsolePatients": mine}
    browser = browser_of(served.url)
    assert asked(browser, told, page_of(provide(served, mine))).status == http.client.OK
    page = asked(browser, told, page_of(provide(served, other)))
    assert page.status == http.client.NOT_FOUND


def test_nobody_but_the_proxy_is_believed(wary: Server) -> None:
    for told in (ADA, {**ADA, "X-Forwarded-For": "192.0.2.1", "ClientAddress": "192.0.2.1"}):
        page = asked(browser_of(wary.url), told)
        assert page.status == http.client.FORBIDDEN
        assert page.heading == "You are not logged in"


def test_there_is_no_other_way_in_and_the_way_out_is_the_proxys(served: Server) -> None:
    browser = browser_of(served.url)
    page = asked(browser)
    assert page.link("Log out") == "https://login.hospital.example/out"
    token = {"token": page.form("/console/search")["token"]}
    assert sent(browser, "/console/logout", token, **ADA).status == http.client.NOT_FOUND
    fields = {**token, "name": "ada", "password": "correct horse battery"}
    assert sent(browser, "/console/login", fields, **ADA).status == http.client.NOT_FOUND
    assert asked(browser, url="/console/openid").status == http.client.NOT_FOUND


def test_a_form_that_begins_a_session_is_not_taken(served: Server) -> None:
    page = sent(browser_of(served.url), "/console/search", {"q": "x", "token": "ab" * 64}, **ADA)
    assert page.status == http.client.FORBIDDEN
    assert page.heading == "The form was not taken"


def test_elsewhere_the_headers_mean_nothing(browser: ConsoleBrowser) -> None:
    assert asked(browser, ADA).headers["Location"].startswith("/console/login")


@pytest.mark.skipif(not haproxy.is_installed(), reason=haproxy.MISSING)
def test_haproxy_tells_who_has_logged_in_and_no_client_does(served: Server, tmp_path: Path) -> None:
    """By Basic authentication at the proxy, with the rules of docs/console.md."""
    files = make(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "console.md").read_text()
    people = "userlist people\n    group engineers users ada\n    user ada insecure-password pw\n"
    rules = re.search(r"(?m)(^    (?:acl|http-request) .*\n)+", page)
    assert rules is not None
    told = f"{rules[0]}    http-request set-header ConsolePatients *\n"
    with haproxy.haproxy(tmp_path, files, served.port, people=people, rules=told) as port:
        context = ssl.create_default_context(cafile=str(files.authority))
        context.check_hostname = False

        def status(**headers: str) -> tuple[int, str]:
            connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
            connection.request("GET", "/console", headers={"Host": "localhost", **headers})
            answer = connection.getresponse()
            body = answer.read().decode()
            connection.close()
            return answer.status, body

        assert status(**ADA)[0] == http.client.UNAUTHORIZED
        code, body = status(Authorization="Basic YWRhOnB3", ConsoleUser="eve", Console_User="eve")
        assert code == http.client.OK
        assert "<span>ada</span>" in body
        assert "<span>eve</span>" not in body


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "without trusted_proxies, no proxy is believed"),
        ({"trusted_proxies": "127.0.0.1", "console_user_header": "Remote-User"}, "letters and dig"),
        ({"trusted_proxies": "127.0.0.1", "console_roles": ""}, "needs console_roles"),
    ],
)
def test_options_that_believe_too_much_or_nobody_are_told_of(
    options: dict[str, str], told: str
) -> None:
    given = {"console": "on", **ROLES, **options}
    environment = {f"XDS_{name.upper()}": value for name, value in given.items()}
    done = CliRunner().invoke(main, ["config"], env=environment)
    assert done.exit_code == 2
    assert told in done.output


def test_the_example_of_the_page_is_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "console.md").read_text()
    below = page.partition("\n### A proxy's word\n")[2].partition("\n\n    ")[2]
    file = tmp_path / "xds.toml"
    file.write_text(re.sub(r"(?m)^    ", "", below.partition("\n\n")[0]))
    assert load(file=file).console_login == "proxy"
