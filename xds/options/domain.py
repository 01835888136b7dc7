"""The options of the affinity domain."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, Field, model_validator

from xds.options.values import Oid, OidUrn, RemoteUrl

EXAMPLE_REPOSITORY: Final = "2.999.1.3"
"""An OID of the arc for examples: right for a trial, wrong where documents leave the house."""

EXAMPLES: Final = "2.999."
"""The arc of all such OIDs."""


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
