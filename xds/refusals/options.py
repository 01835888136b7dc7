"""The options of what is kept of refused submissions."""

from pydantic import BaseModel, Field


class RefusalOptions(BaseModel):
    """For how long."""

    refusals_kept_days: int = Field(
        30,
        ge=0,
        description="Days for which it is kept what senders of refused submissions were told, "
        "which may have values of a patient, and which unknown codes were met; 0 keeps nothing. "
        "The latest 100,000 refusals are kept at most.",
        examples=[7],
    )
