"""The options that bound what anybody can ask of the server.

They are part of :class:`xds.config.Config`. What is beyond one is refused, and costs no memory.
"""

from typing import Self

from pydantic import BaseModel, ByteSize, Field, model_validator


class LimitOptions(BaseModel):
    """Bytes, parts, depth, time, connections and results."""

    backpressure: int = Field(
        512, ge=1, description="Connections that one worker keeps open; others wait unaccepted."
    )
    header_seconds: int = Field(
        30, ge=1, le=60, description="Time for the head of a request, silence before it included."
    )
    wait_seconds: int = Field(
        30, ge=2, description="Seconds for which a request may wait for its client in all."
    )
    min_bytes_per_second: int = Field(
        4096, ge=1, description="Bytes for which a request may wait one second beyond wait_seconds."
    )
    max_client_waits: int | None = Field(
        None,
        ge=1,
        description="Slow requests of one address that a worker awaits; unset: backpressure / 4.",
        examples=[16],
    )
    max_worker_bytes: ByteSize = Field(
        ByteSize(1 << 30),
        gt=0,
        description="Memory beyond which a worker is replaced by a new one.",
    )
    max_message_bytes: ByteSize = Field(
        ByteSize(8 << 30),
        gt=0,
        description="Largest request with its documents, such as 8GiB.",
        examples=["2GiB"],
    )
    max_parts: int = Field(10_000, ge=2, description="Most parts of a multipart message.")
    max_envelope_bytes: ByteSize = Field(
        ByteSize(32 << 20),
        gt=0,
        description="Largest SOAP envelope, such as 32MiB.",
        examples=["16MiB"],
    )
    max_soap_depth: int = Field(
        256, ge=16, le=256, description="How deep the elements of a SOAP envelope may be nested."
    )
    max_fhir_bytes: ByteSize = Field(
        ByteSize(64 << 20),
        gt=0,
        description="Largest FHIR request, such as 64MiB.",
        examples=["32MiB"],
    )
    max_fhir_depth: int = Field(
        64, ge=8, le=128, description="How deep the elements of a resource may be nested."
    )
    max_mllp_bytes: ByteSize = Field(
        ByteSize(256 << 10),
        gt=0,
        description="Largest message of the patient feed; of ADT 1 MiB at most.",
        examples=["1MiB"],
    )
    mllp_connections: int = Field(
        64, ge=1, description="Connections of the patient feed at once; others wait unaccepted."
    )
    mllp_client_connections: int | None = Field(
        None,
        ge=1,
        description="Connections of the patient feed from one address; unset: half.",
        examples=[16],
    )
    mllp_idle_seconds: int = Field(
        3600, ge=1, description="Silence after which a connection of the patient feed is closed."
    )
    max_leaf_class_results: int = Field(
        10_000, ge=1, description="Most objects that a query may return with their metadata."
    )
    max_object_ref_results: int = Field(
        200_000, ge=1, description="Most objects that a query may return as references."
    )

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if self.max_envelope_bytes > self.max_message_bytes:
            raise ValueError("max_envelope_bytes is above max_message_bytes")
        return self
