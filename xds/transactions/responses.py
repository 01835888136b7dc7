"""The ebRS responses as XML text (ITI TF-3 4.2.4; spec of ebRS 3.0)."""

from collections.abc import Iterable, Sequence
from typing import Final

from xds.errors import ERROR_SEVERITY, WARNING_SEVERITY, RegistryError
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.transactions.messages import Response

_UNSAFE: Final = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "?")


def registry_response(errors: Sequence[RegistryError] = (), status: str | None = None) -> bytes:
    """Render an ``rs:RegistryResponse``; the status follows from the errors unless it is given."""
    return (
        f'<rs:RegistryResponse xmlns:rs="{v.NS_RS}" status="{status or status_of(errors)}">'
        f"{_error_list(errors)}</rs:RegistryResponse>"
    ).encode()


def status_of(errors: Iterable[RegistryError]) -> str:
    """Return Failure where there is an error, Success where there are warnings at most."""
    failed = any(error.severity == ERROR_SEVERITY for error in errors)
    return v.FAILURE if failed else v.SUCCESS


def refused(errors: Sequence[RegistryError]) -> Response:
    """Render the refusal of a transaction that answers with a RegistryResponse."""
    return Response([registry_response(errors)])


def query_response(
    objects: Iterable[bytes],
    errors: Sequence[RegistryError] = (),
    *,
    paging: tuple[int, int] | None = None,
) -> Sequence[bytes]:
    """Render a ``query:AdhocQueryResponse`` around objects that are rendered already.

    ``paging`` is startIndex and totalResultCount, for a consumer that asked for a page.
    """
    pages = f' startIndex="{paging[0]}" totalResultCount="{paging[1]}"' if paging else ""
    head = (
        f'<query:AdhocQueryResponse xmlns:query="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}" '
        f'xmlns:rs="{v.NS_RS}" status="{status_of(errors)}"{pages}>'
        f"{_error_list(errors)}<rim:RegistryObjectList>"
    )
    tail = "</rim:RegistryObjectList></query:AdhocQueryResponse>"
    return [b"".join((head.encode(), *objects, tail.encode()))]


def _error_list(errors: Sequence[RegistryError]) -> str:
    if not errors:
        return ""
    failed = any(error.severity == ERROR_SEVERITY for error in errors)
    highest = ERROR_SEVERITY if failed else WARNING_SEVERITY
    rendered = "".join([_error(error) for error in errors])
    return f'<rs:RegistryErrorList highestSeverity="{highest}">{rendered}</rs:RegistryErrorList>'


def _error(error: RegistryError) -> str:
    return (
        f'<rs:RegistryError errorCode="{_text(error.code)}" '
        f'codeContext="{_text(error.code_context)}" '
        f'severity="{error.severity}" location="{_text(error.location)}"/>'
    )


def _text(text: str) -> str:
    return escape(text.translate(_UNSAFE))
