"""The options of the Document Metadata Notification Broker (DSUB)."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.metadata.catalogue import BROKER, CATALOGUE, ITI_54
from xds.options.values import Targets


class DsubOptions(BaseModel):
    """Whether subscriptions are taken by SOAP, and how they are told."""

    dsub: Literal["yes", "no"] = Field(
        "yes",
        description="Whether there is a broker at /notification, which takes subscriptions by SOAP "
        "(ITI-52, 69, 70, 120) where the registry is here.",
    )
    dsub_publish: Literal["yes", "no"] = Field(
        "no",
        description="Whether the broker is told by others of what they have registered (ITI-54).",
    )
    subscription_days: int | None = Field(
        None,
        ge=1,
        description="Days after which a subscription by SOAP ends unless it is renewed; unset: "
        "when it asks for.",
        examples=[365],
    )
    deactivation_targets: Targets | None = Field(
        None,
        description="URLs, separated by spaces, below which consumers are told by ITI-53 that "
        "their subscription has ended; unset: none.",
        examples=["https://portal.hospital.example/notify"],
    )
    minimal_notification: Literal["ObjectRef", "RetrieveDocumentSetRequest"] = Field(
        "ObjectRef",
        description="How documents of the topic ihe:MinimalDocumentEntry are named; some older "
        "recipients expect the latter.",
    )

    @property
    def excluded_dsub(self) -> frozenset[str]:
        """The names of the transactions of these options that are not answered."""
        if self.dsub == "no":
            return frozenset(row.name for row in CATALOGUE if row.actor == BROKER)
        return frozenset({ITI_54.name} if self.dsub_publish == "no" else ())
