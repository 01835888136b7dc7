"""What a document says of itself, and what becomes of it: the attributes of a DocumentEntry.

A CDA header (:mod:`xds.content.cda`) and a FHIR document (:mod:`xds.content.fhir_document`) are
described in the same terms; the affinity domain adds what documents do not say (PCC TF-2 4.1.1).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from xds.content.defaults import CONFIGURED, OPTION, Defaults
from xds.fhir.r4.outcome import Issue, Refused
from xds.metadata.catalogue import ITI_42
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.submission import StatedVersion

H = TypeVar("H")


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentMetadata:
    """The attributes that a document gives, by their declared names, and what went wrong.

    The expressions of its issues are places within the document: XPath or FHIRPath.
    """

    values: Mapping[str, Any]
    places: Mapping[str, str]
    """Where in the document each attribute is looked for."""
    issues: tuple[Issue, ...] = ()
    unreadable: frozenset[str] = frozenset()
    """The attributes that those issues are about."""
    declared: frozenset[str] = frozenset()
    """The templates or profiles that the document says it follows."""
    bodies: frozenset[str] = frozenset()
    """What its body is, as the rows of formats.toml say it."""
    format_code: Code | None = None
    """What to fall back on where no row fits."""
    stated: StatedVersion = field(default_factory=StatedVersion)
    """What it says of its versions."""


def unreadable(where: str, reason: str, code: str = "value") -> Refused:
    """Make the refusal of one place of a document; never with what stands there."""
    return Refused.because(400, code, reason, where)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the rows of a table gave."""

    values: Mapping[str, Any]
    issues: tuple[Issue, ...]
    unreadable: frozenset[str]


def gather(rows: Mapping[str, Callable[[H], object]], header: H) -> Gathered:
    """Read every attribute by its row; what is absent is left out, what is wrong is told."""
    values: dict[str, Any] = {}
    failed: dict[str, tuple[Issue, ...]] = {}
    for name, read in rows.items():
        try:
            value = read(header)
        except Refused as refused:
            failed[name] = refused.issues
            continue
        if value not in (None, ()):
            values[name] = value
    issues = dict.fromkeys(issue for issues in failed.values() for issue in issues)
    return Gathered(values, tuple(issues), frozenset(failed))


OVERRIDDEN: Final = (
    "class_code",
    "healthcare_facility_type_code",
    "practice_setting_code",
    "type_code",
)
"""What a deployment may say better than the document. Not how confidential it is."""

_GIVEN_ELSEWHERE: Final = frozenset({"hash", "size", "repository_unique_id", "object_type"})
_REQUIRED: Final = tuple(
    name
    for name, attribute in DocumentEntry.attributes().items()
    if ITI_42.name in attribute.required_in and name not in _GIVEN_ELSEWHERE
)


def completed(metadata: DocumentMetadata, defaults: Defaults) -> Mapping[str, Any]:
    """Add what the affinity domain knows; what the document itself says comes first.

    Of documents of one type the deployment's codes come before the document's own, since they
    translate them into the codes of the affinity domain.
    """
    values = dict(metadata.values)
    of_type = defaults.of_type(values.get("type_code"))
    values |= {name: code for name, code in of_type.items() if name in OVERRIDDEN}
    for name, code in (*of_type.items(), *defaults.codes.items()):
        values.setdefault(name, (code,) if name == "confidentiality_code" else code)
    if defaults.language_code:
        values.setdefault("language_code", defaults.language_code)
    found = defaults.format_code(metadata.declared, metadata.bodies) or metadata.format_code
    if found:
        values.setdefault("format_code", found)
    return values


_ALWAYS: Final = frozenset({"unique_id", "patient_id", "mime_type"})
"""What no document can do without, with Minimal Metadata either (ITI TF-3 4.3.1)."""


def missing(
    metadata: DocumentMetadata, values: Mapping[str, Any], *, is_minimal: bool = False
) -> Iterator[Issue]:
    """Tell which required attributes neither the document nor the deployment gives."""
    for name in _REQUIRED:
        if name in values or name in metadata.unreadable or (is_minimal and name not in _ALWAYS):
            continue
        where = metadata.places.get(name)
        yield Issue(
            code="required",
            diagnostics=_lacking(name, metadata.values.get("type_code")),
            expression=(where,) if where else (),
        )


def _lacking(name: str, type_code: Code | None) -> str:
    tf_name = DocumentEntry.attributes()[name].tf_name
    reason = f"{tf_name} is required, and the document does not say it"
    keys = []
    if name in CONFIGURED.values():
        keys.append(f"codes.{tf_name}")
    if keys and type_code is not None:
        keys.append(f'types."{type_code}".{tf_name}')
    if name == "language_code":
        keys.append(tf_name)
    if name not in _ALWAYS:
        reason += "; it may be absent where the option minimal_metadata is accept"
    if not keys:
        return reason
    return f"{reason}; a deployment gives it as {' or '.join(keys)} in the file of option {OPTION}"
