"""Takes the pictures of docs/console.md: a server with made data, and its pages in Chromium.

``python -m tests.console.pictures FOLDER``; it needs Chromium, as the tests of the console do.
"""

import io
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Page

from tests.browser import MISSING, chromium, path_of_chromium, visited
from tests.console.browsing import PASSWORD, browser_of, make_accounts
from tests.console.operated import DESTINATIONS, OPTIONS, OperatedServer
from tests.console.provided import provide
from tests.console.test_messages import corrupt, send
from tests.messaging.feeds import GENETIC
from tests.messaging.receiver import receiving as receiving_messages
from tests.messaging.senders import mdm, nhs_number, oru, report_number
from tests.serving import Server, serving
from tests.soap.receiver import receiving
from tests.waiting import until
from xds.client import TransactionRefused
from xds.metadata.objects import Author

WIDE: Final = {"width": 1280, "height": 860}
_COLOURS: Final = 64
_REPORT: Final = Path(__file__).parents[2] / "fixtures" / "documents" / "report.xml"
_NHS: Final = "2.16.840.1.113883.2.1.4.1"
_TITLES: Final = (
    ("Blood count", "Pathology department"),
    ("Discharge summary", "Ward 7"),
    ("Echocardiogram", "Cardiology"),
    ("Clinic letter", "Cardiology"),
    ("Referral", "Example Medical Practice"),
)


def fill(operated: OperatedServer) -> str:
    """Have things happen on a server; return the id of a patient."""
    server = operated.server
    whose = f"{nhs_number()}^^^&{_NHS}&ISO"
    for place, (title, organisation) in enumerate(_TITLES):
        provide(
            server,
            whose,
            _REPORT.read_bytes() if place == 0 else b"text",
            "text/xml" if place == 0 else "text/plain",
            title=title,
            author=(Author(person=("^Hale^Una",), institution=(organisation,)),),
            creation_time=f"2026{11 - place:02}0{place + 1}0930",
        )
    for place in range(9):
        send(server, mdm("T02", nhs_number(), report_number(), sender=f"LAB|WARD{place % 3}"))
        send(server, oru(nhs_number(), (report_number(), "F"), sender="LAB|PATH"))
    for place in range(4):
        send(server, corrupt(f"LAB|WARD{place % 2}"))
    for _ in range(3):
        try:
            provide(server, whose, creation_time="yesterday")
        except TransactionRefused:
            continue
    for refusals in ((), (503,), ()):
        other = f"{nhs_number()}^^^&{_NHS}&ISO"
        operated.subscribe(other, *refusals)
        operated.record.answers[:] = ["AE 102"] if refusals else []
        operated.report(other)
    return whose


def take(page: Page, path: Path) -> None:
    """Write what Chromium shows as a small PNG."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = shot.quantize(_COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def pictures(server: Server, whose: str, folder: Path) -> None:
    """Open the main pages, and take a picture of each."""
    with (
        chromium() as chrome,
        visited(chrome, server.url, "/console/login", viewport=WIDE) as visit,
    ):
        page = visit.page
        page.get_by_label("Name").fill("administrator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        take(page, folder / "home.png")
        page.get_by_label("Find by number or id").fill(whose.partition("^")[0])
        page.get_by_role("button", name="Find").click()
        take(page, folder / "patient.png")
        page.get_by_role("link", name="Blood count").click()
        page.frame_locator("iframe").get_by_text("Genetic").first.wait_for()
        page.get_by_role("heading", name="Blood count").evaluate("one => one.scrollIntoView()")
        take(page, folder / "document.png")
        page.get_by_role("navigation").get_by_text("Coming in").click()
        page.get_by_role("link", name="Messages", exact=True).click()
        take(page, folder / "messages.png")
        page.goto(f"{server.url}/console/activity")
        take(page, folder / "activity.png")
        for name in sys.argv[2:]:
            page.goto(f"{server.url}/console/{name}")
            take(page, folder / f"{name.replace('/', '-')}.png")


def main(folder: Path) -> None:
    """Make a server, fill it, and take the pictures."""
    if path_of_chromium() is None:
        raise SystemExit(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as made,
        receiving() as recipient,
        receiving_messages() as record,
    ):
        path = Path(made) / "destinations.toml"
        path.write_text(DESTINATIONS.format(record=record.url, type_code=GENETIC))
        options = {"destinations": str(path), "notification_targets": recipient.url}
        with serving(Path(made), {**OPTIONS, **options}) as server:
            make_accounts(server.database)
            whose = fill(OperatedServer(server, recipient, record))
            browser = browser_of(server.url)
            browser.log_in("administrator")
            until(lambda: "creationTime" in browser.get("/console/submissions/refused").words)
            pictures(server, whose, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
