"""The URL of an endpoint as a client reaches it: what it is told as the address of a resource."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

from xds.config import Config
from xds.url_allowlist import BadTarget, Target

_KEPT: Final = 256


def endpoint_url(environ: Mapping[str, Any], config: Config, path: str) -> str:
    """Return the URL of a path, by ``public_url``, else by what the request says of its host.

    A proxy tells host and scheme by X-Forwarded-Host and X-Forwarded-Proto. Where what a request
    says is no host, it is the URL at which this machine reaches the server.
    """
    if config.public_url:
        return config.public_url + path
    scheme = _first(environ.get("HTTP_X_FORWARDED_PROTO")) or environ.get("wsgi.url_scheme")
    host = _first(environ.get("HTTP_X_FORWARDED_HOST")) or environ.get("HTTP_HOST") or ""
    return (_origin(scheme or "", host) or config.url) + path


@lru_cache(_KEPT)
def _origin(scheme: str, host: str) -> str | None:
    if "/" not in host and "?" not in host:
        with suppress(BadTarget):
            return Target.parse(f"{scheme}://{host.strip()}").url
    return None


def _first(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()
