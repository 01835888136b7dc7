"""The options of documents that are understood."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class ContentOptions(BaseModel):
    """What is read of documents beside their metadata."""

    lower_versions: Literal["deprecate", "refuse", "keep"] = Field(
        "deprecate",
        description="What a document gets that says it is of no later version than the current one "
        "of its set: it is filed as Deprecated, refused, or filed as current beside the other one "
        "(keep).",
    )
    provided_versions: Literal["off", "read"] = Field(
        "off",
        description="Whether versions are read of the CDA and FHIR documents of ITI-41, too "
        "(read); off: their metadata alone say what they replace.",
    )
    fhir_document_unique_id: Literal["composition", "bundle"] = Field(
        "composition",
        description="What ITI-106 makes the uniqueId of a FHIR document: Composition.identifier, "
        "as IHE has it, or Bundle.identifier where there is one, so that a further version of a "
        "Composition can be filed.",
    )

    observations: Literal["off", "read"] = Field(
        "off",
        description="Whether the structured results of CDA and FHIR documents, and of messages, "
        "are kept beside their entries (read): by patient, code and time, for `xds observations`.",
    )
    document_patient: Literal["note", "refuse"] = Field(
        "note",
        description="What a document gets that says it is of another patient than its metadata do: "
        "a warning on its page (note), or a refusal by whatever way it comes (refuse).",
    )
    cda_schema: Path | None = Field(
        None,
        description="File of the XML schema of CDA, such as CDA.xsd, that CDA documents are "
        "compared with; what does not follow it is told on their pages, and never refused.",
        examples=["/etc/xds/cda/CDA.xsd"],
    )
