"""The options of subscriptions and notifications."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.options.values import Targets
from xds.tls.options import Networks


class NotificationOptions(BaseModel):
    """Who may be told of what happens in the registry."""

    notification_targets: Targets | None = Field(
        None,
        description="URLs, parted by spaces, below which notifications may be sent; unset: none.",
        examples=["https://portal.hospital.example"],
    )
    notification_networks: Networks | None = Field(
        None,
        description="Networks, parted by spaces, in which hosts of these URLs may have their "
        "addresses beside public ones; unset: none.",
        examples=["10.20.0.0/16"],
    )
    notification_attempts: int = Field(
        5,
        ge=1,
        description="Attempts after which a subscription whose target fails is shown in error; "
        "they go on.",
        examples=[3],
    )
    notification_days: int = Field(
        7, ge=1, description="Days in error after which a subscription is ended.", examples=[30]
    )
    notification_kept_days: int = Field(
        7,
        ge=1,
        description="Days for which notifications that were taken are kept, to be sent again.",
        examples=[30],
    )
    dsubm_publish: Literal["yes", "no"] = Field(
        "no",
        description="Whether others may tell by FHIR what they have, at /fhir/publish (ITI-111).",
    )
    subscriptions_of_client: int = Field(
        1_000, ge=1, description="Subscriptions that one client may have.", examples=[20_000]
    )
    max_subscriptions: int = Field(
        100_000, ge=1, description="Subscriptions that the server may have.", examples=[10_000]
    )
