"""What a client sends and what it takes: media types, parameters, preferences (MHD, FHIR R4 http).

Clients write more than the standard allows. What can only be meant in one way is read that way.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from xds.fhir.r4.outcome import Refused
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML

FORM: Final = "application/x-www-form-urlencoded"

_JSON: Final = (FHIR_JSON, "application/json", "text/json", "application/json+fhir")
_XML: Final = (FHIR_XML, "application/xml", "text/xml", "application/xml+fhir")
_FORMS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_JSON, FHIR_JSON),
    **dict.fromkeys(_XML, FHIR_XML),
}
"""The form that each media type means; besides those of R4, of DSTU2 and of plain clients."""
_NATIVE: Final = frozenset({FHIR_JSON, FHIR_XML, "application/json"})
_SHORT: Final[Mapping[str, str]] = {"json": FHIR_JSON, "xml": FHIR_XML}
_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii"})

_PAGE: Final = "text/html"
_XHTML: Final = "application/xhtml+xml"
_ITS_OWN: Final = "~"  # after every media type in the order of text
_MOST_ACCEPT: Final = 1_000
"""Characters of an Accept header that are read: what is understood of it is kept."""
_MOST_PARAMETERS: Final = 1_000
_MALFORMED_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_QUALITY: Final = re.compile(r"(?:0?\.\d+|0\.?|1(?:\.0*)?)")
"""Old clients in Java leave the nought away."""
_PARTS: Final = re.compile(r'((?:[^,"]|"(?:[^"\\]|\\.)*")+)')


class MediaType(NamedTuple):
    """A media type or range, in lower case, with its parameters."""

    name: str
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "MediaType":
        """Take it apart; what is no parameter is passed over."""
        name, *rest = text.split(";")
        pairs = (part.partition("=") for part in rest)
        return cls(
            name.strip().lower(),
            {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs},
        )

    @property
    def is_this_version(self) -> bool:
        """Whether FHIR R4 is meant, or no version named (FHIR R4, http 3.1.0.1.10)."""
        return self.parameters.get("fhirversion", "4.0") in _VERSIONS


# --- what the body is ----------------------------------------------------------------------------


def body_form(content_type: str) -> str | None:
    """Return FHIR_JSON or FHIR_XML, None where no type is given; Refused 415 for any other."""
    if not content_type.strip():
        return None
    given = MediaType.parse(content_type)
    form = _FORMS.get(given.name)
    if form is None:
        raise _unsupported(f"the body must be {FHIR_JSON} or {FHIR_XML}")
    if not given.is_this_version:
        raise _unsupported("this server speaks FHIR 4.0")
    _check_charset(given)
    return form


def guessed_form(data: bytes) -> str:
    """Return the form of a body without a type: XML begins with a tag, JSON never."""
    return FHIR_XML if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else FHIR_JSON


def check_form_body(content_type: str) -> None:
    """Refuse the body of a search by POST that is no form (FHIR R4, http 3.1.0.1.9)."""
    given = MediaType.parse(content_type)
    if given.name not in ("", FORM):
        raise _unsupported(f"the body of a search must be {FORM}")
    _check_charset(given)


def _check_charset(given: MediaType) -> None:
    if given.parameters.get("charset", "utf-8").lower() not in _CHARSETS:
        raise _unsupported("the charset must be UTF-8")


def _unsupported(diagnostics: str) -> Refused:
    return Refused.because(415, "not-supported", diagnostics)


# --- what the answer is to be --------------------------------------------------------------------


def answer_form(accept: str, wanted: str | None = None) -> str:
    """Return FHIR_JSON or FHIR_XML by ``_format``, else by Accept; Refused 406 for neither."""
    found = _named_form(wanted) if wanted else _accepted_form(accept[:_MOST_ACCEPT])
    if found is None:
        raise Refused.because(
            406, "not-supported", f"the answer can be had as {FHIR_JSON} or {FHIR_XML}"
        )
    return found


def _named_form(wanted: str) -> str | None:
    # a plus sign that a client has not encoded arrives as a space
    given = MediaType.parse(wanted.strip().replace(" ", "+"))
    if not given.is_this_version:
        return None
    return _SHORT.get(given.name) or _FORMS.get(given.name)


@lru_cache(maxsize=256)
def _accepted_form(accept: str) -> str | None:
    ranked = [(_quality(accept, form), form) for form in (FHIR_JSON, FHIR_XML)]
    # another name of a form is meant only where it is named, not by a wildcard
    ranked += [(found, _FORMS[name]) for found, name in _named(accept)]
    best, form = max(ranked, key=lambda pair: pair[0])
    return form if best.weight > 0 else None


def _named(accept: str) -> list[tuple["Quality", str]]:
    """Return the types of FHIR that Accept names, with their weight."""
    weighed = ((_quality(accept, name), name) for name in _FORMS)
    return [(found, name) for found, name in weighed if found.specificity == _ITSELF]


class Quality(NamedTuple):
    """How much a client likes a media type; the greater, the more."""

    weight: float
    specificity: int
    """Of the type itself, of its kind, of anything, or of nothing that the header has."""
    place: int
    """The earlier it stands in the header, the greater."""


_ITSELF: Final = 2
_KIND: Final = 1
_ANYTHING: Final = 0
_NOT_ACCEPTED: Final = Quality(0.0, -1, 0)


def _quality(accept: str, media_type: str) -> Quality:
    """Weigh a type by the most specific range that has it (RFC 9110, 12.5.1)."""
    if not accept.strip():
        return Quality(1.0, _ANYTHING, 0)
    kind = media_type.partition("/")[0]
    names = {media_type: _ITSELF, f"{kind}/*": _KIND, "*/*": _ANYTHING}
    found = [
        (names[given.name], Quality(weight, names[given.name], -place))
        for place, (given, weight) in enumerate(_ranges(accept))
        if given.name in names and given.is_this_version
    ]
    return max(found)[1] if found else _NOT_ACCEPTED


def _ranges(accept: str) -> Iterator[tuple[MediaType, float]]:
    for part in _PARTS.findall(accept):
        given = MediaType.parse(part)
        weight = given.parameters.get("q", "1")
        # a weight that is none is worth nothing, as is the range then
        yield given, float(weight) if _QUALITY.fullmatch(weight) else 0.0


def admits(accept: str, media_type: str) -> bool:
    """Tell whether Accept admits a type, of which parameters do not count."""
    return _admits(accept[:_MOST_ACCEPT], media_type)


@lru_cache(maxsize=256)
def _admits(accept: str, media_type: str) -> bool:
    return _quality(accept, MediaType.parse(media_type).name).weight > 0


def wants_page(accept: str, media_type: str) -> bool:
    """Tell whether a browser asks, which gets HTML that shows a thing in place of the thing.

    Browsers like HTML and XHTML better than what they do not know. Whoever names HTML alone is
    taken for one where the thing is of a type that he does not take: old clients in Java name it
    with every request, and mean whatever there is.
    """
    return "html" in accept and _wants_page(accept[:_MOST_ACCEPT], media_type)


@lru_cache(maxsize=256)
def _wants_page(accept: str, media_type: str) -> bool:
    page, own = (_quality(accept, name) for name in (_PAGE, MediaType.parse(media_type).name))
    if page.weight == 0 or page.specificity != _ITSELF:
        return False
    if _quality(accept, _XHTML).specificity == _ITSELF:
        return own.specificity != _ITSELF or page >= own
    return own.weight == 0


def is_of_library(accept: str) -> bool:
    """Tell whether Accept has FHIR types and nothing else.

    Libraries for FHIR send that with every request, whatever it is for: HAPI both forms with
    their weights and older names. It says nothing of the document at an attachment's URL.
    """
    ranges = list(_ranges(accept[:_MOST_ACCEPT]))
    liked = {given.name for given, weight in ranges if weight > 0}
    return all(given.name in _FORMS for given, _ in ranges) and not liked.isdisjoint(_NATIVE)


def binary_form(accept: str, media_type: str) -> str | None:
    """Return the form of a Binary resource, or None where the bytes themselves are wanted.

    A client that names a FHIR type gets the resource, also where the document is of that type
    (FHIR R4, Binary 2.40.4.2; MHD issue 233). Refused 406 where it takes neither.
    """
    accept = accept[:_MOST_ACCEPT]
    own = _quality(accept, MediaType.parse(media_type).name)
    ranked = [
        # of types that are liked alike, those of FHIR come before the document's, others after it
        (found.weight, found.specificity, name in (FHIR_JSON, FHIR_XML), name)
        for found, name in _named(accept)
    ]
    weight, *_, chosen = max([*ranked, (own.weight, own.specificity, False, _ITS_OWN)])
    if weight == 0:
        raise Refused.because(
            406,
            "not-supported",
            f"the document can be had as {media_type}, or as a Binary resource in {FHIR_JSON} or "
            f"{FHIR_XML}",
        )
    return _FORMS.get(chosen)


# --- parameters and preferences ------------------------------------------------------------------


def parameters(encoded: bytes) -> tuple[tuple[str, str], ...]:
    """Decode the parameters of a URL or a form, in their order; Refused 400 for what is none.

    Percent-decoding is that of RFC 3986, and a plus sign is a space in URLs as well.
    """
    pairs = [part.partition(b"=") for part in encoded.split(b"&") if part]
    if len(pairs) > _MOST_PARAMETERS:
        raise Refused.because(
            400, "too-costly", f"there are more than {_MOST_PARAMETERS} parameters"
        )
    return tuple((_decoded(name), _decoded(value)) for name, _, value in pairs)


def _decoded(text: bytes) -> str:
    if _MALFORMED_PERCENT.search(text):
        raise Refused.because(
            400, "invalid", "a percent sign in a parameter is not followed by two hex digits"
        )
    try:
        decoded = unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise Refused.because(400, "invalid", "a parameter is not UTF-8") from None
    if "\0" in decoded:
        raise Refused.because(400, "invalid", "a parameter has a null character")
    return decoded


def preferences(prefer: str) -> dict[str, str]:
    """Take a Prefer header apart (RFC 7240); of a preference given twice the first counts."""
    found: dict[str, str] = {}
    for part in re.split("[,;]", prefer):
        name, _, value = part.partition("=")
        if name.strip():
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found
