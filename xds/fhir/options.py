"""The options of FHIR."""

from pydantic import BaseModel, Field

from xds.options.values import Origins, Targets


class FhirOptions(BaseModel):
    """What web pages and documents elsewhere have to do with /fhir."""

    fhir_cors_origins: Origins | None = Field(
        None,
        description="Origins, separated by spaces, whose web pages may use /fhir, or *; "
        "unset: none.",
        examples=["https://viewer.hospital.example"],
    )
    fhir_fetch_from: Targets | None = Field(
        None,
        description="URLs, separated by spaces, below which a document to fetch may lie; "
        "unset: none.",
        examples=["https://documents.hospital.example/pdf"],
    )
