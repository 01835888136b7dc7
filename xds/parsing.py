"""The one XML parser for everything that comes from outside.

No DTD, no entities, no network, bounded depth and size. Nothing else calls lxml's parser on input.

lxml keeps every name that it has read, and short texts, for as long as the thread lives that read
them: so whoever sends names that nobody has used before could fill the memory, little by little.
So the threads that serve let go of them when they have read a mebibyte (:func:`forget_names`).
"""

import ctypes
import re
import threading
from functools import cache
from typing import Final

from lxml import etree

from xds.errors import FailureKind

_HUGE: Final = 10_000_000
"""Bytes beyond which libxml2 must be told that a long text is meant (un-optimised base64)."""

DEEPEST: Final = 256
"""How deep libxml2 itself lets elements be nested."""

_MOST_MARKUP: Final = 2_000_000
"""Tags and attributes: each takes some 150 bytes of memory, and as few as four of the message."""
_MOST_READ: Final = 1 << 20
"""Bytes after which a thread that serves lets go of the names that are kept for it."""
_KEPT_NAMES: Final = "_ParserDictionaryContext"
"""Where the state of a thread has what lxml keeps for it; tests/test_parsing.py watches it."""

_state_of_thread: Final = ctypes.pythonapi.PyThreadState_GetDict
_state_of_thread.restype, _state_of_thread.argtypes = ctypes.c_void_p, []

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
    """What came is not XML, or XML that is refused; the sentence may be shown to the sender.

    ``logged`` is what a log may have of it: where text is taken for markup, libxml2 names it.
    ``line`` and ``column`` are counted from one; they are None where the whole is refused.
    """

    def __init__(
        self,
        told: str,
        logged: str | None = None,
        place: tuple[int | None, int | None] = (None, None),
    ) -> None:
        super().__init__(told)
        self.logged = logged or told
        self.line, self.column = place

    failure_kind = FailureKind.MALFORMED


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


def hardened() -> etree.XMLParser:
    """Return a parser as ``parse`` uses it, for a library that parses again what was parsed."""
    return _parser(huge=False)


def parse(data: bytes, *, encoding: str | None = None, deepest: int = DEEPEST) -> etree._Element:
    """Parse a document; ``encoding`` is what the transport says of it.

    Raises MalformedXML for what is not well-formed, has a DTD, has more than two million tags and
    attributes, or is nested deeper than ``deepest`` elements (where that is 256: deeper than 2,048
    in a document beyond 10 MB).
    """
    if _PROLOG.match(data[:100_000]):
        raise MalformedXML("The XML has a DTD, which is refused.")
    # for white space before the sign and for base64 that ends in it, an attribute or two too many
    if data.count(b"<") + data.count(b"=") > _MOST_MARKUP:
        raise MalformedXML(f"The XML has more than {_MOST_MARKUP} tags and attributes.")
    _THREAD.read += len(data)
    root = _parsed(data, _encoding(data, encoding), _THREAD.parser)
    if deepest < DEEPEST and _deeper_than(deepest)(root):
        raise MalformedXML(f"The XML is nested deeper than {deepest} elements.")
    return root


@cache
def _deeper_than(depth: int) -> etree.XPath:
    return etree.XPath(f"boolean({'/*' * (depth + 1)})")


def forget_names() -> None:
    """Have this thread begin anew with names, if it has read so much that there may be many.

    What was parsed keeps its names for as long as it is there.
    """
    if _THREAD.read > _MOST_READ:
        # a parser that has parsed would bring the names along
        _THREAD.parser, _THREAD.read = _parser(huge=False), 0
        state = ctypes.cast(_state_of_thread(), ctypes.py_object).value
        state.pop(_KEPT_NAMES, None)


class _Thread(threading.local):
    """The usual parser of a thread, and how many bytes it has read."""

    def __init__(self) -> None:
        self.parser = _parser(huge=False)
        self.read = 0


_THREAD: Final = _Thread()


def _parsed(data: bytes, encoding: str | None, usual: etree.XMLParser) -> etree._Element:
    try:
        root = etree.fromstring(data, _chosen(data, encoding, usual))
    except etree.XMLSyntaxError as error:
        raise _malformed(error) from None
    except LookupError:
        raise MalformedXML("The character encoding is not known.") from None
    except ValueError as error:
        raise MalformedXML("The XML cannot be read.") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedXML("The XML has a DTD, which is refused.")
    return root


def _chosen(data: bytes, encoding: str | None, usual: etree.XMLParser) -> etree.XMLParser:
    if encoding is not None or len(data) > _HUGE:
        return _parser(huge=len(data) > _HUGE, encoding=encoding)
    return usual


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


def _malformed(error: etree.XMLSyntaxError) -> MalformedXML:
    """Return the error with libxml2's words and the place."""
    message = (error.msg or "no element found").rpartition(", line ")[0] or error.msg or ""
    line, column = error.position
    place = f"(line {line}, column {column})."
    for start, told in _TELLING:
        if message.startswith(start):
            return MalformedXML(f"{told} {place}", place=error.position)
    words, told = " ".join(message.split()).rstrip("."), "The XML is not well-formed"
    return MalformedXML(f"{told}: {words} {place}", f"{told} {place}", error.position)
