"""The resources that stand for what is registered: found by their ids, read, and their versions."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from xds.fhir.datatypes.context import Writing
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.json import Rendered
from xds.fhir.search import searchset
from xds.fhir.search.parameters import Searchable
from xds.fhir.search.rendered import RenderedResources
from xds.fhir.vocabulary import UUID_URN
from xds.metadata.criteria import Comparison, Operator
from xds.mhd.search.criteria import id_attribute
from xds.registry.queries.views import Found, RegistryView
from xds.security.details import PatientDetails

P = TypeVar("P", bound=Hashable)

Write = Callable[
    [Writing, RenderedResources, RegistryView, Sequence[Found[Any]]], Iterator[Rendered]
]
"""Makes resources of what was found, of which those kept are written already; each when it is
asked for, where the view is not needed any more."""


@dataclass(frozen=True, slots=True)
class StoredResources:
    """The resources of one type."""

    searchable: Searchable
    write: Write

    @property
    def resource_type(self) -> str:
        """The type, such as ``List``."""
        return self.searchable.resource_type

    def render(
        self, facade: Facade, base: str, view: RegistryView, found: Sequence[Found[Any]]
    ) -> Iterator[Rendered]:
        """Write what was found as resources, one by one, for the FHIR base that is given."""
        return self.write(Writing(facade.domain.systems, base), facade.resources, view, found)

    def latest(self, view: RegistryView, identifier: str) -> list[Found[Any]]:
        """Return the latest version of what has a resource id; empty where there is nothing."""
        for kind in self.searchable.kinds:
            of_kind: Any = kind
            own = Comparison(id_attribute(kind), Operator.EQUAL, (UUID_URN + identifier,))
            if found := view.find(of_kind, [own]):
                return found
        return []

    def versions(self, view: RegistryView, identifier: str) -> list[Found[Any]]:
        """Return every version of what has a resource id, the latest one first."""
        found = self.latest(view.every_version, identifier)
        return sorted(found, key=number_of, reverse=True)

    def read(self, facade: Facade, call: Call) -> Answer:
        """Read one resource by its id, as it is now or in a version before.

        Raises Refused 404 where it is not there, or not in that version.
        """
        with facade.domain.registry.view(call.access.visible) as view:
            found = self.latest(view, call.identifier)
            if found and call.version and has_history(facade):
                found, call = self._version(call, view, found)
            resources = list(self.render(facade, call.base, view, found))
        call.access.details = PatientDetails(tuple(one.found.patient_id for one in found))
        if not found:
            return searchset.read(call, self.searchable, None)
        return searchset.read(
            call, self.searchable, resources[0].resource(), found[0].last_updated_at
        )

    def _version(
        self, call: Call, view: RegistryView, latest: Sequence[Found[Any]]
    ) -> tuple[list[Found[Any]], Call]:
        """Return the version that a vread names, and the call as one to read it.

        A number names it; what is behind the number tells states of the latest version apart, and
        an older one is in its last state.
        """
        number, _, state = call.version.partition("-")
        if number == str(number_of(latest[0])) and state:
            return list(latest), call
        every = self.versions(view, call.identifier)
        found = [one for one in every if str(number_of(one)) == number]
        return found, replace(call, version="")


def kept_or_written(
    kept: RenderedResources,
    base: str,
    found: Sequence[Found[Any]],
    parts: Iterable[tuple[str, P]],
    write: Callable[[Found[Any], Sequence[P]], Rendered],
) -> Iterator[Rendered]:
    """Write what was found as resources; of those in ``kept`` the text is taken.

    ``parts`` are what else a resource is made of, each with the entryUUID of the object that it
    is a part of; ``write`` is handed those of its object. Those of a large result are not kept,
    which would take the place of all others, and what they were made of is let go of.
    """
    of: dict[str, list[P]] = {}
    for uuid, part in parts:
        of.setdefault(uuid, []).append(part)
    keep = len(found) <= searchset.LARGE
    left = list(reversed(found))
    del found
    while left:
        one = left.pop()
        own = of.get(one.found.entry_uuid, ())
        key = (*searchset.state(one, base), *own)
        made = kept.known(key)
        if made is None:
            made = write(one, own)
            if keep:
                kept.keep(key, made)
        yield made


def number_of(found: Found[Any]) -> int:
    """Return the number of a version; a SubmissionSet has but one."""
    return int(getattr(found.thing, "version", None) or 1)


def has_history(facade: Facade) -> bool:
    """Tell whether versions before the latest can be read (option ``fhir_history``)."""
    config = facade.config
    return config.offers_by_fhir(config.fhir_history, has_policy=config.policy is not None)
