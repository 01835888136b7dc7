"""What the values of options are: how each is read and checked, from text or from a TOML file."""

import shlex
from importlib.util import find_spec
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, ByteSize

from xds.metadata import datatypes
from xds.url_allowlist import SyslogTarget, Target, prefixes

_OID_URN: Final = "urn:oid:"


def _check_oid(oid: str) -> str:
    datatypes.check_oid(oid)
    return oid


def _check_url(url: str) -> str:
    if not url.partition("://")[0] or "://" not in url:
        raise ValueError("not a URL, such as sqlite:///folder/file or file:///folder")
    return url


def _joined(value: object) -> object:
    """Take a list, as a TOML file may have it, for its items separated by spaces."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return value


def _listed(value: object) -> object:
    """Take a table, as a TOML file may have it, for its NAME=value separated by spaces."""
    if isinstance(value, dict):
        return shlex.join(f"{name}={_said(setting)}" for name, setting in value.items())
    return value


def _said(setting: object) -> str:
    return str(setting).lower() if isinstance(setting, bool) else str(setting)


def settings(text: str) -> dict[str, str]:
    """Read NAME=value separated by spaces; what has spaces itself stands in quotation marks."""
    parts = [part.partition("=") for part in shlex.split(text)]
    if not all(name and equals for name, equals, _ in parts):
        raise ValueError("not of the form NAME=value NAME=value")
    return {name: value for name, _, value in parts}


def _check_settings(text: str) -> str:
    settings(text)
    return text


def _check_targets(text: str) -> str:
    prefixes(text)
    return text


def _check_public_url(url: str) -> str:
    if "?" in url:
        raise ValueError("a URL below which others lie has no query")
    return Target.parse(url.rstrip("/")).url


def _check_remote_url(url: str) -> str:
    return Target.parse(url).url


def _check_origins(text: str) -> str:
    for origin in text.split():
        if origin != "*" and (origin.count("/") != 2 or Target.parse(origin).segments):
            raise ValueError("an origin is * or of the form https://host:port, without a path")
    return text


def _check_code(code: str) -> str:
    if not all(code.partition("^^")):
        raise ValueError("not of the form code^^codingScheme")
    return code


def _check_codes(codes: str) -> str:
    return " ".join(map(_check_code, codes.split()))


def _without_urn(value: object) -> object:
    return value.strip().removeprefix(_OID_URN) if isinstance(value, str) else value


def _with_urn(oid: str) -> str:
    return _OID_URN + oid


def _check_telemetry_url(url: str) -> str:
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise ValueError("needs OpenTelemetry: pip install 'xds[telemetry]'")
    return Target.parse(url).url


def _check_syslog(url: str) -> str:
    SyslogTarget.parse(url)
    return url


Oid = Annotated[str, BeforeValidator(_without_urn), AfterValidator(_check_oid)]
OidUrn = Annotated[Oid, AfterValidator(_with_urn)]
CodeText = Annotated[str, AfterValidator(_check_code)]
CodeTexts = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_codes)]
Names = Annotated[str, BeforeValidator(_joined)]
Url = Annotated[str, AfterValidator(_check_url)]
Targets = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_targets)]
SyslogUrl = Annotated[str, AfterValidator(_check_syslog)]
Settings = Annotated[str, BeforeValidator(_listed), AfterValidator(_check_settings)]
RemoteUrl = Annotated[str, AfterValidator(_check_remote_url)]
TelemetryUrl = Annotated[str, AfterValidator(_check_telemetry_url)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
Texts = Annotated[str, BeforeValidator(_joined)]
Origins = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_origins)]


def human(value: object) -> str:
    """Show a value of an option; a size with its unit."""
    return value.human_readable() if isinstance(value, ByteSize) else str(value)
