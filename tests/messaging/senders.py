"""MDM and ORU messages of a laboratory, written by hand."""

import base64
import secrets
from itertools import count
from typing import Final

NHS: Final = "2.16.840.1.113883.2.1.4.1"
PDF: Final = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"


_NUMBERS: Final = count(secrets.randbelow(10**6))


def nhs_number() -> str:
    """Return a number of the range for tests whose check digit holds, another one each time.

    Of a million, chance would soon give one to two tests that share a server.
    """
    while True:
        digits = f"999{next(_NUMBERS) % 10**6:06}"
        check = 11 - sum(int(one) * (10 - place) for place, one in enumerate(digits)) % 11
        if check != 10:
            return digits + str(check % 11)


def report_number() -> str:
    """Return a number that no report has."""
    return f"T26-{secrets.token_hex(4).upper()}"


def pdf(text: str) -> bytes:
    """Return a small PDF."""
    return b"%PDF-1.4\n% " + text.encode() + b"\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"


def mdm(
    trigger: str,
    patient: str,
    number: str,
    *,
    parent: str = "",
    practice: str = "",
    content: bytes = PDF,
    status: str = "AU",
    sender: str = "LAB|T25",
) -> bytes:
    """Write an MDM; with content where its event has one."""
    control_id = f"C{secrets.token_hex(8)}"
    lines = [
        f"MSH|^~\\&|{sender}|XDS|SCR|20260301120000||MDM^{trigger}|{control_id}|P|2.4",
        f"EVN|{trigger}|20260301120000",
        f"PID|1||{patient}^^^NHS^NH||Doe^Ann||19800229|F|||1 High St^^Town^^LS1 1AA",
        *([f"PD1|||Surgery^^{practice}"] if practice else []),
        "PV1|1|N",
        f"TXA|1|11502-2^Report^LN|AP|20260301||20260301120000||||||{number}^LAB"
        f"|{parent}{'^LAB' if parent else ''}||||{status}||AV",
    ]
    if trigger in ("T02", "T04", "T06", "T08", "T10"):
        text = base64.b64encode(content).decode()
        lines.append(f"OBX|1|ED|11502-2^Report^LN||^application^pdf^Base64^{text}||||||F")
    return "".join(f"{one}\r" for one in lines).encode()


def oru(patient: str, *reports: tuple[str, str], sender: str = "LAB|T25") -> bytes:
    """Write an ORU of some reports, by number and OBR-25; final ones have a document."""
    lines = [
        f"MSH|^~\\&|{sender}|XDS|SCR|20260301130000||ORU^R01|C{secrets.token_hex(8)}|P|2.5.1",
        f"PID|1||{patient}^^^NHS^NH||Doe^Ann||19800229|F",
    ]
    for place, (number, status) in enumerate(reports, 1):
        lines.append(
            f"OBR|{place}|P{number}^LAB|{number}^LAB|11502-2^Report^LN|||20260301"
            f"|||||||||||||||20260301130000|||{status}"
        )
        if status != "X":
            text = base64.b64encode(pdf(number)).decode()
            lines.append(f"OBX|1|ED|11502-2^Report^LN||^application^pdf^Base64^{text}||||||F")
    return "".join(f"{one}\r" for one in lines).encode()
