"""The configuration: every option, and where its value comes from.

A value comes from the command line, else from the environment (`XDS_` and the name), else from
the TOML file that `--config` or `XDS_CONFIG` names, else it is the default. Paths of that file lead
from its folder, all others from the present one.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, get_args

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from xds.audit.options import AuditOptions
from xds.console.options import ConsoleLoginOptions, ConsoleOptions
from xds.content.options import ContentOptions
from xds.dsub.options import DsubOptions
from xds.fhir.options import FhirOptions
from xds.hl7v2.options import FeedOptions
from xds.messaging.options import MessagingOptions, OutboundOptions
from xds.notification.options import NotificationOptions
from xds.on_demand.options import OnDemandOptions
from xds.options.domain import EXAMPLE_REPOSITORY as EXAMPLE_REPOSITORY
from xds.options.domain import EXAMPLES as EXAMPLES
from xds.options.domain import DomainOptions
from xds.options.limits import LimitOptions
from xds.options.updates import UpdateOptions
from xds.options.values import human as human
from xds.options.values import settings as settings
from xds.refusals.options import RefusalOptions
from xds.repository.options import StorageOptions
from xds.security.options import UserOptions
from xds.server.options import ServerOptions
from xds.soap.options import SoapOptions
from xds.telemetry.options import ObservationOptions
from xds.tls.options import TlsOptions
from xds.websocket.options import WebsocketOptions

PREFIX: Final = "XDS_"
CLIENT_PREFIX: Final = "XDS_CLIENT_"
"""Of options of the commands that use a server, which are none of its own."""

_IS_SECRET: Final = re.compile("password|secret")
"""What the options are called that are one themselves."""
_SECRET: Final = re.compile("key|secret|token|credential|sas")
_PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*(?=@)")
_HIDDEN: Final = "***"
_THIS_MACHINE: Final = ("127.0.0.1", "::1", "localhost")
_CERTIFICATE: Final = "root_certificate"
"""Of documents_options, the one that is a path."""

SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "Server": ServerOptions,
    "Storage": StorageOptions,
    "Affinity domain": DomainOptions,
    "Update and removal": UpdateOptions,
    "Content of documents": ContentOptions,
    "Notifications": NotificationOptions,
    "DSUB": DsubOptions,
    "Websockets": WebsocketOptions,
    "Patient feed": FeedOptions,
    "Document messaging": MessagingOptions,
    "Outbound messages": OutboundOptions,
    "Forms of documents": OnDemandOptions,
    "SOAP": SoapOptions,
    "FHIR": FhirOptions,
    "Users and policy": UserOptions,
    "Refused submissions": RefusalOptions,
    "Console": ConsoleOptions,
    "Console login": ConsoleLoginOptions,
    "Audit": AuditOptions,
    "Log, metrics and traces": ObservationOptions,
    "TLS and proxies": TlsOptions,
    "Limits": LimitOptions,
}
"""The options by what they are about, in the order in which they are shown."""


class ConfigError(Exception):
    """The options are wrong; the text has one line for each that is."""


class _Origins(dict[str, str]):
    """Where values come from, which makes no difference between two configurations."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Origins)

    __hash__ = None


class Config(
    ServerOptions,
    StorageOptions,
    DomainOptions,
    UpdateOptions,
    ContentOptions,
    NotificationOptions,
    DsubOptions,
    WebsocketOptions,
    FeedOptions,
    MessagingOptions,
    OutboundOptions,
    OnDemandOptions,
    SoapOptions,
    FhirOptions,
    UserOptions,
    RefusalOptions,
    ConsoleOptions,
    ConsoleLoginOptions,
    AuditOptions,
    ObservationOptions,
    TlsOptions,
    LimitOptions,
):
    """What one server is to do: a value, to be handed to its processes."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)
    _sources: _Origins = PrivateAttr(default_factory=_Origins)

    def options(self) -> "tuple[Option, ...]":
        """Give every option with its value and the source of it."""
        return tuple(
            Option(
                name=name,
                section=section_of(name),
                value=getattr(self, name),
                source=self._sources.get(name, "default"),
                help=field.description or "",
            )
            for name, field in option_fields().items()
        )

    @model_validator(mode="after")
    def _check_actors(self) -> Self:
        if self.registry_url and self.serve_repository == "no":
            raise ValueError("with a registry_url and no repository there is nothing to serve")
        if self.registry_url and self.mllp_port is not None:
            raise ValueError("mllp_port: the patient feed is for the registry at registry_url")
        if self.messages == "yes" and "fhir" not in self.places:
            raise ValueError("messages are for a server that is registry and repository")
        if self.registry_url and self.provided_versions == "read":
            raise ValueError("provided_versions: they are for the registry at registry_url")
        if self.message_folder and not (self.takes_messages and self.mllp_port is not None):
            raise ValueError("message_folder: it needs mllp_port, and messages to be taken")
        if self.has_websockets and "fhir" not in self.places:
            raise ValueError("websockets need FHIR, which is where both actors are")
        return self

    @model_validator(mode="after")
    def _check_console(self) -> Self:
        if self.console != "off" and "fhir" not in self.places:
            raise ValueError("the console is for a server that is registry and repository")
        if self.console == "trial" and self.host not in _THIS_MACHINE:
            raise ValueError("console: trial is for a server that only its own machine can reach")
        if self.console == "trial" and not self.has_passwords:
            raise ValueError("console: trial makes a local account, by which nobody logs in here")
        if self.console_login == "proxy" and not self.trusted_proxies:
            raise ValueError("console_login: without trusted_proxies, no proxy is believed")
        if self.has_openid and not self.public_url:
            raise ValueError("console_login needs public_url, to which the provider sends people")
        return self

    @property
    def takes_messages(self) -> bool:
        """Whether reports, documents and orders are taken as HL7 v2 messages."""
        is_wanted = self.mllp_port is not None if self.messages is None else self.messages == "yes"
        return is_wanted and "fhir" in self.places

    @property
    def takes_fhir_messages(self) -> bool:
        """Whether reports, documents and orders are taken as FHIR messages."""
        return self.messages != "no" and "fhir" in self.places

    @property
    def excluded_transactions(self) -> frozenset[str]:
        """The names of the transactions that are not answered."""
        return self.excluded_updates | self.excluded_dsub

    @property
    def url(self) -> str:
        """The URL at which this server is reached from its own machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        scheme = "https" if self.has_tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def places(self) -> dict[str, str]:
        """What is served here, each by its URL as this machine reaches it."""
        is_registry, is_repository = self.registry_url is None, self.serve_repository == "yes"
        found = {
            "registry": f"{self.url}/registry" if is_registry else "",
            "repository": f"{self.url}/repository" if is_repository else "",
            "fhir": f"{self.url}/fhir" if is_registry and is_repository else "",
            "notification": f"{self.url}/notification"
            if is_registry and self.dsub == "yes"
            else "",
            "feed": "" if self.mllp_port is None else self._feed_url,
            "websocket": "" if self.websocket_port is None else self._websocket_url,
            "console": "" if self.console == "off" else f"{self.url}/console",
            "metrics": f"{self.url}/metrics" if self.metrics == "yes" else "",
        }
        return {what: url for what, url in found.items() if url}

    @property
    def _feed_url(self) -> str:
        host = self.mllp_host or self.host
        return f"mllp://{f'[{host}]' if ':' in host else host}:{self.mllp_port}"

    @property
    def _websocket_url(self) -> str:
        host, scheme = self.websocket_host or self.host, "wss" if self.has_tls else "ws"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.websocket_port}"


class _Sources(BaseSettings, Config):
    """Where pydantic-settings finds the names of the options."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True)


@dataclass(frozen=True, slots=True)
class Option:
    """One option as `xds config` shows it."""

    name: str
    section: str
    """One of SECTIONS."""
    value: object
    source: str
    help: str

    @property
    def environment(self) -> str:
        """The name of its environment variable."""
        return environment_name(self.name)

    @property
    def shown(self) -> str:
        """The value as a text, without secrets: passwords in URLs, of object stores, of keys."""
        if self.value is None:
            return "unset"
        if _IS_SECRET.search(self.name):
            return _HIDDEN
        text = human(self.value)
        if self.name == "documents_options":
            text = " ".join(
                f"{name}={_HIDDEN if _SECRET.search(name) else value}"
                for name, value in settings(text).items()
            )
        return _PASSWORD.sub(r"\1:***", text)


def environment_name(option: str) -> str:
    """Give the environment variable of an option."""
    return PREFIX + option.upper()


def flag_name(option: str) -> str:
    """Give the command line's flag of an option."""
    return "--" + option.replace("_", "-")


def unknown_environment() -> tuple[str, ...]:
    """Give the environment variables that look like options and are none."""
    known = {environment_name(name) for name in ("config", *option_fields())}
    others = {name for name in os.environ if name.startswith(PREFIX)} - known
    return tuple(sorted(name for name in others if not name.startswith(CLIENT_PREFIX)))


def option_fields() -> Mapping[str, FieldInfo]:
    """Give the options with their declarations, by section."""
    return {
        name: Config.model_fields[name] for part in SECTIONS.values() for name in names_of(part)
    }


def names_of(section: type[BaseModel]) -> tuple[str, ...]:
    """Give the names of the options of a section."""
    return tuple(section.model_fields)


def section_of(option: str) -> str:
    """Give the title of an option's section."""
    return next(title for title, part in SECTIONS.items() if option in part.model_fields)


def is_path(field: FieldInfo) -> bool:
    """Whether an option is a file or a folder."""
    return Path in (field.annotation, *get_args(field.annotation))


def load(flags: Mapping[str, object] | None = None, file: Path | None = None) -> Config:
    """Build the configuration from every source, or raise ConfigError."""
    return _build(_gather(flags or {}, file))


def explain(
    flags: Mapping[str, object] | None = None, file: Path | None = None
) -> tuple[Option, ...]:
    """Give every option with its value and the source of it, or raise ConfigError."""
    return load(flags, file).options()


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    source: str


def _gather(flags: Mapping[str, object], file: Path | None) -> dict[str, _Given]:
    """Read the sources, the weakest first, so that the stronger replace what they name."""
    given: dict[str, _Given] = {}
    if path := file or _file_of_environment():
        given |= {
            name: _Given(_from_beside(path, name, value), str(path))
            for name, value in _read_file(path).items()
        }
    for name, value in EnvSettingsSource(_Sources)().items():
        given[name] = _Given(value, environment_name(name))
    for name, value in flags.items():
        if value is not None:
            given[name] = _Given(value, flag_name(name))
    return given


def _from_beside(file: Path, name: str, value: object) -> object:
    """Have a path in a configuration file lead from the folder of that file."""
    field = option_fields().get(name)
    if field is not None and is_path(field) and isinstance(value, str):
        return file.absolute().parent / value
    if name == "documents_options":
        return _with_certificate_beside(file, value)
    return value


def _with_certificate_beside(file: Path, value: object) -> object:
    try:
        table = settings(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if not isinstance(table, dict) or not isinstance(table.get(_CERTIFICATE), str):
        return value
    return {**table, _CERTIFICATE: str(file.absolute().parent / table[_CERTIFICATE])}


def _file_of_environment() -> Path | None:
    named = os.environ.get(PREFIX + "CONFIG")
    return Path(named) if named else None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise ConfigError(f"the configuration file {path} is not there")
        return TomlConfigSettingsSource(_Sources, path).toml_data
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error}") from error


def _build(given: Mapping[str, _Given]) -> Config:
    try:
        config = Config.model_validate({name: known.value for name, known in given.items()})
    except ValidationError as error:
        lines = (_explain_error(problem, given) for problem in error.errors())
        raise ConfigError("\n".join(lines)) from None
    config._sources.update({name: known.source for name, known in given.items()})
    return config


def _explain_error(problem: Mapping[str, Any], given: Mapping[str, _Given]) -> str:
    """Say what is wrong without quoting the value: it may hold a password."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    where = f" ({given[name].source})" if name in given else ""
    if problem["type"] == "extra_forbidden":
        return f"{name}{where}: there is no such option; `xds config` lists them all"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}{where}: {message}" if name else message
