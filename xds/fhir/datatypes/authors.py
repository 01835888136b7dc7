"""Authors, authenticators and recipients: one Reference each, to a contained resource.

An author of XDS is a person with institutions, roles, specialties and telecommunication, all in
one (ITI TF-3 4.2.3.1.4). A mere person is a Practitioner, a mere institution an Organization, and
whatever is more a PractitionerRole that refers to both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Final

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.codes import coded_concept, read_coded_concept
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.exact import extension, extensions
from xds.fhir.datatypes.people import (
    ORGANIZATIONS,
    PERSONS,
    organization,
    person,
    read_organization,
    read_person,
)
from xds.fhir.datatypes.telecoms import contact_points, read_contact_points
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.json import Lasting
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Author
from xds.metadata.systems import Systems

NOBODY: Final = Author()
_AUTHORS: Final = 1_000
"""How many authors are kept as they were written: the same few write most documents."""


class ContainedResources:
    """The contained resources of one resource, as they are added."""

    def __init__(self, systems: Systems) -> None:
        self.systems = systems
        self.resources: list[Lasting] = []

    def add(self, kind: str, name: str, content: Resource) -> Lasting:
        """Contain a resource and return the Reference to it."""
        return self.put(Lasting(resourceType=kind, id=name, **content))

    def put(self, resource: Lasting) -> Lasting:
        """Contain a resource that has an id already and return the Reference to it."""
        self.resources.append(resource)
        return _reference_to(resource["id"])

    def person(self, text: str, name: str, telecoms: Iterable[str] = ()) -> Lasting:
        """Contain a person; return the Reference."""
        content = person(text, self.systems) if text else {}
        return self.add("Practitioner", name, _reachable(content, telecoms))

    def organization(self, text: str, name: str, telecoms: Iterable[str] = ()) -> Lasting:
        """Contain an organisation; return the Reference."""
        return self.add(
            "Organization", name, _reachable(organization(text, self.systems), telecoms)
        )

    def author(self, author: Author, name: str) -> Lasting | None:
        """Contain an author under names that begin so; None for one who says nothing."""
        resources, reference = _author_of(author, name, self.systems)
        self.resources.extend(resources)
        return reference

    def write_author(self, author: Author, name: str) -> Lasting | None:
        """Write what contains an author, as ``author`` does."""
        persons = [text for text in author.person if text]
        institutions = [text for text in author.institution if text]
        telecoms = author.telecommunication
        if author.role or author.specialty or len(persons) + len(institutions) > 1:
            return self._role(author, persons, institutions, name)
        if institutions:
            return self.organization(institutions[0], name, telecoms)
        if persons or any(telecoms):
            return self.person(persons[0] if persons else "", name, telecoms)
        return None

    def _role(
        self, author: Author, persons: list[str], institutions: list[str], name: str
    ) -> Lasting:
        content: Resource = {}
        organizations = [
            self.organization(text, f"{name}-organization-{i}")
            for i, text in enumerate(institutions, 1)
        ]
        people = [self.person(text, f"{name}-person-{i}") for i, text in enumerate(persons, 1)]
        more = [extension(f.OWN_PERSON, "valueReference", one) for one in people[1:]]
        more += [extension(f.OWN_INSTITUTION, "valueReference", one) for one in organizations[1:]]
        if more:
            content["extension"] = more
        if people:
            content["practitioner"] = people[0]
        if organizations:
            content["organization"] = organizations[0]
        if codes := [coded_concept(text, self.systems) for text in author.role if text]:
            content["code"] = codes
        if codes := [coded_concept(text, self.systems) for text in author.specialty if text]:
            content["specialty"] = codes
        return self.add("PractitionerRole", name, _reachable(content, author.telecommunication))

    def recipient(self, text: str, name: str) -> Lasting | None:
        """Contain an intendedRecipient, ``XON|XCN|XTN`` (ITI TF-3 4.2.3.3.7)."""
        parts = dict(zip_longest(_PARTS, text.split("|", 2), fillvalue=""))
        given = {part: (value,) for part, value in parts.items() if value.strip("^")}
        return self.author(Author(**given), name)


@lru_cache(_AUTHORS)
def _author_of(
    author: Author, name: str, systems: Systems
) -> tuple[Sequence[Lasting], Lasting | None]:
    """Return the resources that contain an author and the Reference: nobody changes them."""
    contained = ContainedResources(systems)
    reference = contained.write_author(author, name)
    return contained.resources, reference


@lru_cache(_AUTHORS)
def author_texts(author: Author, name: str, systems: Systems) -> tuple[str, str]:
    """Return the JSON of what contains an author, with commas between, and of the Reference.

    Both are empty for one who says nothing.
    """
    resources, reference = _author_of(author, name, systems)
    return ",".join([one.text for one in resources]), reference.text if reference else ""


@lru_cache(_AUTHORS)
def signer_texts(text: str, name: str, systems: Systems) -> tuple[str, str]:
    """Return the JSON of what contains a person, as ``person`` does, and of the Reference."""
    return _signer(text, name, systems).text, _reference_to(name).text


@lru_cache(_AUTHORS)
def _signer(text: str, name: str, systems: Systems) -> Lasting:
    contained = ContainedResources(systems)
    contained.person(text, name)
    return contained.resources[0]


@lru_cache(_AUTHORS)
def _reference_to(name: str) -> Lasting:
    return Lasting(reference=f"#{name}")


_PARTS: Final = ("institution", "person", "telecommunication")


def _reachable(content: Resource, telecoms: Iterable[str]) -> Resource:
    points = contact_points(telecoms)
    if points:
        content["telecom"] = points
    return content


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Actors:
    """Reads the actors that a resource refers to."""

    resource: Resource
    reading: Reading
    notes: IssueCollector

    def target(self, reference: Resource, where: str, within: Resource) -> Resource | None:
        """Return the resource that a Reference leads to, None where it is not in the request.

        A reference into the resource itself must lead somewhere, one to a UUID of the Bundle too
        unless an identifier beside it says who is meant; one to another server need not.
        """
        literal = reference.get("reference", "")
        if literal.startswith("#"):
            holders = (*within.get("contained", ()), *self.resource.get("contained", ()))
            found = next((one for one in holders if one.get("id") == literal[1:]), None)
        else:
            found = self.reading.resolve(reference) if literal else None
        urns = () if "identifier" in reference else (f.UUID_URN, f.OID_URN)
        if found is None and literal.startswith(("#", *urns)):
            self.notes.error("not-found", "the reference leads to nothing in the request", where)
        return found

    def author(self, reference: Resource, where: str) -> Author:
        """Read who is referred to; NOBODY where that cannot be said."""
        found = self.target(reference, where, self.resource)
        return self._described(reference) if found is None else self._author(found, where)

    def person(self, reference: Resource, where: str) -> str | None:
        """Read a person alone, as a legalAuthenticator is; an organisation is none."""
        found = self.author(reference, where)
        return found.person[0] if found.person else None

    def recipient(self, reference: Resource, where: str) -> str | None:
        """Read an intendedRecipient."""
        found = self.author(reference, where)
        values = [getattr(found, part) for part in _PARTS]
        return "|".join(value[0] if value else "" for value in values).rstrip("|") or None

    def _described(self, reference: Resource) -> Author:
        """Read a logical reference, or one that only says a name."""
        name, number = reference.get("display", ""), reference.get("identifier")
        if not name and number is None:
            return NOBODY
        content: Resource = {"identifier": [number]} if number is not None else {}
        literal = reference.get("reference", "")
        if "Organization" in (reference.get("type"), *literal.split("/")[-2:-1]):
            return _one("institution", read_organization({**content, "name": name}, self._systems))
        if name:
            content["name"] = [{"text": name}]
        return _one("person", read_person(content, self._systems))

    def _author(self, found: Resource, where: str) -> Author:
        kind = found.get("resourceType", "")
        telecoms = read_contact_points(found.get("telecom", ()))
        if kind in PERSONS:
            said = _one("person", read_person(found, self._systems))
        elif kind in ORGANIZATIONS:
            said = _one("institution", read_organization(found, self._systems))
        elif kind == "PractitionerRole":
            return self._of_role(found, telecoms, where)
        else:
            self.notes.error("invalid", f"a {kind} can be nobody here", where)
            return NOBODY
        return merged(said, Author(telecommunication=telecoms))

    def _of_role(self, role: Resource, telecoms: tuple[str, ...], where: str) -> Author:
        systems = self._systems
        author = Author(
            role=_said(role.get("code", ()), lambda one: read_coded_concept(one, systems)),
            specialty=_said(
                role.get("specialty", ()), lambda one: read_coded_concept(one, systems)
            ),
            telecommunication=telecoms,
        )
        references = [role[part] for part in ("practitioner", "organization") if part in role]
        for url in (f.OWN_PERSON, f.OWN_INSTITUTION):
            more = extensions(role, url)
            references += [one["valueReference"] for _, one in more if "valueReference" in one]
        for reference in references:
            author = merged(author, self._part(reference, role, where))
        return author

    def _part(self, reference: Resource, role: Resource, where: str) -> Author:
        """Read the person or organisation of a role; a role in a role would go on for ever."""
        found = self.target(reference, where, role)
        if found is not None and found.get("resourceType") in (*PERSONS, *ORGANIZATIONS):
            return self._author(found, where)
        return self._described(reference)

    @property
    def _systems(self) -> Systems:
        return self.reading.systems


def merged(one: Author, other: Author) -> Author:
    """Return both as one author; a telecommunication that both have is had once."""
    telecoms = [text for text in other.telecommunication if text not in one.telecommunication]
    return Author(
        person=one.person + other.person,
        institution=one.institution + other.institution,
        role=one.role + other.role,
        specialty=one.specialty + other.specialty,
        telecommunication=(*one.telecommunication, *telecoms),
    )


def _one(part: str, text: str | None) -> Author:
    return Author(**{part: (text,)}) if text else NOBODY


def _said(elements: Iterable[Resource], read: Callable[[Resource], str | None]) -> tuple[str, ...]:
    return tuple(text for text in map(read, elements) if text)
