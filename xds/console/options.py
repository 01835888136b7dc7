"""The options of the console."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from xds.options.values import CodeText, RemoteUrl, Settings, Targets, Texts
from xds.tls.options import HeaderName
from xds.url_allowlist import Target


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


class ConsoleLoginOptions(BaseModel):
    """How people log in at the console: [console.md](console.md#logging-in)."""

    console_login: Literal["password", "openid", "either", "proxy"] = Field(
        "password",
        description="By a local account, at a provider of OpenID Connect, by either, or by what a "
        "proxy of trusted_proxies tells.",
    )
    console_roles: Settings | None = Field(
        None,
        description="Which groups of the provider or the proxy have which role: ROLE=GROUP, "
        "several groups separated by ;, or a table.",
        examples=["viewer=staff clinician=doctors;nurses"],
    )
    openid_issuer: RemoteUrl | None = Field(
        None,
        description="URL of the provider, exactly as it names itself.",
        examples=["https://login.hospital.example/realms/staff"],
    )
    openid_client: str | None = Field(
        None, description="The client_id of this server there.", examples=["xds-console"]
    )
    openid_secret: str | None = Field(
        None,
        repr=False,
        description="Its client secret; unset: a public client, by PKCE alone.",
        examples=["…"],
    )
    openid_scopes: Texts = Field(
        "openid profile",
        description="What is asked for of a person.",
        examples=["openid profile groups"],
    )
    openid_groups_claim: str = Field(
        "groups",
        min_length=1,
        description="Claim that has a person's groups; with a slash before it, a JSON Pointer.",
        examples=["/realm_access/roles"],
    )
    openid_patients_claim: str | None = Field(
        None,
        min_length=1,
        description="Claim that has the patients (CX) whom a person may see, or *; unset: "
        "nobody is limited to patients by the provider.",
        examples=["patients"],
    )
    openid_endpoints: Targets | None = Field(
        None,
        description="URLs below which the provider's endpoints lie; unset: its own server.",
        examples=["https://login.hospital.example https://keys.hospital.example"],
    )

    console_user_header: HeaderName = Field(
        "ConsoleUser",
        description="Header in which a trusted proxy tells who has logged in there.",
        examples=["RemoteUser"],
    )
    console_groups_header: HeaderName = Field(
        "ConsoleGroups",
        description="Header in which it tells their groups, separated by commas.",
        examples=["RemoteGroups"],
    )
    console_patients_header: HeaderName | None = Field(
        None,
        description="Header in which it tells the patients (CX) whom they may see, separated by "
        "commas, or *; unset: nobody is limited to patients by the proxy.",
        examples=["ConsolePatients"],
    )
    console_logout_url: RemoteUrl | None = Field(
        None,
        description="Where people log out at the proxy; unset: the console does not say.",
        examples=["https://xds.hospital.example/oauth2/sign_out"],
    )

    @property
    def console_headers(self) -> tuple[str, ...]:
        """The headers by which a proxy tells of a person, which nobody else may."""
        names = (
            self.console_user_header,
            self.console_groups_header,
            self.console_patients_header,
        )
        return tuple(filter(None, names))

    @property
    def has_passwords(self) -> bool:
        """Whether people log in by local accounts."""
        return self.console_login in ("password", "either")

    @property
    def has_openid(self) -> bool:
        """Whether people log in at a provider."""
        return self.console_login in ("openid", "either")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.console_login != "password" and not self.console_roles:
            raise ValueError("console_login needs console_roles: without, nobody has a role")
        if not self.has_openid:
            return self
        if not (self.openid_issuer and self.openid_client):
            raise ValueError("console_login needs openid_issuer and openid_client")
        if "openid" not in self.openid_scopes.split():
            raise ValueError("openid_scopes: openid is missing, without which there is no ID token")
        urls = [self.openid_issuer, *(self.openid_endpoints or "").split()]
        for issuer in map(Target.parse, urls):
            if issuer.scheme == "http" and not issuer.is_here:
                raise ValueError("openid_issuer: a provider on another machine needs https")
        return self
