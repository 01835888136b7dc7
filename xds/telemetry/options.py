"""The options of the log, the metrics and the traces."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.options.values import TelemetryUrl


class ObservationOptions(BaseModel):
    """The log, the metrics and the traces."""

    metrics: Literal["yes", "no"] = Field(
        "yes", description="Whether GET /metrics tells what Prometheus may collect."
    )
    transaction_log: Literal["all", "failures", "off"] = Field(
        "all", description="Transactions that leave a line in the log: all, failures alone, or off."
    )
    telemetry_url: TelemetryUrl | None = Field(
        None,
        description="Collector that spans are sent to by OTLP over HTTP, as http://host:4318; "
        "needs xds[telemetry]; unset: none.",
        examples=["http://collector.hospital.example:4318"],
    )
    telemetry_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces begun here that are recorded, 0 to 1.",
        examples=[0.1],
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )
    log_format: Literal["console", "json"] | None = Field(
        None, description="Form of the log; unset: console on a terminal, else json."
    )
