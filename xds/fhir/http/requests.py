"""What a request says beside its body: parameters, the form that is wanted, the base URL."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import falcon

from xds.config import Config
from xds.fhir.http import negotiation
from xds.fhir.r4.outcome import Refused
from xds.fhir.vocabulary import FHIR_JSON
from xds.url_allowlist import BadTarget, Target

Parameters = tuple[tuple[str, str], ...]
ROOT: Final = "/fhir"
PAGE_FORMATS: Final = frozenset({"html", "text/html"})
"""What ``_format`` says of a page."""
FORM: Final = "xds.form"
"""The key of the environment with the form that is wanted."""
_LONGEST_QUERY: Final = 64 * 1024


def of_query(environ: Mapping[str, Any]) -> Parameters:
    """Return the parameters of the URL, decoded; Refused where it is too long."""
    query: str = environ.get("QUERY_STRING", "")
    if len(query) > _LONGEST_QUERY:
        raise Refused.because(
            414, "too-long", "the URL is too long; a search can be sent by POST to _search"
        )
    return negotiation.parameters(query.encode("latin-1"))


def wanted(environ: dict[str, Any], parameters: Parameters) -> tuple[str, bool]:
    """Return the form that is wanted, and whether it is to be indented."""
    given = dict(reversed(parameters))
    form = negotiation.answer_form(environ.get("HTTP_ACCEPT", ""), given.get("_format"))
    environ[FORM] = form
    return form, given.get("_pretty") == "true"


def wanted_if_any(environ: dict[str, Any], parameters: Parameters) -> tuple[str, bool]:
    """Return the same where the answer is no resource as a rule: anything may be wanted."""
    try:
        return wanted(environ, parameters)
    except Refused:
        environ[FORM] = FHIR_JSON
        return FHIR_JSON, False


def wants_page(environ: Mapping[str, Any]) -> bool:
    """Tell whether a browser asks for something of FHIR, or HTML is named by _format."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return False
    try:
        given = dict(reversed(of_query(environ))).get("_format")
    except Refused:  # which is told when the parameters are read
        given = None
    if given:
        return given in PAGE_FORMATS
    return negotiation.wants_page(environ.get("HTTP_ACCEPT", ""), FHIR_JSON)


def base(request: falcon.Request, config: Config) -> str:
    """Return the base URL as the client sees it; Refused where its headers have no sound one."""
    if config.public_url:
        return config.public_url + ROOT
    scheme, host = (
        text.partition(",")[0].strip()
        for text in (request.forwarded_scheme, request.forwarded_host)
    )
    if "/" not in host and "?" not in host:
        with suppress(BadTarget):
            return f"{Target.parse(f'{scheme}://{host}').url}{request.root_path}{ROOT}"
    raise Refused.because(
        400, "invalid", "the headers Host, Forwarded or X-Forwarded-* name no host"
    )
