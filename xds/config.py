"""Every option once: its name, type, default and one line of help.

A value comes from the command line, else from the environment (`XDS_` and the name), else from
the TOML file that `--config` or `XDS_CONFIG` names, else it is the default.
"""

import os
import shlex
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from xds import targets
from xds.limits import LimitOptions
from xds.metadata import datatypes
from xds.security import policy_file
from xds.security.requirements import UserRequirements
from xds.sqlite_file import url_of
from xds.tls.options import TlsOptions

PREFIX: Final = "XDS_"
CLIENT_PREFIX: Final = "XDS_CLIENT_"
"""Of options of the commands that use a server, which are none of its own."""
EXAMPLE_REPOSITORY: Final = "2.999.1.3"
"""An OID of the arc for examples: right for a trial, wrong where documents leave the house."""

EXAMPLES: Final = "2.999."
"""The arc of all such OIDs."""

_OID_URN: Final = "urn:oid:"


class ConfigError(Exception):
    """The options are wrong; the text has one line for each that is."""


def _check_oid(oid: str) -> str:
    datatypes.check_oid(oid)
    return oid


def _check_url(url: str) -> str:
    if not url.partition("://")[0] or "://" not in url:
        raise ValueError("not a URL, such as sqlite:///folder/file or file:///folder")
    return url


def _joined(value: object) -> object:
    """Take a list, as a TOML file may have it, for its items parted by spaces."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return value


def _listed(value: object) -> object:
    """Take a table, as a TOML file may have it, for its NAME=value parted by spaces."""
    if isinstance(value, dict):
        return shlex.join(f"{name}={_said(setting)}" for name, setting in value.items())
    return value


def _said(setting: object) -> str:
    return str(setting).lower() if isinstance(setting, bool) else str(setting)


def settings(text: str) -> dict[str, str]:
    """Read NAME=value parted by spaces; what has spaces itself stands in quotation marks."""
    parts = [part.partition("=") for part in shlex.split(text)]
    if not all(name and equals for name, equals, _ in parts):
        raise ValueError("not of the form NAME=value NAME=value")
    return {name: value for name, _, value in parts}


def _check_settings(text: str) -> str:
    settings(text)
    return text


def _check_targets(text: str) -> str:
    targets.prefixes(text)
    return text


def _check_public_url(url: str) -> str:
    if "?" in url:
        raise ValueError("a URL below which others lie has no query")
    return targets.Target.parse(url.rstrip("/")).url


def _check_remote_url(url: str) -> str:
    return targets.Target.parse(url).url


def _check_origins(text: str) -> str:
    for origin in text.split():
        if origin != "*" and (origin.count("/") != 2 or targets.Target.parse(origin).segments):
            raise ValueError("an origin is * or of the form https://host:port, without a path")
    return text


def _check_policy(path: Path) -> Path:
    try:
        policy_file.read(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except policy_file.PolicyError as error:
        lines = "".join(f"\n  {line}" for line in str(error).splitlines())
        raise ValueError(f"{path} is no policy:{lines}") from None
    return path


def _check_code(code: str) -> str:
    if not all(code.partition("^^")):
        raise ValueError("not of the form code^^codingScheme")
    return code


def _without_urn(value: object) -> object:
    return value.strip().removeprefix(_OID_URN) if isinstance(value, str) else value


def _with_urn(oid: str) -> str:
    return _OID_URN + oid


def _check_telemetry_url(url: str) -> str:
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ValueError("needs OpenTelemetry: pip install 'xds[telemetry]'")
    return targets.Target.parse(url).url


def _check_syslog(url: str) -> str:
    targets.SyslogTarget.parse(url)
    return url


Oid = Annotated[str, BeforeValidator(_without_urn), AfterValidator(_check_oid)]
OidUrn = Annotated[Oid, AfterValidator(_with_urn)]
CodeText = Annotated[str, AfterValidator(_check_code)]
Url = Annotated[str, AfterValidator(_check_url)]
Targets = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_targets)]
SyslogUrl = Annotated[str, AfterValidator(_check_syslog)]
Settings = Annotated[str, BeforeValidator(_listed), AfterValidator(_check_settings)]
RemoteUrl = Annotated[str, AfterValidator(_check_remote_url)]
TelemetryUrl = Annotated[str, AfterValidator(_check_telemetry_url)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
Policy = Annotated[Path, AfterValidator(_check_policy)]
Texts = Annotated[str, BeforeValidator(_joined)]
UserRequirement = Literal["off", "optional", "required"]
Origins = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_origins)]


_WORKERS_A_CORE: Final = 2
"""A connection stays with the worker that took it: with few, some cores would have no work."""
_MOST_WORKERS: Final = 8


def _workers() -> int:
    """Return how many workers keep the cores busy that this process may use."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores * _WORKERS_A_CORE, _MOST_WORKERS)


class Config(LimitOptions, TlsOptions):
    """What one server is to do: a value, to be handed to its processes."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen at.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen at; 0: any free one.")
    data: Path = Field(Path("var"), description="Folder of the embedded database and documents.")
    database: Url | None = Field(
        None, repr=False, description="URL of the database; unset: SQLite in the data folder."
    )
    documents: Url | None = Field(
        None, repr=False, description="URL of the document store; unset: files in the data folder."
    )
    documents_options: Settings | None = Field(
        None,
        repr=False,
        description="How an object store is reached: NAME=value, parted by spaces, or a table.",
    )
    repository_unique_id: Oid = Field(
        EXAMPLE_REPOSITORY, description="OID of this repository; the default is an example."
    )
    serve_repository: Literal["yes", "no"] = Field(
        "yes", description="Whether documents are kept here; no: a registry alone."
    )
    registry_url: RemoteUrl | None = Field(
        None,
        description="URL of a registry elsewhere, to register with by ITI-42; unset: it is here.",
    )
    registry_seconds: int = Field(
        30, ge=1, description="Silence after which that registry is given up."
    )
    home_community_id: OidUrn | None = Field(
        None, description="OID of this community, with or without urn:oid:."
    )
    assigning_authority: Oid | None = Field(
        None, description="OID of the patient identifiers accepted; unset: any."
    )
    patient_id_namespace: str | None = Field(
        None,
        min_length=1,
        description="Name of that assigning authority, where a feed gives no OID.",
    )
    unknown_patients: Literal["open", "known"] = Field(
        "open", description="Patients accepted: any (open), or those that a feed has made known."
    )
    xpid_content_type: CodeText = Field(
        "XPID^^urn:ihe:iti:xpid:2017",
        description="contentTypeCode of SubmissionSets that ITI-64 makes: code^^codingScheme.",
    )
    code_sets: Path | None = Field(
        None, description="File of the allowed codes and mime types: .toml, .json or codes.xml."
    )
    mllp_port: int | None = Field(
        None, ge=0, le=65535, description="Port of the patient feed by MLLP; unset: no feed."
    )
    mllp_host: str | None = Field(
        None, min_length=1, description="Address of the patient feed; unset: as host."
    )
    async_reply_to: Targets | None = Field(
        None,
        description="URLs, parted by spaces, below which wsa:ReplyTo may lie; unset: none.",
    )
    async_attempts: int = Field(
        50, ge=1, description="Times such an answer is offered before it is given up."
    )
    async_seconds: int = Field(
        21600, ge=1, description="Time after which such an answer is given up."
    )
    fault_status: Literal["500", "soap"] = Field(
        "500",
        description="HTTP status of SOAP faults: always 500, or that of SOAP 1.2 (400, 408, …).",
    )
    public_url: PublicUrl | None = Field(
        None,
        description="URL at which FHIR clients reach this server; unset: as their requests say.",
    )
    identifier_systems: Path | None = Field(
        None, description="File (.toml) of more identifier and code systems: their OIDs and URIs."
    )
    minimal_metadata: Literal["refuse", "accept"] = Field(
        "accept", description="What submissions with Minimal Metadata get (MHD, limitedMetadata)."
    )
    generate_defaults: Path | None = Field(
        None,
        description="File (.toml) of codes that ITI-106 gives documents which do not say them.",
    )
    fhir_cors_origins: Origins | None = Field(
        None,
        description="Origins, parted by spaces, whose web pages may use /fhir, or *; unset: none.",
    )
    fhir_fetch_from: Targets | None = Field(
        None,
        description="URLs, parted by spaces, below which a document to fetch may lie; unset: none.",
    )
    audit: Literal["on", "off"] = Field(
        "off", description="Whether every access is recorded, in the database (ATNA)."
    )
    audit_failure: Literal["refuse", "warn"] = Field(
        "refuse", description="What becomes of an access that cannot be recorded."
    )
    audit_source_id: str | None = Field(
        None, min_length=1, description="AuditSourceID of the records; unset: the host's name."
    )
    audit_enterprise_site_id: str | None = Field(
        None, min_length=1, description="AuditEnterpriseSiteID of the records."
    )
    audit_syslog: SyslogUrl | None = Field(
        None,
        description="Where records are shipped to: tls://host:port, tcp://… or udp://…; unset: no.",
    )
    audit_days: int | None = Field(
        None, ge=1, description="Days after which shipped records are removed; unset: never."
    )
    policy: Policy | None = Field(
        None,
        description="File (.toml) of rules who may do what; unset: everyone may do everything.",
    )
    user_assertions: UserRequirement = Field(
        "off",
        description="Whether someone must vouch for the user: by SAML (SOAP), by a token (FHIR).",
    )
    unchecked_security: Literal["ignore", "refuse"] = Field(
        "ignore",
        description="What a mandatory wsse:Security gets where user_assertions is off: ignored, "
        "or a fault MustUnderstand.",
    )
    user_assertions_of: Settings | None = Field(
        None,
        description="Transactions that differ: ITI-18=required ITI-44=off, or a table.",
    )
    user_issuers: Path | None = Field(
        None, description="File (.toml) of who may vouch for users, and by which keys."
    )
    user_audiences: Texts | None = Field(
        None,
        description="URIs, parted by spaces, that assertions and tokens for this server name.",
    )
    clock_skew_seconds: int = Field(
        60, ge=0, le=600, description="How far the clocks of issuers may be from the server's."
    )
    assertion_reuse: Literal["accept", "refuse"] = Field(
        "accept",
        description="Whether one assertion or token may come with more than one request.",
    )
    token_scopes: Literal["require", "ignore"] = Field(
        "require", description="Whether a token must have the transaction's name among its scopes."
    )
    workers: int = Field(
        default_factory=_workers, ge=1, description="Processes that serve; unset: two a core."
    )
    threads: int = Field(4, ge=1, description="Requests that one worker handles at once.")
    metrics: Literal["yes", "no"] = Field(
        "yes", description="Whether GET /metrics tells what Prometheus may collect."
    )
    transaction_log: Literal["all", "failures", "off"] = Field(
        "all", description="Transactions that leave a line in the log: all, failures alone, or off."
    )
    telemetry_url: TelemetryUrl | None = Field(
        None,
        description="Collector that spans are sent to by OTLP over HTTP, as http://host:4318; "
        "needs xds[telemetry]; unset: none.",
    )
    telemetry_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of the traces begun here that are recorded, 0 to 1."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["console", "json"] | None = Field(
        None, description="Form of the log; unset: console on a terminal, else json."
    )
    grace_seconds: int = Field(
        30, ge=1, description="Time for what is under way to end when the server is stopped."
    )

    @model_validator(mode="after")
    def _check_namespace(self) -> Self:
        if self.patient_id_namespace and not self.assigning_authority:
            raise ValueError("patient_id_namespace needs an assigning_authority")
        return self

    @model_validator(mode="after")
    def _check_actors(self) -> Self:
        if self.registry_url and self.serve_repository == "no":
            raise ValueError("with a registry_url and no repository there is nothing to serve")
        if self.registry_url and self.mllp_port is not None:
            raise ValueError("mllp_port: the patient feed is for the registry at registry_url")
        return self

    @model_validator(mode="after")
    def _check_users(self) -> Self:
        asked = self.user_requirements.asks_anywhere
        if asked and not (self.user_issuers and self.user_audiences):
            raise ValueError("user_assertions needs user_issuers and user_audiences")
        return self

    @property
    def user_requirements(self) -> UserRequirements:
        """Of which transactions a user has to be known; ValueError where that says nothing."""
        return UserRequirements.read(self.user_assertions, settings(self.user_assertions_of or ""))

    @property
    def database_url(self) -> str:
        """The URL of the database, with its default."""
        return self.database or url_of(self.data / "registry.sqlite3")

    @property
    def documents_url(self) -> str:
        """The URL of the document store, with its default."""
        return self.documents or (self.data.absolute() / "documents").as_uri()

    @property
    def documents_settings(self) -> dict[str, str]:
        """How an object store is reached: endpoint, credentials and such."""
        return settings(self.documents_options or "")

    @property
    def url(self) -> str:
        """The URL at which this server is reached from its own machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        scheme = "https" if self.has_tls else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"


class _Sources(BaseSettings, Config):
    """Where pydantic-settings finds the names of the options."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True)


@dataclass(frozen=True, slots=True)
class Option:
    """One option as `xds config` shows it."""

    name: str
    value: object
    source: str
    help: str

    @property
    def environment(self) -> str:
        """The name of its environment variable."""
        return environment_name(self.name)


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
    """Give the options with their declarations, in their order."""
    fields = Config.model_fields
    own = {name: fields[name] for name in fields if name in Config.__annotations__}
    return {**own, **fields}  # what is inherited comes last


def load(flags: Mapping[str, object] | None = None, file: Path | None = None) -> Config:
    """Build the configuration from every source, or raise ConfigError."""
    return _build(_gather(flags or {}, file))


def explain(
    flags: Mapping[str, object] | None = None, file: Path | None = None
) -> tuple[Option, ...]:
    """Give every option with its value and the source of it, or raise ConfigError."""
    given = _gather(flags or {}, file)
    config = _build(given)
    return tuple(
        Option(
            name=name,
            value=getattr(config, name),
            source=given[name].source if name in given else "default",
            help=field.description or "",
        )
        for name, field in option_fields().items()
    )


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    source: str


def _gather(flags: Mapping[str, object], file: Path | None) -> dict[str, _Given]:
    """Read the sources, the weakest first, so that the stronger replace what they name."""
    given: dict[str, _Given] = {}
    if path := file or _file_of_environment():
        given |= {name: _Given(value, str(path)) for name, value in _read_file(path).items()}
    for name, value in EnvSettingsSource(_Sources)().items():
        given[name] = _Given(value, environment_name(name))
    for name, value in flags.items():
        if value is not None:
            given[name] = _Given(value, flag_name(name))
    return given


def _file_of_environment() -> Path | None:
    named = os.environ.get(PREFIX + "CONFIG")
    return Path(named) if named else None


def _read_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"the configuration file {path} is not there")
    try:
        return TomlConfigSettingsSource(_Sources, path).toml_data
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error}") from error


def _build(given: Mapping[str, _Given]) -> Config:
    try:
        return Config.model_validate({name: known.value for name, known in given.items()})
    except ValidationError as error:
        lines = (_explain_error(problem, given) for problem in error.errors())
        raise ConfigError("\n".join(lines)) from None


def _explain_error(problem: Mapping[str, Any], given: Mapping[str, _Given]) -> str:
    """Say what is wrong without quoting the value: it may hold a password."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    where = f" ({given[name].source})" if name in given else ""
    if problem["type"] == "extra_forbidden":
        return f"{name}{where}: there is no such option; `xds config` lists them all"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}{where}: {message}" if name else message
