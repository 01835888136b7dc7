"""What a deployment answers and how it is configured, as its pages show it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.console.browsing import ConsoleBrowser, browser_of, make_accounts
from tests.console.conftest import OPTIONS
from tests.console.provided import provide, somebody
from tests.console.test_messages import send
from tests.messaging.senders import mdm, nhs_number, report_number
from tests.servers.shared import Kept, SharedServers
from tests.serving import Server
from xds.client import TransactionRefused
from xds.metadata.catalogue import CATALOGUE
from xds.metadata.objects import Code
from xds.metadata.rules.submission_rules import SUBMISSION_RULES
from xds.registry.queries.stored_queries import STORED_QUERIES

BUNDLE: Final = Path(__file__).parents[2] / "fixtures" / "mhd" / "one_document.json"
_FHIR: Final = {"Content-Type": "application/fhir+json"}
DOCUMENT: Final = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()
TESTS: Final = DOCUMENT.partition("\n# Tests\n")[2]
People = dict[str, ConsoleBrowser]

CODES = '[codes]\nclassCode = ["<b>&-1^^2.999.5"]\n'


@pytest.fixture(scope="module")
def configured(module_servers: SharedServers, kept: Kept) -> tuple[Server, ConsoleBrowser]:
    """An administrator at a server with code sets that nothing is of."""

    def options(data: Path) -> Mapping[str, str]:
        codes = data / "codes.toml"
        codes.write_text(CODES)
        return {**OPTIONS, "code_sets": str(codes), "audit_syslog": "tcp://127.0.0.1:1"}

    server = module_servers("configured console", options)
    kept.made(("accounts", server.database), lambda: make_accounts(server.database))
    browser = browser_of(server.url)
    browser.log_in("administrator")
    return server, browser


def test_what_is_answered_is_that_of_the_tables(people: People) -> None:
    page = people["integration"].get("/console/conformance")
    cells = {" ".join(one.text_content().split()) for one in page.tree.xpath("//td")}
    assert {row.name for row in CATALOGUE} <= cells
    assert "POST /fhir/DocumentReference/_search" in cells
    (wsdl,) = page.tree.xpath("//a[contains(., 'registry?wsdl')]/@href")
    assert b"RegistryStoredQuery" in people["integration"].get(wsdl).body
    off = [row for row in page.tree.xpath("//tr") if "ITI-57" in row.text_content()]
    assert "off" in off[0].text_content()


def test_every_row_of_the_documentation_is_shown_with_its_tests(people: People) -> None:
    page = people["integration"].get("/console/conformance")
    tables = {
        link.text_content(): people["integration"].get(link.get("href"))
        for link in page.tree.xpath("//main//li/a[contains(@href, '/conformance/')]")
    }
    numbers = [len(table.tree.xpath("//tbody/tr")) for table in tables.values()]
    assert len(numbers) == DOCUMENT.count("\n## Tests of: ")
    assert sum(numbers) == len(re.findall(r"^\| (?!---|What \| Shown by)", TESTS, re.M))
    rows = {title: _rows(table.tree) for title, table in tables.items()}
    assert rows["Stored queries"].keys() == {one.name for one in STORED_QUERIES.values()}
    assert {one.name for one in SUBMISSION_RULES} < rows["Rules of a submission"].keys()
    assert "$XDSDocumentEntryTitle" in rows["Parameters of FindDocumentsByTitle"]
    cells = rows["Error codes"]["XDSDuplicateUniqueIdInRegistry"]
    assert cells[-2] == "ITI TF-3 4.2.4"
    assert "registry/test_races.py::test_one_submission_set_is_registered_once" in cells[-1]
    assert rows["Error codes"]["DocumentQueued"][-1] == "not issued by this server"


def _rows(tree: Any) -> dict[str, list[str]]:
    found = tree.xpath("//tbody/tr")
    return {
        row[0].text_content(): [" ".join(c.text_content().split()) for c in row] for row in found
    }


def test_a_table_that_is_not_there_is_not_found(people: People) -> None:
    assert people["integration"].get("/console/conformance/..%2Fproduction").status == 404
    assert people["integration"].get("/console/conformance/nothing").status == 404


def test_each_option_tells_where_it_comes_from(console_server: Server, people: People) -> None:
    page = people["operator"].get("/console/configuration")
    rows = {
        cells[0].text_content(): [" ".join(one.text_content().split()) for one in cells[1:]]
        for cells in (row.xpath("./td") for row in page.tree.xpath("//details//tr[td]"))
    }
    assert rows["audit"][0] == "on"
    assert rows["audit"][1] != "default"
    assert rows["console_hours"][:2] == ["8", "default"]
    assert "There is no policy" in page.words
    assert "Every code is accepted" in page.words
    assert "Unknown codes" not in page.words


def test_the_policy_in_force_is_shown(guarded_people: People) -> None:
    page = guarded_people["operator"].get("/console/configuration")
    assert "permit people at the console see what is not restricted" in page.words
    assert "confidentiality_code: N^^2.16.840.1.113883.5.25" in page.words
    assert "authenticated: no" in page.words


def test_code_sets_flavours_and_systems_are_shown_with_their_files(
    configured: tuple[Server, ConsoleBrowser],
) -> None:
    page = configured[1].get("/console/configuration")
    assert "classCode (1)" in page.words
    assert "<b>&-1^^2.999.5" in page.words
    assert b"<b>" not in page.body
    assert "shipped" in page.tree.xpath("string(//table[contains(caption, 'Flavours')])")
    systems = page.tree.xpath("string(//table[contains(caption, 'Identifier systems')])")
    assert "NHS" in systems
    assert "shipped" in systems
    assert "codes.toml, by the option code_sets" in page.words


def test_unknown_codes_are_counted_by_whichever_door_they_came(
    configured: tuple[Server, ConsoleBrowser],
) -> None:
    server, browser = configured
    control_id = send(server, mdm("T02", nhs_number(), report_number()))
    for _ in range(2):
        with pytest.raises(TransactionRefused):
            provide(server, somebody(), class_code=Code("<i>\u202e", "2.999.6", "Some"))
    request = Request(f"{server.url}/fhir", BUNDLE.read_bytes(), _FHIR)
    with pytest.raises(HTTPError, match="400"):
        urlopen(request)
    page = browser.get(browser.get("/console/configuration").link("Unknown codes that were met"))
    rows = {
        tuple(one.text_content() for one in row)[:4]: row for row in page.tree.xpath("//tbody/tr")
    }
    numbers = sorted(row[3] for row in rows)
    assert ("<i>[U+202E]", "2.999.6", "classCode", "2") in rows
    assert numbers == ["1", "1", "2"]
    told = [browser.get(row.xpath(".//a/@href")[0]) for row in rows.values()]
    assert sorted(one.heading.split()[-2] for one in told) == ["CARD-7", "ITI-41", "ITI-65"]
    (by_message,) = [one for one in told if "CARD-7" in one.heading]
    assert control_id in browser.get(by_message.link(f"MDM^T02 {control_id}")).heading


@pytest.mark.parametrize("role", ["viewer", "clinician", "privacy"])
def test_who_looks_after_nothing_has_neither_page(people: People, role: str) -> None:
    for place in ("/console/conformance", "/console/configuration"):
        assert people[role].get(place).status == 404
