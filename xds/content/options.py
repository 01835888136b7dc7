"""The options of documents that are understood."""

from typing import Literal

from pydantic import BaseModel, Field


class ContentOptions(BaseModel):
    """What is read of documents beside their metadata."""

    observations: Literal["off", "read"] = Field(
        "off",
        description="Whether the structured results of CDA and FHIR documents, and of messages, "
        "are kept beside their entries (read): by patient, code and time, for `xds observations`.",
    )
