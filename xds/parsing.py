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
    """Parse a document; ``encoding`` is that of the transport, for documents that declare none.

    Raises MalformedXML for what is not well-formed, has a DTD, or is nested deeper than 256
    elements (2,048 in a document beyond 10 MB).
    """
    if _PROLOG.match(data[:100_000]):
        raise MalformedXML("The XML has a DTD, which is refused.")
    try:
        root = etree.fromstring(data, _chosen(data, encoding))
    except etree.XMLSyntaxError as error:
        raise MalformedXML(f"The XML is not well-formed: {_reason(error)}.") from None
    except LookupError:
        raise MalformedXML("The character encoding is not known.") from None
    except ValueError as error:
        raise MalformedXML("The XML cannot be read.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedXML("The XML has a DTD, which is refused.")
    return root


def _chosen(data: bytes, encoding: str | None) -> etree.XMLParser:
    if encoding is not None and not data.startswith((b"<?xml", b"\xef\xbb\xbf", b"\xff", b"\xfe")):
        return _parser(huge=len(data) > _HUGE, encoding=encoding)
    return _parser(huge=True) if len(data) > _HUGE else _PARSERS.usual


def _reason(error: etree.XMLSyntaxError) -> str:
    """Return libxml2's words with the place, without what it quotes of the text."""
    message = (error.msg or "no element found").rpartition(", line ")[0] or error.msg or ""
    line, column = error.position
    return f"{message.rstrip('.')} (line {line}, column {column})"
