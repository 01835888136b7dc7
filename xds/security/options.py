"""The options of users and of the policy."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from xds.options.values import Settings, Texts, settings
from xds.security.requirements import UserRequirements

UserRequirement = Literal["off", "optional", "required"]


class UserOptions(BaseModel):
    """Who the user is, and what the policy permits."""

    policy: Path | None = Field(
        None,
        description="File (.toml) of rules who may do what; unset: everyone may do everything.",
        examples=["policy.toml"],
    )
    user_assertions: UserRequirement = Field(
        "off",
        description="Whether someone must vouch for the user: by SAML (SOAP), by a token (FHIR).",
    )
    unchecked_security: Literal["ignore", "refuse"] = Field(
        "ignore",
        description="What a mandatory wsse:Security gets where user_assertions is off: ignored, "
        "or a fault MustUnderstand.",
    )
    user_assertions_of: Settings | None = Field(
        None,
        description="Transactions that differ: ITI-18=required ITI-44=off, or a table.",
        examples=["ITI-43=optional ITI-44=off"],
    )
    user_issuers: Path | None = Field(
        None,
        description="File (.toml) of who may vouch for users, and by which keys.",
        examples=["issuers.toml"],
    )
    user_audiences: Texts | None = Field(
        None,
        description="URIs, separated by spaces, that assertions and tokens for this server name.",
        examples=["https://share.example"],
    )
    clock_skew_seconds: int = Field(
        60,
        ge=0,
        le=600,
        description="How far the clocks of issuers may be from the server's.",
        examples=[120],
    )
    assertion_reuse: Literal["accept", "refuse"] = Field(
        "accept",
        description="Whether one assertion or token may come with more than one request.",
    )
    token_scopes: Literal["require", "ignore"] = Field(
        "require", description="Whether a token must have the transaction's name among its scopes."
    )

    @property
    def user_requirements(self) -> UserRequirements:
        """Of which transactions a user has to be known; ValueError where that says nothing."""
        return UserRequirements.read(self.user_assertions, settings(self.user_assertions_of or ""))

    @model_validator(mode="after")
    def _check_users(self) -> Self:
        asked = self.user_requirements.asks_anywhere
        if asked and not (self.user_issuers and self.user_audiences):
            raise ValueError("user_assertions needs user_issuers and user_audiences")
        return self
