"""The body of a request: read no further than it may be long, whether its length is said or not."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from xds.fhir.http import negotiation
from xds.fhir.http.tidying import tidied
from xds.fhir.r4 import json, structure, xml
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_XML
from xds.http.request_body import RequestBody
from xds.http.slow_clients import TooMany, TooSlow

_MOST_DRAINED: Final = 64 * 1024 * 1024
_NOT_ERRORS: Final = frozenset({"warning", "information"})


class Body:
    """The body of one request; belongs to one thread."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._body = RequestBody(environ)

    def read(self, most: int) -> bytes:
        """Read the whole body; Refused 413 when it is longer, 400 when it ends too early."""
        if self._body.coding != "identity":
            raise Refused.because(415, "not-supported", "a compressed body is not supported")
        if (self._body.declared or 0) > most:
            raise _too_long(most)
        data = b"".join(self._blocks(most))
        if self._body.count < (self._body.declared or 0):
            raise _incomplete()
        return data

    def _blocks(self, most: int) -> Iterator[bytes]:
        try:
            while block := self._body.read_on():
                if self._body.count > most:
                    raise _too_long(most)
                yield block
        except TooSlow as error:
            raise Refused.because(408, "timeout", "the body came too slowly") from error
        except TooMany as error:
            raise _too_many() from error
        except OSError as error:
            raise _incomplete() from error

    def drain(self) -> None:
        """Read on to the end, within bounds, so that a sender in full flow hears the answer."""
        self._body.drain(_MOST_DRAINED)


def resource_of(
    data: bytes, content_type: str, expected: str, deepest: int, *, is_lenient: bool = False
) -> tuple[Resource, str, list[Issue]]:
    """Read a resource: itself, its form, and the warnings; Refused with every problem it has.

    It is tidied (:mod:`xds.fhir.http.tidying`); white space in a URI or a code is a problem.
    ``is_lenient`` returns problems of a resource that can be read among the warnings, as errors.
    """
    form = negotiation.body_form(content_type) or negotiation.guessed_form(data)
    if form == FHIR_XML:
        resource, issues = xml.read(data, deepest)
    else:
        resource, issues = json.read(data, deepest), []
    issues = [*issues, *structure.problems(resource, expected=expected)]
    if not is_lenient and any(issue.severity not in _NOT_ERRORS for issue in issues):
        raise Refused(400, issues)
    return resource, form, [*issues, *tidied(resource)]


def _incomplete() -> Refused:
    return Refused.because(400, "incomplete", "the body ends before it is complete")


def _too_many() -> Refused:
    told = "too many requests wait for their clients at the moment; try again later"
    return Refused.because(503, "throttled", told)


def _too_long(most: int) -> Refused:
    return Refused.because(413, "too-long", f"the body is longer than {most} bytes")
