"""An integration engineer looks after messages: finds one, sees why it was refused, corrects it."""

import http.client

import pytest

from tests.console.browsing import ConsoleBrowser
from tests.console.recorded import await_records
from tests.console.test_documents import search
from tests.messaging.senders import mdm, nhs_number, oru, report_number
from tests.serving import Server
from tests.waiting import PATIENCE

People = dict[str, ConsoleBrowser]


def send(server: Server, message: bytes) -> str:
    """Send a message by HTTP, and return its control id."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        headers = {"Content-Type": "application/hl7-v2+er7"}
        connection.request("POST", "/hl7v2", message, headers)
        answer = connection.getresponse()
        assert b"MSA|" in answer.read()
    finally:
        connection.close()
    return message.split(b"\r")[0].split(b"|")[9].decode()


def corrupt(sender: str = "LAB|T25") -> bytes:
    """Return a message whose document cannot be decoded."""
    return mdm("T02", nhs_number(), report_number(), sender=sender).replace(
        b"^Base64^", b"^Base64^%%%"
    )


def test_a_refused_message_is_found_corrected_and_filed(
    console_server: Server, people: People
) -> None:
    engineer = people["integration"]
    control_id = send(console_server, corrupt())
    page = search(engineer, control_id)
    assert page.heading == f"MDM^T02 {control_id} refused"
    assert "corrupt at OBX^1^5" in page.words
    assert "MSA|AE|" in page.words or "MSA|AR|" in page.words
    assert "It made no document." in page.words
    action = f"{page.url}/correct"
    text = page.form(action)["text"]
    assert "%%%" in text
    filed = engineer.submit(page, action, text=text.replace("%%%", ""))
    assert filed.heading == f"MDM^T02 {control_id} filed", filed.words
    assert filed.url != page.url
    again = engineer.get(page.url)
    assert again.heading == f"MDM^T02 {control_id} corrected"
    assert filed.link("another message") == page.url
    (document,) = filed.tree.xpath("//main//a[contains(@href, '/documents/')]/@href")
    assert engineer.get(document).status == http.client.OK
    expected = {"See a message", "Correct a message"}
    await_records(
        console_server,
        lambda told: {one["event_type"][2] for one in told if control_id in str(one)} == expected,
        user="integration",
        transaction="console",
        most="20",
    )


def test_a_correction_that_is_wrong_as_well_says_why(
    console_server: Server, people: People
) -> None:
    engineer = people["integration"]
    page = search(engineer, send(console_server, corrupt()))
    action = f"{page.url}/correct"
    for text, said in (
        ("", "It was not taken"),
        ("no message", "It was not taken"),
        ("MSH|^~\\&|<script>|x", "It was"),
    ):
        answer = engineer.submit(page, action, text=text)
        assert said in answer.words or answer.heading.endswith("refused"), answer.words
        assert b"<script>" not in answer.body
    assert engineer.get(page.url).heading.endswith("refused")


def test_messages_are_listed_page_by_page_and_chosen_by_state(
    console_server: Server, people: People
) -> None:
    engineer, sender = people["integration"], "PAGES|T99"
    ids = [
        send(console_server, mdm("T02", nhs_number(), report_number(), sender=sender))
        for _ in range(52)
    ]
    listed = engineer.get("/console/messages?sender=PAGES%7CT99")
    names = [a.text_content() for a in listed.tree.xpath("//table//a")]
    assert names == ids[:1:-1]
    older = engineer.get(f"/console/messages{listed.link('Older messages')}")
    assert [a.text_content() for a in older.tree.xpath("//table//a")] == ids[1::-1]
    refused = engineer.get("/console/messages?state=refused&sender=PAGES%7CT99")
    assert "There are no such messages." in refused.words


def test_a_group_of_dead_letters_is_sent_again_once_its_number_is_confirmed(
    console_server: Server, people: People
) -> None:
    engineer, sender = people["integration"], "GROUP|T98"
    first = send(console_server, corrupt(sender))
    page = engineer.get("/console/dead-letters")
    (row,) = [one for one in page.tree.xpath("//tbody/tr") if "GROUP|T98" in one.text_content()]
    fields = {one.get("name"): one.get("value") for one in row.xpath(".//input")}
    asked = engineer.post("/console/dead-letters/resend", fields)
    assert asked.heading == "Send 1 message again?"
    second = send(console_server, corrupt(sender))
    changed = engineer.submit(asked, "/console/dead-letters/resend")
    assert changed.heading == "Send 2 messages again?"
    done = engineer.submit(changed, "/console/dead-letters/resend")
    assert done.heading == "Sent again"
    assert {a.text_content() for a in done.tree.xpath("//main//li/a")} == {first, second}
    assert "characters that are not of base64" in done.words


def test_a_result_shows_its_fields_by_name(console_server: Server, people: People) -> None:
    page = search(
        people["integration"], send(console_server, oru(nhs_number(), (report_number(), "F")))
    )
    assert "PID-3 patient ids" in page.words
    assert "OBR-4 service" in page.words


@pytest.mark.parametrize("role", ["viewer", "operator", "privacy", "clinician"])
def test_messages_are_for_integration_alone(
    console_server: Server, people: People, role: str
) -> None:
    control_id = send(console_server, corrupt())
    place = search(people["integration"], control_id).url
    assert people[role].get(place).status == http.client.NOT_FOUND
    assert people[role].get("/console/messages").status == http.client.NOT_FOUND
    if role != "operator":
        assert search(people[role], control_id).heading == "Nothing found"


def test_home_says_what_waits_and_leads_there(console_server: Server, people: People) -> None:
    send(console_server, corrupt())
    home = people["integration"].get("/console")
    (place,) = home.tree.xpath("//ul//a[contains(@href, 'state=refused')]/@href")
    assert people["integration"].get(place).tree.xpath("//table//a")
    assert "Messages refused" in people["viewer"].get("/console").words
