"""The options by sections: each once, with its type, default, example and one line of help.

Those of limits and of TLS stand apart: :mod:`xds.options.limits`, :mod:`xds.tls.options`.
"""

import os
import sys
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from xds.options.values import (
    CodeText,
    Oid,
    OidUrn,
    Origins,
    PublicUrl,
    RemoteUrl,
    Settings,
    SyslogUrl,
    Targets,
    TelemetryUrl,
    Texts,
    Url,
    settings,
)
from xds.security.requirements import UserRequirements
from xds.sqlite_file import url_of

EXAMPLE_REPOSITORY: Final = "2.999.1.3"
"""An OID of the arc for examples: right for a trial, wrong where documents leave the house."""

EXAMPLES: Final = "2.999."
"""The arc of all such OIDs."""

UserRequirement = Literal["off", "optional", "required"]

_WORKERS_A_CORE: Final = 2
"""A connection stays with the worker that took it: with few, some cores would have no work."""
_MOST_WORKERS: Final = 8


def _workers() -> int:
    """Return how many workers keep the cores busy that this process may use."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores * _WORKERS_A_CORE, _MOST_WORKERS)


class ServerOptions(BaseModel):
    """Where the server listens, and the processes that answer."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen at.", examples=["0.0.0.0"]
    )
    port: int = Field(
        8080, ge=0, le=65535, description="Port to listen at; 0: any free one.", examples=[8443]
    )
    public_url: PublicUrl | None = Field(
        None,
        description="URL at which FHIR clients reach this server; unset: as their requests say.",
        examples=["https://xds.hospital.example"],
    )
    workers: int = Field(
        default_factory=_workers,
        ge=1,
        description="Processes that serve; unset: two a core.",
        examples=[4],
    )
    threads: int = Field(
        4, ge=1, description="Requests that one worker handles at once.", examples=[8]
    )
    grace_seconds: int = Field(
        30,
        ge=1,
        description="Time for what is under way to end when the server is stopped.",
        examples=[60],
    )


class StorageOptions(BaseModel):
    """Where metadata and documents are kept."""

    data: Path = Field(
        Path("var"),
        description="Folder of the embedded database and documents.",
        examples=["/var/lib/xds"],
    )
    database: Url | None = Field(
        None,
        repr=False,
        description="URL of the database; unset: SQLite in the data folder.",
        examples=["postgresql://xds@db.hospital.example/xds"],
    )
    documents: Url | None = Field(
        None,
        repr=False,
        description="URL of the document store; unset: files in the data folder.",
        examples=["s3://xds-documents/production"],
    )
    documents_options: Settings | None = Field(
        None,
        repr=False,
        description="How an object store is reached: NAME=value, parted by spaces, or a table.",
        examples=["endpoint=https://s3.hospital.example region=eu-west-2"],
    )

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


class DomainOptions(BaseModel):
    """Who this server is, whose documents it has, and what their metadata may be."""

    repository_unique_id: Oid = Field(
        EXAMPLE_REPOSITORY,
        description="OID of this repository; the default is an example.",
        examples=["2.999.7.3"],
    )
    home_community_id: OidUrn | None = Field(
        None, description="OID of this community, with or without urn:oid:.", examples=["2.999.7"]
    )
    assigning_authority: Oid | None = Field(
        None,
        description="OID of the patient identifiers accepted; unset: any.",
        examples=["2.999.7.1"],
    )
    patient_id_namespace: str | None = Field(
        None,
        min_length=1,
        description="Name of that assigning authority, where a feed gives no OID.",
        examples=["HOSP"],
    )
    unknown_patients: Literal["open", "known"] = Field(
        "open", description="Patients accepted: any (open), or those that a feed has made known."
    )
    code_sets: Path | None = Field(
        None,
        description="File of the allowed codes and mime types: .toml, .json or codes.xml.",
        examples=["code_sets.toml"],
    )
    identifier_systems: Path | None = Field(
        None,
        description="File (.toml) of more identifier and code systems: their OIDs and URIs.",
        examples=["identifier_systems.toml"],
    )
    minimal_metadata: Literal["refuse", "accept"] = Field(
        "accept", description="What submissions with Minimal Metadata get (MHD, limitedMetadata)."
    )
    generate_defaults: Path | None = Field(
        None,
        description="File (.toml) of codes that ITI-106 gives documents which do not say them.",
        examples=["generate_defaults.toml"],
    )
    serve_repository: Literal["yes", "no"] = Field(
        "yes", description="Whether documents are kept here; no: a registry alone."
    )
    registry_url: RemoteUrl | None = Field(
        None,
        description="URL of a registry elsewhere, to register with by ITI-42; unset: it is here.",
        examples=["https://registry.region.example/registry"],
    )
    registry_seconds: int = Field(
        30, ge=1, description="Silence after which that registry is given up.", examples=[60]
    )

    @model_validator(mode="after")
    def _check_namespace(self) -> Self:
        if self.patient_id_namespace and not self.assigning_authority:
            raise ValueError("patient_id_namespace needs an assigning_authority")
        return self


class FeedOptions(BaseModel):
    """The patient feed by HL7 v2 over MLLP; more of it is in TLS and proxies, and in Limits."""

    mllp_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the patient feed by MLLP; unset: no feed.",
        examples=[2575],
    )
    mllp_host: str | None = Field(
        None,
        min_length=1,
        description="Address of the patient feed; unset: as host.",
        examples=["192.0.2.7"],
    )
    xpid_content_type: CodeText = Field(
        "XPID^^urn:ihe:iti:xpid:2017",
        description="contentTypeCode of SubmissionSets that ITI-64 makes: code^^codingScheme.",
        examples=["feed^^2.999.5.2"],
    )


class SoapOptions(BaseModel):
    """Asynchronous answers and faults of SOAP."""

    async_reply_to: Targets | None = Field(
        None,
        description="URLs, parted by spaces, below which wsa:ReplyTo may lie; unset: none.",
        examples=["https://consumer.hospital.example/answers"],
    )
    async_attempts: int = Field(
        50,
        ge=1,
        description="Times such an answer is offered before it is given up.",
        examples=[10],
    )
    async_seconds: int = Field(
        21600, ge=1, description="Time after which such an answer is given up.", examples=[3600]
    )
    fault_status: Literal["500", "soap"] = Field(
        "500",
        description="HTTP status of SOAP faults: always 500, or that of SOAP 1.2 (400, 408, …).",
    )


class FhirOptions(BaseModel):
    """What web pages and documents elsewhere have to do with /fhir."""

    fhir_cors_origins: Origins | None = Field(
        None,
        description="Origins, parted by spaces, whose web pages may use /fhir, or *; unset: none.",
        examples=["https://viewer.hospital.example"],
    )
    fhir_fetch_from: Targets | None = Field(
        None,
        description="URLs, parted by spaces, below which a document to fetch may lie; unset: none.",
        examples=["https://documents.hospital.example/pdf"],
    )


class UserOptions(BaseModel):
    """Who the user is, and what the policy permits."""

    policy: Path | None = Field(
        None,
        description="File (.toml) of rules who may do what; unset: everyone may do everything.",
        examples=["policy.toml"],
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
        examples=["ITI-43=optional ITI-44=off"],
    )
    user_issuers: Path | None = Field(
        None,
        description="File (.toml) of who may vouch for users, and by which keys.",
        examples=["issuers.toml"],
    )
    user_audiences: Texts | None = Field(
        None,
        description="URIs, parted by spaces, that assertions and tokens for this server name.",
        examples=["https://share.example"],
    )
    clock_skew_seconds: int = Field(
        60,
        ge=0,
        le=600,
        description="How far the clocks of issuers may be from the server's.",
        examples=[120],
    )
    assertion_reuse: Literal["accept", "refuse"] = Field(
        "accept",
        description="Whether one assertion or token may come with more than one request.",
    )
    token_scopes: Literal["require", "ignore"] = Field(
        "require", description="Whether a token must have the transaction's name among its scopes."
    )

    @property
    def user_requirements(self) -> UserRequirements:
        """Of which transactions a user has to be known; ValueError where that says nothing."""
        return UserRequirements.read(self.user_assertions, settings(self.user_assertions_of or ""))

    @model_validator(mode="after")
    def _check_users(self) -> Self:
        asked = self.user_requirements.asks_anywhere
        if asked and not (self.user_issuers and self.user_audiences):
            raise ValueError("user_assertions needs user_issuers and user_audiences")
        return self


class AuditOptions(BaseModel):
    """The audit trail."""

    audit: Literal["on", "off"] = Field(
        "off", description="Whether every access is recorded, in the database (ATNA)."
    )
    audit_failure: Literal["refuse", "warn"] = Field(
        "refuse", description="What becomes of an access that cannot be recorded."
    )
    audit_source_id: str | None = Field(
        None,
        min_length=1,
        description="AuditSourceID of the records; unset: the host's name.",
        examples=["xds-1"],
    )
    audit_enterprise_site_id: str | None = Field(
        None,
        min_length=1,
        description="AuditEnterpriseSiteID of the records.",
        examples=["hospital.example"],
    )
    audit_syslog: SyslogUrl | None = Field(
        None,
        description="Where records are shipped to: tls://host:port, tcp://… or udp://…; unset: no.",
        examples=["tls://arr.hospital.example:6514"],
    )
    audit_days: int | None = Field(
        None,
        ge=1,
        description="Days after which shipped records are removed; unset: never.",
        examples=[90],
    )


class ObservationOptions(BaseModel):
    """The log, the metrics and the traces."""

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
        examples=["http://collector.hospital.example:4318"],
    )
    telemetry_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces begun here that are recorded, 0 to 1.",
        examples=[0.1],
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["console", "json"] | None = Field(
        None, description="Form of the log; unset: console on a terminal, else json."
    )
