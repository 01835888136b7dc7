"""Versions of resources: ``meta.versionId``, the ETag, and what a vread answers (FHIR R4 http).

A versionId is the version number of the metadata (ITI TF-3 4.2.3.2.34) and, behind a hyphen, a
digest of the resource itself. It changes as soon as anything of the resource does: its status, its
patient, what it relates to, what a Folder holds. It is computed and not stored, so every process
gives the same one. The address by which a client reaches the server has no part in it.

Only the current version can be read.
"""

from hashlib import blake2b
from typing import Final

from xds.fhir.r4 import json
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource

_FIRST: Final = "1"
_DIGEST_BYTES: Final = 8
_HEAD: Final = ("resourceType", "id", "meta")
"""How a resource begins, so that the first versionId of its JSON is its own."""


def versioned(resource: Resource, base: str) -> Resource:
    """Return a resource with its versionId; ``meta.versionId`` has the version number, if any.

    ``base`` is the absolute URL of the FHIR base that its URLs begin with.
    """
    meta = resource.get("meta", {})
    version = _version(resource, json.render(resource), base)
    kind, identifier = resource["resourceType"], resource["id"]
    own = {"resourceType": kind, "id": identifier, "meta": {**meta, "versionId": version}}
    return {**own, **{name: value for name, value in resource.items() if name not in own}}


def rendered(resource: Resource, base: str) -> Rendered:
    """Return the JSON of a resource with its versionId, which is put into the text."""
    content = json.render(resource)
    stated = resource.get("meta", {}).get("versionId", "")
    if not (stated.isdecimal() and tuple(resource)[: len(_HEAD)] == _HEAD):
        return Rendered(resource["id"], json.render(versioned(resource, base)))
    before, after = f'"versionId":"{stated}"', f'"versionId":"{_version(resource, content, base)}"'
    return Rendered(resource["id"], content.replace(before.encode(), after.encode(), 1))


DIGEST: Final = "\x01"
BASE: Final = "\x02"
"""Marks in the JSON of a resource that no JSON has: behind the number of the versionId, and in the
place of the base of its URLs."""


def filled(identifier: str, text: str, base: str) -> Rendered:
    """Return a resource whose JSON has these marks, for a base that is given.

    ``identifier`` is its id, and the versionId that of ``versioned``.
    """
    head, _, rest = text.partition(DIGEST)
    parts = rest.split(BASE)
    digest = _digest(f"{head}{''.join(parts)}".encode())
    return Rendered(identifier, f"{head}-{digest}{json.text(base)[1:-1].join(parts)}".encode())


def _digest(told: bytes) -> str:
    return blake2b(told, digest_size=_DIGEST_BYTES).hexdigest()


def _version(resource: Resource, content: bytes, base: str) -> str:
    number = resource.get("meta", {}).get("versionId", _FIRST)
    told = content.replace(base.encode(), b"")
    return f"{number}-{_digest(told)}"


def etag(resource: Resource) -> str:
    """Return the ETag of a resource that has a versionId."""
    return f'W/"{resource["meta"]["versionId"]}"'


def require_current(wanted: str, *current: str) -> None:
    """Refuse the read of any version but the current one; of it there may be several names."""
    if wanted and wanted not in current:
        raise Refused.because(
            404,
            "not-found",
            f"the version is not the current one, which is {current[0]}: only the current version "
            "can be read",
        )
