"""The options of subscriptions and notifications."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from xds.options.values import Targets
from xds.tls.options import Networks

_LONGEST_PAUSE: Final = 7 * 24 * 3600


def _joined(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _check_seconds(text: str) -> str:
    given = text.split()
    if not given or not all(one.isdecimal() and 0 < int(one) <= _LONGEST_PAUSE for one in given):
        raise ValueError(f"not seconds, 1 to {_LONGEST_PAUSE}, separated by spaces")
    return text


Seconds = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_seconds)]


class NotificationOptions(BaseModel):
    """Who may be told of what happens in the registry."""

    notification_targets: Targets | None = Field(
        None,
        description="URLs, separated by spaces, below which notifications may be sent; "
        "unset: none.",
        examples=["https://portal.hospital.example"],
    )
    notification_networks: Networks | None = Field(
        None,
        description="Networks, separated by spaces, in which hosts of these URLs may have their "
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
    notification_retries: Seconds = Field(
        "1 5 30 120 600 3600",
        description="Seconds after the first failure in a row, the second and so on, after which "
        "a target is tried again; the last one from then on.",
        examples=["2 10 60 300"],
    )
    notification_retry_jitter: int = Field(
        50,
        ge=0,
        le=90,
        description="Percent of these seconds that are left to chance, so that targets do not come "
        "back together.",
        examples=[20],
    )
    notification_seconds: int = Field(
        30, ge=1, le=600, description="Time for one attempt, answer included.", examples=[5]
    )
    notification_heartbeat_seconds: int = Field(
        1,
        ge=1,
        le=86_400,
        description="Shortest heartbeat period that a subscription may have.",
        examples=[60],
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
