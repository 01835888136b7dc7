"""The options of the audit trail."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.options.values import SyslogUrl


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
