"""CDA documents in a MIME package (multipart/related), as HL7 CDA R2 3 has them in an ED."""

from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from xds.messaging.model import CarriedContent
from xds.messaging.v2 import mime_types
from xds.messaging.verdicts import CORRUPT, TOO_LARGE, refused

_MOST_BYTES: Final = 32 << 20
"""Of a package, which is taken apart in memory."""


def parts_of(package: CarriedContent) -> list[CarriedContent]:
    """Return the documents of a package, the root first; ContentRefused where it is none."""
    data = bytearray()
    for block in package.chunks():
        data += block
        if len(data) > _MOST_BYTES:
            reason = f"a MIME package has {_MOST_BYTES} bytes at most"
            raise refused(TOO_LARGE, package.location, reason)
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(_with_header(bytes(data)))
    parts = list(message.iter_parts()) if message.is_multipart() else []
    root = message.get_param("start")
    parts.sort(key=lambda part: part["Content-ID"] != root if root else False)
    found = [_content(part, package.location) for part in parts]
    if not found:
        raise refused(CORRUPT, package.location, "it is no MIME package")
    return found


def _with_header(data: bytes) -> bytes:
    """Return a package with its header, which is left out where the ED itself is taken for it."""
    data = data.lstrip()
    if not data.startswith(b"--"):
        return data
    boundary = data.splitlines()[0][2:].strip()
    return b'Content-Type: multipart/related; boundary="' + boundary + b'"\r\n\r\n' + data


def _content(part: MIMEPart, location: str) -> CarriedContent:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    kind = part.get_content_type()
    if "x-hl7-cda" in kind:
        kind = mime_types.XML
    return CarriedContent(
        chunks=lambda: iter((data,)),
        mime_type=mime_types.declared("", kind),
        location=location,
    )
