"""What is sent of a subscription (ITI-112): notifications of the engine become Bundles.

A subscription without a topic is told as R4 has it: by an empty POST, or by an update of the
resource below its endpoint where it has a payload.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from xds.config import Config
from xds.dsubm import vocabulary as v
from xds.dsubm.notifications import NotificationEvent, NotifiedResource, SubscriptionStatus
from xds.dsubm.resources import instant
from xds.dsubm.subscriptions import PROTOCOL, FhirSubscription
from xds.fhir.datatypes.context import Writing
from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.http.versions import versioned
from xds.fhir.r4 import rendering
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.resource import Resource
from xds.fhir.search.rendered import RenderedResources
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject
from xds.metadata.systems import Systems
from xds.mhd import document_lists, document_references
from xds.mhd.mapping.document_references import document_reference
from xds.mhd.mapping.lists import folder_list, submission_set_list
from xds.mhd.mapping.patients import patient_resource
from xds.notification.model import NotificationKind
from xds.notification.recorder import recorder
from xds.notification.sender import NotificationProtocol
from xds.notification.told import Notification, NotifiedObject, RenderedNotification
from xds.registry.events import REGISTERED, REMOVED, happened
from xds.registry.queries.views import RegistryView

_METHODS: Final = {REGISTERED: "POST", REMOVED: "DELETE"}
_UPDATE: Final = "PUT"
_MOST_IDS: Final = 16_384
_TYPES: Final[Mapping[NotificationKind, str]] = {
    NotificationKind.EVENT: v.EVENT_NOTIFICATION,
    NotificationKind.HANDSHAKE: v.HANDSHAKE,
    NotificationKind.HEARTBEAT: v.HEARTBEAT_NOTIFICATION,
    # DSUBm 2:3.112.4.7: a notification of the status off, and of no event
    NotificationKind.DEACTIVATION: v.EVENT_NOTIFICATION,
}


@dataclass(frozen=True, slots=True)
class EventWriter:
    """Writes events with the resources that they are about."""

    systems: Systems
    resources: RenderedResources
    ids: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Ids of resources by entryUUIDs."""

    def event(
        self, notification: Notification, view: RegistryView, base: str, content: str
    ) -> NotificationEvent:
        """Return an event; without resources where its subscriber may not see them by now."""
        focus = self._focus(notification, view, base, content)
        context = (
            self._context(notification, view, base) if focus and content == v.FULL_RESOURCE else ()
        )
        return NotificationEvent(
            number=notification.number,
            at=instant(notification.at),
            focus=focus,
            context=context,
        )

    def _focus(
        self, notification: Notification, view: RegistryView, base: str, content: str
    ) -> NotifiedResource | None:
        if content == v.EMPTY or not notification.objects:
            return None
        (one,) = notification.objects
        identifier = self._id_of(one)
        if not identifier:
            return None
        is_full = content == v.FULL_RESOURCE
        return NotifiedResource(
            resource_type="DocumentReference" if one.kind is DocumentEntry else "List",
            id=identifier,
            method=_METHODS.get(happened(notification.change), _UPDATE),
            resource=self.resource(one, view, base) if is_full else None,
        )

    def _id_of(self, one: NotifiedObject) -> str:
        """Return the id of a resource; empty where nothing is known of the object.

        That of a registered object never changes, and is read of its metadata once.
        """
        known = self.ids.get(one.entry_uuid, "") if one.registered is not None else ""
        if known or one.thing is None:
            return known
        found = own_id(one.thing)
        if one.registered is not None:
            if len(self.ids) >= _MOST_IDS:
                self.ids.clear()
            self.ids[one.entry_uuid] = found
        return found

    def resource(self, one: NotifiedObject, view: RegistryView, base: str) -> Rendered | Resource:
        """Return an object as the resource that a read gives, or would have given last."""
        writing = Writing(self.systems, base)
        if one.registered is None:
            return versioned(_removed(one.thing, writing), base)
        written = (
            document_references.written if one.kind is DocumentEntry else document_lists.written
        )
        (found,) = written(writing, self.resources, view, [one.registered])
        return found

    def _context(
        self, notification: Notification, view: RegistryView, base: str
    ) -> tuple[NotifiedResource, ...]:
        """Return what the notification shapes of the topics include: the patient."""
        (one,) = notification.objects
        if one.registered is None:
            return ()
        writing = Writing(self.systems, base)
        return tuple(
            NotifiedResource(
                resource_type="Patient",
                id=str(known.number),
                method="GET",
                resource=versioned(patient_resource(known, context=writing), base),
            )
            for known in view.patients_by_number([one.registered.patient])
        )


def own_id(thing: MetadataObject) -> str:
    """Return the id of the resource that an object is."""
    logical_id: str | None = getattr(thing, "logical_id", None)
    return resource_id(logical_id or thing.entry_uuid)


def _removed(thing: Any, writing: Writing) -> Resource:
    """Return what was removed, as far as its metadata tell."""
    if isinstance(thing, DocumentEntry):
        return document_reference(thing, context=writing)
    write = folder_list if isinstance(thing, Folder) else submission_set_list
    return write(thing, context=writing, members=())


@dataclass(frozen=True, slots=True)
class NotificationRenderer:
    """Renders notifications for the engine; safe to use from many threads."""

    writer: EventWriter

    def __call__(self, told: Notification, view: RegistryView) -> RenderedNotification | None:
        """Return what is sent; None where nothing is."""
        one = FhirSubscription(told.subscription)
        if not one.content:
            return self._of_search(told, one, view) if told.kind is NotificationKind.EVENT else None
        return RenderedNotification(
            rendering.render(self.bundle(told, view), one.form), one.payload
        )

    def bundle(self, told: Notification, view: RegistryView) -> Resource:
        """Return the Bundle of a notification."""
        one = FhirSubscription(told.subscription)
        is_event = told.kind is NotificationKind.EVENT
        event = (self.writer.event(told, view, one.base, one.content),) if is_event else ()
        status = SubscriptionStatus(
            base=one.base,
            subscription=one.own.id,
            topic=one.topic_url,
            # that of a websocket, which comes whenever one is bound, as well (2:3.112.4.1)
            status=v.REQUESTED if told.kind is NotificationKind.HANDSHAKE else one.status,
            type=_TYPES[told.kind],
            total=told.number,
            content=one.content,
            events=event,
            error=one.error,
        )
        return status.bundle(told.id, instant(told.at) if told.at else None)

    def _of_search(
        self, told: Notification, one: FhirSubscription, view: RegistryView
    ) -> RenderedNotification | None:
        if not told.objects:
            return None
        if not one.payload:
            return RenderedNotification(b"", "")
        (found,) = told.objects
        resource = self.writer.resource(found, view, one.base)
        whole = resource.resource() if isinstance(resource, Rendered) else resource
        path = f"{whole['resourceType']}/{quote(whole['id'])}"
        return RenderedNotification(
            rendering.render(whole, one.form), one.payload, method=_UPDATE, path=path
        )


def renderer(config: Config) -> NotificationRenderer:
    """Return what renders notifications with some configuration."""
    systems = Systems.read(config.identifier_systems)
    return NotificationRenderer(EventWriter(systems, RenderedResources()))


NOTIFICATIONS: Final = NotificationProtocol(PROTOCOL, renderer, recorder("ITI-112"))
