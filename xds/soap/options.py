"""The options of SOAP."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.options.values import Targets


class SoapOptions(BaseModel):
    """Asynchronous answers and faults of SOAP."""

    async_reply_to: Targets | None = Field(
        None,
        description="URLs, separated by spaces, below which wsa:ReplyTo may lie; unset: none.",
        examples=["https://consumer.hospital.example/answers"],
    )
    async_attempts: int = Field(
        50,
        ge=1,
        description="Times such an answer is offered before it is given up.",
        examples=[10],
    )
    async_seconds: int = Field(
        21600, ge=1, description="Time after which such an answer is given up.", examples=[3600]
    )
    fault_status: Literal["500", "soap"] = Field(
        "500",
        description="HTTP status of SOAP faults: always 500, or that of SOAP 1.2 (400, 408, …).",
    )
