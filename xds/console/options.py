"""The options of the console."""

from typing import Literal

from pydantic import BaseModel, Field

from xds.options.values import CodeText


class ConsoleOptions(BaseModel):
    """Pages for people who look after the server or read documents: [console.md](console.md)."""

    console: Literal["off", "on", "trial"] = Field(
        "off",
        description="Whether there is a console at /console; `trial` makes an account `trial` for "
        "it, with a new password that the server prints when it starts.",
    )
    console_idle_minutes: int = Field(
        15,
        ge=1,
        le=480,
        description="Minutes after which somebody who does nothing has to log in again.",
        examples=[10],
    )
    console_hours: int = Field(
        8,
        ge=1,
        le=24,
        description="Hours after which everybody has to log in again.",
        examples=[4],
    )
    console_purpose: CodeText = Field(
        "TREAT^^2.16.840.1.113883.5.8",
        description="The purpose of use of people at the console, as rules of the policy name it.",
        examples=["HOPERAT^^2.16.840.1.113883.5.8"],
    )
    console_emergency_purpose: CodeText = Field(
        "BTG^^2.16.840.1.113883.5.8",
        description="The purpose of use of somebody who breaks the glass for a patient.",
        examples=["ETREAT^^2.16.840.1.113883.5.8"],
    )
