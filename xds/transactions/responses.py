"""The ebRS responses as XML text (ITI TF-3 4.2.4; spec of ebRS 3.0)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

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
    objects: Sequence[Any] = (),
    render: Callable[[Any], bytes] = bytes,
    errors: Sequence[RegistryError] = (),
    *,
    paging: tuple[int, int] | None = None,
) -> Response:
    """Return a ``query:AdhocQueryResponse`` around objects, each rendered by ``render``.

    Where there are many, they are rendered as the answer is sent. ``paging`` is startIndex and
    totalResultCount, for a consumer that asked for a page.
    """
    pages = f' startIndex="{paging[0]}" totalResultCount="{paging[1]}"' if paging else ""
    head = (
        f'{_QUERY_RESPONSE}{status_of(errors)}"{pages}>'
        f"{_error_list(errors)}<rim:RegistryObjectList>"
    ).encode()
    if len(objects) > _HELD:
        return Response([head, _QUERY_END], between=_batches(objects, render))
    return Response([b"".join((head, *map(render, objects), _QUERY_END))])


_QUERY_RESPONSE: Final = (
    f'<query:AdhocQueryResponse xmlns:query="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}" '
    f'xmlns:rs="{v.NS_RS}" status="'
)
_QUERY_END: Final = b"</rim:RegistryObjectList></query:AdhocQueryResponse>"
_HELD: Final = 200
"""Objects up to which an answer is held in memory: 2 MB of entries."""
_BATCH: Final = 32


def _batches(objects: Sequence[Any], render: Callable[[Any], bytes]) -> Iterator[bytes]:
    for start in range(0, len(objects), _BATCH):
        yield b"".join(map(render, objects[start : start + _BATCH]))


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
