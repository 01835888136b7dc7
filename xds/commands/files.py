"""The files that options name: read once, as every process of a server will."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from xds.config import Config


def wrong_files(config: Config) -> list[str]:
    """Read every file that an option names; say in a line each what is amiss, and of which option.

    The policy is read with the configuration itself.
    """
    return [
        reason if _names_option(reason) else f"{option}: {reason}"
        for option, read in _readings(config).items()
        if (reason := _reason(read)) is not None
    ]


def _readings(config: Config) -> Mapping[str, Callable[[], object]]:
    from xds.fhir import generate_defaults
    from xds.metadata import code_sets
    from xds.metadata.systems import Systems
    from xds.security.issuers import Issuers

    readings: dict[str, Callable[[Path], object]] = {
        "code_sets": lambda path: code_sets.read(path.name, path.read_bytes()),
        "identifier_systems": Systems.read,
        "generate_defaults": generate_defaults.read,
        "user_issuers": Issuers.read,
    }
    named = {option: getattr(config, option) for option in readings}
    found: dict[str, Callable[[], object]] = {
        option: partial(readings[option], path) for option, path in named.items() if path
    }
    return {**found, **_of_tls(config), **_of_bucket(config)}


def _of_tls(config: Config) -> Mapping[str, Callable[[], object]]:
    from xds.tls import contexts, material

    found: dict[str, Callable[[], object]] = {}
    if config.has_tls:
        found["tls_certificate"] = partial(material.read, config)
    if config.tls_outgoing_trust or config.tls_outgoing_certificate:
        found["tls_outgoing_certificate"] = partial(contexts.outgoing, config)
    return found


def _of_bucket(config: Config) -> Mapping[str, Callable[[], object]]:
    certificate = config.documents_settings.get("root_certificate")
    return {"documents_options": Path(certificate).read_bytes} if certificate else {}


def _names_option(reason: str) -> bool:
    """Whether a reason begins with an option, which may be another one of the same reading."""
    return reason.partition(":")[0] in Config.model_fields


def _reason(read: Callable[[], object]) -> str | None:
    try:
        read()
    except OSError as error:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except Exception as error:  # each kind of file has errors of its own
        return str(error)
    return None
