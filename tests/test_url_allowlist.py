"""URLs out of messages: below an allowed one or not, whatever is tried."""

from pathlib import Path

import pytest

from xds.config import ConfigError, load
from xds.url_allowlist import BadTarget, Target, admitted, prefixes

ALLOWED = prefixes("https://source.example/xds http://[2001:db8::1]:8080 http://lan/a%20b/")


@pytest.mark.parametrize(
    ("url", "resource"),
    [
        ("https://source.example/xds", "/xds"),
        ("https://source.example/xds/", "/xds/"),
        ("HTTPS://Source.Example:443/xds/a;b=c?d=/e%2f..", "/xds/a;b=c?d=/e%2f.."),
        ("https://source.example:/%78ds/a", "/%78ds/a"),
        ("http://[2001:DB8:0::1]:8080", "/"),
        ("http://[2001:db8::1]:8080?a", "/?a"),
        ("http://lan:80/a%20b/c", "/a%20b/c"),
    ],
)
def test_a_url_below_an_allowed_one_is_admitted(url: str, resource: str) -> None:
    target = admitted(url, ALLOWED)
    assert target is not None
    assert (target.url, target.resource) == (url, resource)


@pytest.mark.parametrize(
    "url",
    [
        "http://source.example/xds",
        "https://source.example:8443/xds",
        "https://source.example/xdsx",
        "https://source.example/XDS",
        "https://source.example/",
        "https://source.example",
        "https://other.source.example/xds",
        "https://source.example.evil/xds",
        "https://source.example./xds",
        "https://source.example@evil/xds",
        "https://evil\\@source.example/xds",
        "https://user:word@source.example/xds",
        "https://evil#@source.example/xds",
        "https://evil?@source.example/xds",
        "https://source.example/xds#a",
        "https://source.example/xds/../admin",
        "https://source.example/xds/%2E%2e/admin",
        "https://source.example/xds/%252e%252e/admin",
        "https://source.example/xds/..;a/admin",
        "https://source.example/xds/.",
        "https://source.example/xds%2f..%2fadmin",
        "https://source.example/xds/..\\admin",
        "https://source.example/xds/%5c..",
        "https://source.example/xds/%00",
        "https://source.example/xds\r\nHost: evil",
        "https://source.example/xds\n",
        "https://source.example/xds%0d%0aHost:%20evil",
        "https://source.example/xds a",
        "https://\u017fource.example/xds",
        "https://source.example/xds/\u00e4",
        "https://source.example:65536/xds",
        "https://source.example:0443443/xds",
        "https://source.example:\u0664\u0664\u0663/xds",
        "http://[2001:db8::2]:8080/",
        "http://[2001:db8:::1]:8080/",
        "http://2001:db8::1:8080/",
        "http:/lan/a%20b",
        "http:lan/a%20b",
        "//lan/a%20b",
        "http:///lan/a%20b",
        "http://lan/a+b",
        "http://lan/a%",
        "ftp://lan/a%20b",
        "file:///etc/passwd",
        "mailto:a@b.example",
        "",
    ],
)
def test_any_other_is_not(url: str) -> None:
    assert admitted(url, ALLOWED) is None


def test_without_allowed_urls_none_is_admitted() -> None:
    assert admitted("https://source.example/xds", ()) is None


@pytest.mark.parametrize("text", ["source.example", "https://", "https://a/?b", "http://a http://"])
def test_an_option_that_names_no_url_is_refused(text: str) -> None:
    with pytest.raises(BadTarget):
        prefixes(text)


def test_the_option_is_checked_and_may_be_a_list(tmp_path: Path) -> None:
    file = tmp_path / "xds.toml"
    file.write_text('async_reply_to = ["https://a.example/b", "http://c.example"]')
    assert load(file=file).async_reply_to == "https://a.example/b http://c.example"
    with pytest.raises(ConfigError, match=r"async_reply_to .*: not a URL of the form"):
        load({"async_reply_to": "https://a.example b.example"})


def test_what_logs_name_has_neither_path_nor_query() -> None:
    assert Target.parse("https://[::1]/secret?b").origin == "https://[::1]:443"
