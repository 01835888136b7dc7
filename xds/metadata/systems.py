"""Code systems and identifier systems by all their names: OID, URI, HL7 v2 namespace.

XDS metadata names a system by its OID (ITI TF-3 4.2.3.1.2), FHIR by a URI, HL7 v2 an assigning
authority by a namespace. The table is data, ``systems.toml``, and a deployment's own file adds to
it. What no table knows is carried as ``urn:oid:`` and comes back unchanged.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import quote, unquote

from xds.metadata.datatypes import is_oid

OID_URN: Final = "urn:oid:"
_KEYS: Final = frozenset({"name", "oid", "uri", "namespace", "aliases"})


class SystemsError(ValueError):
    """A file of systems cannot be read; the sentence names the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of the table."""

    name: str
    oid: str = ""
    uri: str = ""
    """Where the table has none, ``urn:oid:`` and the OID."""
    namespace: str = ""
    aliases: tuple[str, ...] = ()
    """Other OIDs and URIs that are read as this system, and never written."""

    @property
    def scheme(self) -> str:
        """What metadata writes: the OID, or the URI of a system that has none."""
        return self.oid or self.uri


@dataclass(frozen=True, slots=True, eq=False)
class Systems:
    """The table, in the directions in which it is asked."""

    rows: tuple[System, ...]
    _by_name: Mapping[str, System]
    """By OID, by URI and by alias."""
    _by_namespace: Mapping[str, System]

    @classmethod
    def read(cls, extra: Path | None = None) -> Self:
        """Read the shipped table, and a deployment's own file beside it; SystemsError."""
        shipped = resources.files("xds.metadata").joinpath("systems.toml")
        rows = list(_rows(shipped.name, shipped.read_bytes()))
        if extra is not None:
            try:
                content = extra.read_bytes()
            except OSError as error:
                raise SystemsError(f"{extra}: {error.strerror}") from error
            rows.extend(_rows(extra.name, content))
        return cls.of(rows)

    @classmethod
    def of(cls, rows: Iterable[System]) -> Self:
        """Make the table of its rows; SystemsError where a name stands twice."""
        rows = tuple(rows)
        names = [(n, row) for row in rows for n in (row.oid, row.uri, *row.aliases) if n]
        namespaces = [(row.namespace, row) for row in rows if row.namespace]
        return cls(rows, _once("OID or URI", names), _once("namespace", namespaces))

    def uri(self, scheme: str) -> str:
        """Return the URI by which FHIR knows a codingScheme or an OID.

        One that is neither known nor an OID comes unchanged, but for white space, which no URI has.
        """
        row = self._by_name.get(scheme)
        if row is None and scheme.startswith(OID_URN):
            row = self._by_name.get(scheme.removeprefix(OID_URN))
        if row is not None:
            return row.uri or OID_URN + row.oid
        if is_oid(scheme):
            return OID_URN + scheme
        return "".join(quote(c) if c.isspace() else c for c in scheme)

    def scheme(self, uri: str) -> str:
        """Return the codingScheme to store for a system of FHIR: an OID where there is one."""
        row = self._by_name.get(uri)
        if row is not None:
            return uri if is_oid(uri) else row.scheme
        oid = uri.removeprefix(OID_URN)
        return oid if is_oid(oid) else uri

    def canonical(self, name: str) -> str:
        """Return the one scheme of a system by whichever name it comes: OID, URI or alias.

        An OID may have ``urn:oid:`` before it, and comes without. What is not known is unchanged.
        """
        bare = name.removeprefix(OID_URN)
        row = self._by_name.get(bare)
        if row is not None:
            return row.scheme
        return bare if is_oid(bare) else name

    def schemes(self, uri: str) -> tuple[str, ...]:
        """Return every codingScheme that a stored code of this system may bear."""
        oid = uri.removeprefix(OID_URN)
        row = self._by_name.get(uri) or self._by_name.get(oid)
        if row is not None:
            forms = [row.oid, row.uri, *row.aliases]
        elif is_oid(oid):
            forms = [oid]
        else:
            forms = [uri, unquote(uri)]
        urns = [OID_URN + form for form in forms if is_oid(form)]
        return tuple(dict.fromkeys(form for form in (*forms, *urns) if form))

    def authority(self, uri: str) -> str | None:
        """Return the OID of the assigning authority that an Identifier.system names, if any."""
        found = self.scheme(uri)
        return found if is_oid(found) else None

    def oid_of_namespace(self, namespace: str) -> str | None:
        """Return the OID of the assigning authority that HL7 v2 calls by this namespace."""
        row = self._by_namespace.get(namespace)
        return row.oid or None if row is not None else None

    def namespace(self, oid: str) -> str | None:
        """Return the HL7 v2 namespace of an assigning authority."""
        row = self._by_name.get(oid)
        return row.namespace or None if row is not None else None


def _once(what: str, named: Iterable[tuple[str, System]]) -> Mapping[str, System]:
    found: dict[str, System] = {}
    for name, row in named:
        if name in found:
            raise SystemsError(f"the {what} {name} stands for {found[name].name} and {row.name}")
        found[name] = row
    return found


def _rows(file: str, content: bytes) -> Iterator[System]:
    """Read one file: arrays of rows, whatever the arrays are called."""
    try:
        table = tomllib.loads(content.decode())
    except ValueError as error:
        raise SystemsError(f"{file}: {error}") from error
    for array, rows in table.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SystemsError(f"{file}: {array} is no array of systems")
        for row in rows:
            yield _row(f"{file}: {array}", row)


def _row(place: str, row: Mapping[str, Any]) -> System:
    if unknown := row.keys() - _KEYS:
        known = ", ".join(sorted(_KEYS))
        raise SystemsError(f"{place}: unknown key {min(unknown)}; known are {known}")
    name = row.get("name") or row.get("oid") or row.get("uri")
    aliases = row.get("aliases", [])
    texts = [name, row.get("oid", ""), row.get("uri", ""), row.get("namespace", "")]
    if not isinstance(aliases, list) or not all(isinstance(t, str) for t in (*texts, *aliases)):
        raise SystemsError(f"{place}: a system without an oid or uri, or one that is no text")
    _check(f"{place}: {name}", row)
    return System(**{**row, "name": name, "aliases": tuple(aliases)})


def _check(place: str, row: Mapping[str, Any]) -> None:
    oid, uri = row.get("oid", ""), row.get("uri", "")
    if not (oid or uri):
        raise SystemsError(f"{place}: a system needs an oid or a uri")
    if oid and not is_oid(oid):
        raise SystemsError(f"{place}: {oid} is not an OID")
    if row.get("namespace") and not oid:
        raise SystemsError(f"{place}: a namespace stands for an oid, and there is none")
    for text in (uri, *row.get("aliases", ())):
        if text and not is_oid(text) and (":" not in text or text.split() != [text]):
            raise SystemsError(f"{place}: {text} is not a URI")
        if text.startswith(OID_URN):
            raise SystemsError(f"{place}: write {text} without {OID_URN}")
