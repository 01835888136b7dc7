"""What a request may have fetched, as the options say it."""

from xds.config import Config
from xds.outgoing.fetching import Fetching
from xds.tls import contexts
from xds.url_allowlist import prefixes


def fetching_of(config: Config) -> Fetching:
    """Return what the options allow to be fetched."""
    allowed = prefixes(config.fhir_fetch_from or "")
    tls = contexts.outgoing(config) if allowed else None
    return Fetching(allowed, config.max_fhir_bytes, tls=tls)
