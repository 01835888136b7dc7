"""The options of documents that are made of others."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class OnDemandOptions(BaseModel):
    """Forms of documents, and documents that are made when they are retrieved."""

    document_forms: Path | None = Field(
        None,
        description="File (TOML) of which documents are registered in which form to be made on "
        "demand, and of what forms say beyond metadata; unset: forms on request alone.",
        examples=["forms.toml"],
    )
    on_demand_snapshots: Literal["yes", "no"] = Field(
        "no",
        description="Whether a document that was made on demand is kept when it is retrieved by "
        "ITI-43, and registered as a snapshot (Persistence of Retrieved Documents).",
        examples=["yes"],
    )
