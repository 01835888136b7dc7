"""Logging in and out through the wire: what is let in, what is kept out, and what is recorded."""

import http.client
import re
from urllib.parse import urlencode

import pytest

from tests.console.browsing import FORM, PASSWORD, ConsoleBrowser, browser_of
from tests.console.recorded import await_records
from tests.serving import Server


def test_a_page_asks_to_log_in_and_is_there_afterwards(browser: ConsoleBrowser) -> None:
    asked = browser.get("/console/login?next=/")
    assert asked.heading == "Log in"
    assert browser.get("/console").heading == "Log in"
    assert browser.log_in("viewer").heading == "Home"
    assert browser.get("/console/login").heading == "Home"


def test_a_login_gives_another_cookie_than_before(console_server: Server) -> None:
    browser = browser_of(console_server.url)
    browser.cookies["console"] = "chosen-by-somebody-else"
    page = browser.get("/console/login")
    before = dict(browser.cookies)
    fields = {**page.form("/console/login"), "name": "viewer", "password": PASSWORD}
    headers = {"Content-Type": FORM, "Origin": console_server.url}
    answer = browser.request("POST", "/console/login", urlencode(fields), headers)
    assert answer.status == http.client.SEE_OTHER
    cookies = answer.headers.get_all("Set-Cookie")
    assert cookies is not None
    (set_cookie,) = (one for one in cookies if one.startswith("console="))
    assert "HttpOnly" in set_cookie
    assert "SameSite=Lax" in set_cookie
    assert browser.cookies["console"] not in before.values()
    assert browser.get("/console/login").heading == "Home"


def test_the_session_is_over_after_logging_out(browser: ConsoleBrowser) -> None:
    home = browser.log_in("viewer")
    kept = dict(browser.cookies)
    gone = browser.submit(home, "/console/logout")
    assert gone.heading == "Log in"
    assert "console" not in browser.cookies
    browser.cookies = kept
    assert browser.get("/console").heading == "Log in"


@pytest.mark.parametrize(
    ("name", "password"),
    [("viewer", "wrong password"), ("nobody", PASSWORD), ("", ""), ("a\0\u202e'\"<b>", PASSWORD)],
)
def test_a_wrong_password_is_told_as_a_wrong_name_is(
    browser: ConsoleBrowser, name: str, password: str
) -> None:
    page = browser.log_in(name, password)
    assert page.status == http.client.FORBIDDEN
    assert "not those of an account" in page.words
    assert page.tree.xpath("string(//title)").startswith("Error: ")
    assert "console" not in browser.cookies


def test_who_guesses_has_to_wait(console_server: Server) -> None:
    browser = browser_of(console_server.url)
    page = browser.get("/console/login")
    for _ in range(5):
        page = browser.submit(page, "/console/login", name="guessed", password="x" * 12)
        assert page.status == http.client.FORBIDDEN
    page = browser.submit(page, "/console/login", name="guessed", password="x" * 12)
    assert page.status == http.client.TOO_MANY_REQUESTS
    assert int(page.headers["Retry-After"]) > 0
    assert re.search(r"Try again in \d+ seconds", page.words)
    assert browser.log_in("viewer").heading == "Home"


@pytest.mark.parametrize(
    "place",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/\u202e",
        "@evil.example",
    ],
)
def test_a_login_leads_to_no_other_server(browser: ConsoleBrowser, place: str) -> None:
    page = browser.get(f"/console/login?{urlencode({'next': place})}")
    fields = {**page.form("/console/login"), "name": "viewer", "password": PASSWORD, "next": place}
    headers = {"Content-Type": FORM, "Origin": f"http://{browser.host}:{browser.port}"}
    answer = browser.request("POST", "/console/login", urlencode(fields), headers)
    assert answer.status == http.client.SEE_OTHER
    assert answer.headers["Location"] == "/console/"


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_place_is_refused(
    browser: ConsoleBrowser, headers: dict[str, str]
) -> None:
    home = browser.log_in("viewer")
    told = {"Content-Type": FORM, **headers}
    fields = home.form("/console/logout")
    answer = browser.request("POST", "/console/logout", urlencode(fields), told)
    assert answer.status == http.client.FORBIDDEN
    assert answer.heading == "The form was not taken"
    assert browser.get("/console").heading == "Home"


@pytest.mark.parametrize("token", ["", "00", "0" * 128, "zz" * 64, "é", "ab" * 65])
def test_a_form_without_its_token_is_refused(browser: ConsoleBrowser, token: str) -> None:
    home = browser.log_in("viewer")
    answer = browser.submit(home, "/console/logout", token=token)
    assert answer.status == http.client.FORBIDDEN
    assert browser.get("/console").heading == "Home"


def test_a_token_of_somebody_else_is_refused(
    browser: ConsoleBrowser, people: dict[str, ConsoleBrowser]
) -> None:
    home = browser.log_in("viewer")
    others = people["privacy"].get("/console").form("/console/logout")
    assert others["token"] != people["privacy"].get("/console").form("/console/logout")["token"]
    answer = browser.submit(home, "/console/logout", token=others["token"])
    assert answer.status == http.client.FORBIDDEN


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", "{}", 415),
        ("multipart/form-data; boundary=x", "--x--", 415),
        (FORM, "&".join(f"a{n}=1" for n in range(500)), 400),
        (FORM, "name=" + "x" * (2 << 20), 413),
    ],
)
def test_what_is_no_form_is_refused(
    browser: ConsoleBrowser, content_type: str, body: str, status: int
) -> None:
    headers = {"Content-Type": content_type, "Origin": f"http://{browser.host}:{browser.port}"}
    answer = browser.request("POST", "/console/login", body, headers)
    assert answer.status == status


# --- what every answer has -----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/console", "/console/login", "/console/nothing"])
def test_every_page_keeps_others_out(people: dict[str, ConsoleBrowser], place: str) -> None:
    page = people["administrator"].request("GET", place)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    if page.status != http.client.SEE_OTHER:
        assert b"<script" not in page.body
        assert b" style=" not in page.body


def test_files_are_kept_by_browsers_and_small(people: dict[str, ConsoleBrowser]) -> None:
    browser = people["viewer"]
    home = browser.get("/console")
    files = [str(one) for one in home.tree.xpath("//link/@href")]
    assert len(files) == 3
    whole = home.sent
    for name in files:
        found = browser.request("GET", name)
        assert found.status == http.client.OK
        assert found.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        whole += found.sent
    assert whole < 350_000
    assert home.sent < 30_000
    assert browser.request("GET", "/console/static/console.css").status == http.client.NOT_FOUND
    assert browser.request("GET", "/console/static/..%2fpages.py").status == http.client.NOT_FOUND


def test_a_browser_without_tls_of_another_machine_is_turned_away(browser: ConsoleBrowser) -> None:
    page = browser.request("GET", "/console/login", headers={"Host": "xds.example"})
    assert page.status == http.client.FORBIDDEN
    assert page.heading == "This needs TLS"


def test_behind_tls_the_cookies_are_for_tls_alone(browser: ConsoleBrowser) -> None:
    headers = {"Host": "xds.example", "X-Forwarded-Proto": "https"}
    page = browser.request("GET", "/console/login", headers=headers)
    assert page.status == http.client.OK
    (cookie,) = page.headers.get_all("Set-Cookie") or [""]
    assert cookie.startswith("__Host-console-form=")
    assert "; Secure" in cookie
    assert "; Path=/;" in cookie


def test_a_server_has_no_console_unless_it_is_asked_for(server: Server) -> None:
    page = browser_of(server.url).request("GET", "/console/login")
    assert page.status == http.client.NOT_FOUND


# --- records -------------------------------------------------------------------------------------


def test_logins_and_logouts_are_recorded(console_server: Server) -> None:
    browser = browser_of(console_server.url)
    browser.submit(browser.log_in("integration"), "/console/logout")
    browser.log_in("integration", "not the password")
    expected = [("Login", 4), ("Logout", 0), ("Login", 0)]
    found = await_records(
        console_server,
        lambda told: [(one["event_type"][2], one["outcome"]) for one in told] == expected,
        user="integration",
        transaction="console",
        most="3",
    )
    assert all(one["address"] == "127.0.0.1" for one in found)
