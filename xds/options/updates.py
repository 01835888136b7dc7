"""The options of the update and the removal of what is registered."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.metadata.catalogue import ITI_57, ITI_62, ITI_86, ITI_92
from xds.options.values import CodeTexts, Names

Choice = Literal["yes", "no"]
Offer = Literal["policy", "yes", "no"]
"""``policy`` is yes where there is a policy, which says to whom, and no where there is none."""


class UpdateOptions(BaseModel):
    """Whether metadata may be updated, and metadata and documents removed."""

    metadata_update: Choice = Field(
        "no",
        description="Whether ITI-57 is answered, and queries honour $MetadataLevel and such "
        "(Document Metadata Update option).",
    )
    restricted_update: Choice = Field(
        "no", description="Whether ITI-92 is answered (Restricted Metadata Update)."
    )
    restricted_attributes: Names | None = Field(
        None,
        description="Attributes, separated by spaces, that ITI-92 may not change here; unset: none "
        "beside the TF's own.",
        examples=["confidentialityCode title"],
    )
    remove_metadata: Choice = Field(
        "no", description="Whether ITI-62 is answered (Remove Metadata and Documents)."
    )
    remove_documents: Literal["no", "unreferenced", "any"] = Field(
        "no",
        description="Documents that ITI-86 removes: those without a DocumentEntry, or any; no: it "
        "is not answered.",
    )
    legal_hold_codes: CodeTexts | None = Field(
        None,
        description="Codes of confidentialityCode or eventCodeList, separated by spaces, with "
        "which nothing is removed: code^^codingScheme; unset: none.",
        examples=["litigation^^2.999.5.30"],
    )

    fhir_update: Offer = Field(
        "policy",
        description="Whether DocumentReferences and Lists are updated by FHIR's PUT, as by ITI-57; "
        "policy: where there is a policy.",
    )
    fhir_patch: Offer = Field(
        "policy",
        description="Whether DocumentReferences and Lists are updated by FHIR's PATCH, as by "
        "ITI-57; policy: where there is a policy.",
    )
    fhir_update_metadata: Offer = Field(
        "policy",
        description="Whether docStatus is changed by the operation $update-metadata of gematik's "
        "ISiK, as by ITI-57; policy: where there is a policy.",
    )
    fhir_history: Offer = Field(
        "policy",
        description="Whether versions of DocumentReferences and Lists before the latest can be "
        "read by FHIR (history, vread); policy: where there is a policy.",
    )
    fhir_delete: Offer = Field(
        "policy",
        description="Whether DocumentReferences with their documents, and Lists, are removed by "
        "FHIR's DELETE, as by ITI-62; policy: where there is a policy.",
    )
    fhir_entered_in_error: Choice = Field(
        "yes",
        description="Whether FHIR clients may say that a resource was entered in error: it is "
        "Deprecated then, and searches find it only where they ask for that status.",
    )
    fhir_changeable: Names | None = Field(
        None,
        description="Elements of a DocumentReference, separated by spaces, that FHIR clients may "
        "change; unset: all that ITI-92 may change, and status.",
        examples=["status securityLabel extension"],
    )
    fhir_unchangeable_status: Literal["400", "405", "422"] = Field(
        "422",
        description="The HTTP status of the refusal to change an element that may not be changed.",
    )

    def offers_by_fhir(self, offer: Offer, *, has_policy: bool) -> bool:
        """Tell whether an interaction of FHIR is answered."""
        return has_policy if offer == "policy" else offer == "yes"

    @property
    def excluded_updates(self) -> frozenset[str]:
        """The names of the transactions of these options that are not answered."""
        choices = {
            ITI_57.name: self.metadata_update,
            ITI_92.name: self.restricted_update,
            ITI_62.name: self.remove_metadata,
            ITI_86.name: self.remove_documents,
        }
        return frozenset(name for name, choice in choices.items() if choice == "no")
