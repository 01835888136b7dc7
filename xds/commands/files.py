"""The files that options name: read once, as every process of a server will."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from xds.config import Config


def wrong_files(config: Config) -> list[str]:
    """Read every file that an option names; say in a line each what is amiss, and of which option.

    A policy has a line for each mistake in it.
    """
    return [
        line if _names_option(line) else f"{option}: {line}"
        for option, read in _readings(config).items()
        if (reason := _reason(read)) is not None
        for line in reason.splitlines()
    ]


def _readings(config: Config) -> Mapping[str, Callable[[], object]]:
    from xds.content import defaults
    from xds.content.forms import table as forms
    from xds.content.reading.cda_schema import CdaSchema
    from xds.messaging.outbound import destinations_file
    from xds.metadata import code_sets
    from xds.metadata.systems import Systems

    readings: dict[str, Callable[[Path], object]] = {
        "code_sets": lambda path: code_sets.read(path.name, path.read_bytes()),
        "identifier_systems": Systems.read,
        "generate_defaults": defaults.read,
        "user_issuers": _read_issuers,
        "policy": _read_policy,
        "destinations": destinations_file.read,
        "document_forms": forms.read,
        "cda_schema": CdaSchema,
        "flavours": _read_flavours,
    }
    named = {option: getattr(config, option) for option in readings}
    found: dict[str, Callable[[], object]] = {
        option: partial(readings[option], path) for option, path in named.items() if path
    }
    return {**found, **_of_tls(config), **_of_bucket(config), **_of_console(config)}


def _read_issuers(path: Path) -> None:
    from xds.security.issuers import BadIssuers, Issuers
    from xds.security.key_sets import keys_of

    for name, issuer in Issuers.read(path).tokens.items():
        if issuer.file is None:
            continue
        try:
            found = keys_of(issuer.file.read_bytes())
        except ValueError as error:
            raise BadIssuers(f"{path}: {name}: {issuer.file}: {error}") from None
        if not found:
            raise BadIssuers(f"{path}: {name}: {issuer.file}: no key that may verify a token")


def _read_policy(path: Path) -> None:
    from xds.metadata.systems import Systems
    from xds.security import policy_file

    try:
        policy_file.read(path.read_bytes(), Systems.of(()))
    except policy_file.PolicyError as error:
        lines = (f"{path} is no policy: {line}" for line in str(error).splitlines())
        raise ValueError("\n".join(lines)) from None


def _read_flavours(path: Path) -> None:
    from xds.messaging.flavours.reading import read_flavours

    read_flavours(path)


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


def _of_console(config: Config) -> Mapping[str, Callable[[], object]]:
    from xds.accounts.vouched import RoleTable

    text = config.console_roles
    return {"console_roles": partial(RoleTable.read, text)} if text else {}


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
