"""The options of the patient feed."""

from pydantic import BaseModel, Field

from xds.options.values import CodeText


class FeedOptions(BaseModel):
    """The patient feed by HL7 v2 over MLLP; more of it is in TLS and proxies, and in Limits."""

    mllp_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of the patient feed by MLLP; unset: no feed.",
        examples=[2575],
    )
    mllp_host: str | None = Field(
        None,
        min_length=1,
        description="Address of the patient feed; unset: as host.",
        examples=["192.0.2.7"],
    )
    xpid_content_type: CodeText = Field(
        "XPID^^urn:ihe:iti:xpid:2017",
        description="contentTypeCode of SubmissionSets that ITI-64 makes: code^^codingScheme.",
        examples=["feed^^2.999.5.2"],
    )
