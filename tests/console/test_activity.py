"""Charts of what happens, with the numbers behind them, and Home, which leads there."""

import http.client

import pytest

from tests.console.browsing import ConsoleBrowser
from tests.console.provided import provide, somebody
from tests.serving import Server
from tests.waiting import until

People = dict[str, ConsoleBrowser]


def numbers(browser: ConsoleBrowser, title: str) -> list[int]:
    """Return the numbers of the table behind a chart, in their order."""
    cells = browser.get("/console/activity").tree.xpath(
        "//table[caption=$title]//tbody/tr/td[1]", title=title
    )
    return [int(cell.text_content().replace(",", "")) for cell in cells]


def test_submissions_are_counted_by_hour(console_server: Server, people: People) -> None:
    operator = people["operator"]
    before = sum(numbers(operator, "Submissions by hour"))
    provide(console_server, somebody())
    until(lambda: sum(numbers(operator, "Submissions by hour")) > before)
    found = numbers(operator, "Submissions by hour")
    assert len(found) == 24
    assert sum(found[-2:]) == sum(found)
    page = operator.get("/console/activity")
    for chart in page.tree.xpath("//*[local-name()='svg']"):
        title, described = chart.get("aria-labelledby").split()
        assert chart.xpath(f"string(.//*[@id='{title}'])")
        assert chart.xpath(f"string(.//*[@id='{described}'])")
    assert "How long transactions take" in page.words


def test_home_leads_to_what_it_counts(people: People) -> None:
    home = people["operator"].get("/console")
    (place,) = home.tree.xpath("//dt[text()='Submissions']/following-sibling::dd/a/@href")
    assert people["operator"].get(place).heading == "Activity"


@pytest.mark.parametrize("role", ["viewer", "clinician", "privacy"])
def test_charts_are_for_those_who_look_after_the_server(people: People, role: str) -> None:
    assert people[role].get("/console/activity").status == http.client.NOT_FOUND
    assert "In the last full hour" not in people[role].get("/console").words
