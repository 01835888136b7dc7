"""The one XML parser for everything that comes from outside.

No DTD, no entities, no network, bounded depth. Nothing else calls lxml's parser on input.
"""

import re
import threading
from typing import Final

from lxml import etree

_HUGE: Final = 10_000_000
"""Bytes beyond which libxml2 must be told that a long text is meant (un-optimised base64)."""

_PROLOG: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s+|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL)

_BYTE_ORDER_MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_BYTE_ORDERS: Final = ((b"<\0", "utf-16le"), (b"\0<", "utf-16be"))
_DECLARED: Final = re.compile(rb"<\?xml\s[^>]*?\sencoding\s*=\s*[\"']([\w.-]+)")

_TELLING: Final = (
    ("Excessive depth", "The XML is nested too deeply"),
    ("Maximum entity amplification", "The XML has entities, which are refused"),
)
"""What libxml2 says where it is beside the point that the XML is not well-formed."""


class MalformedXML(ValueError):
    """What came is not XML, or XML that is refused; the sentence may be shown to the sender."""


class _Parsers(threading.local):
    """A parser a thread: lxml parsers are locked while they work."""

    def __init__(self) -> None:
        self.usual = _parser(huge=False)


def _parser(*, huge: bool, encoding: str | None = None) -> etree.XMLParser:
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=huge,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


_PARSERS: Final = _Parsers()


def parse(data: bytes, *, encoding: str | None = None) -> etree._Element:
    """Parse a document; ``encoding`` is what the transport says of it.

    Raises MalformedXML for what is not well-formed, has a DTD, or is nested deeper than 256
    elements (2,048 in a document beyond 10 MB).
    """
    if _PROLOG.match(data[:100_000]):
        raise MalformedXML("The XML has a DTD, which is refused.")
    try:
        root = etree.fromstring(data, _chosen(data, encoding))
    except etree.XMLSyntaxError as error:
        raise MalformedXML(_reason(error)) from None
    except LookupError:
        raise MalformedXML("The character encoding is not known.") from None
    except ValueError as error:
        raise MalformedXML("The XML cannot be read.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedXML("The XML has a DTD, which is refused.")
    return root


def _chosen(data: bytes, encoding: str | None) -> etree.XMLParser:
    encoding = _encoding(data, encoding)
    if encoding is not None or len(data) > _HUGE:
        return _parser(huge=len(data) > _HUGE, encoding=encoding)
    return _PARSERS.usual


def _encoding(data: bytes, of_transport: str | None) -> str | None:
    """Return what the parser must be told, nothing where it will find out (RFC 7303, 3.2, 3.3).

    The transport knows better than an XML declaration, which may be older than the last recoding.
    """
    if data.startswith(_BYTE_ORDER_MARKS):
        return None
    for start, encoding in _BYTE_ORDERS:
        if data.startswith(start):
            return encoding
    declared = _DECLARED.match(data)
    own = declared[1].decode("ascii").lower() if declared else "utf-8"
    told = (of_transport or "us-ascii").lower().replace("utf8", "utf-8")
    return None if told in ("us-ascii", own) else told


def _reason(error: etree.XMLSyntaxError) -> str:
    """Return libxml2's words with the place, without what it quotes of the text."""
    message = (error.msg or "no element found").rpartition(", line ")[0] or error.msg or ""
    line, column = error.position
    for start, told in _TELLING:
        if message.startswith(start):
            return f"{told} (line {line}, column {column})."
    words = " ".join(message.split()).rstrip(".")
    return f"The XML is not well-formed: {words} (line {line}, column {column})."
