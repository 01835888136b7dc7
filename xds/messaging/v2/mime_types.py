"""What senders call the type of a document in an ED (HL7 tables 0191 and 0291), as MIME types."""

from collections.abc import Mapping
from typing import Final

MULTIPART: Final = "multipart/related"
XML: Final = "text/xml"

_SUBTYPES: Final[Mapping[str, str]] = {
    "pdf": "application/pdf",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "tiff": "image/tiff",
    "tif": "image/tiff",
    "html": "text/html",
    "rtf": "text/rtf",
    "plain": "text/plain",
    "txt": "text/plain",
    "text": "text/plain",
    "xml": XML,
    "cda": XML,
    "x-hl7-cda-level-one": XML,
    "dicom": "application/dicom",
    "json": "application/json",
    "postscript": "application/postscript",
}
_SYNONYMS: Final[Mapping[str, str]] = {
    "application/xml": XML,
    "application/x-pdf": "application/pdf",
    "image/jpg": "image/jpeg",
    "application/rtf": "text/rtf",
    "application/octet-stream": "",
}
_MAGIC: Final[Mapping[bytes, str]] = {
    b"JVBERi0": "application/pdf",
    b"e1xydGY": "text/rtf",
    b"/9j/": "image/jpeg",
    b"iVBORw0": "image/png",
    b"UEsDB": "application/zip",
    b"R0lGOD": "image/gif",
    b"SUkqA": "image/tiff",
    b"TU0AK": "image/tiff",
    b"PD94bWw": XML,
    b"PENsaW5": XML,
    b"PGh0bWw": "text/html",
}
"""How base64 text of documents begins."""


def declared(kind: str, subtype: str) -> str:
    """Return the MIME type that ED.2 and ED.3 name; empty where they name none.

    Some write the whole type in either of them.
    """
    if kind.casefold() == "multipart":
        return MULTIPART
    for text in (subtype.casefold(), kind.casefold()):
        if "/" in text:
            return _SYNONYMS.get(text, text)
        if text in _SUBTYPES:
            return _SUBTYPES[text]
    return ""


def of_base64(head: bytes) -> str:
    """Return the MIME type of a document of which the base64 text begins so; empty if of none."""
    return next((mime for magic, mime in _MAGIC.items() if head.startswith(magic)), "")
