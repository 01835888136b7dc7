"""ITI-53 Document Metadata Notify: how a notification becomes a message (ITI TF-2 3.53)."""

from xds.config import Config
from xds.dsub.requests import PROTOCOL as PROTOCOL
from xds.dsub.writing import CONSUMER_PARAMETERS, notification_message, notify
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.notification.told import Notification, RenderedNotification
from xds.registry.queries.views import RegistryView
from xds.wire.envelope import CLOSE, opening

NOTIFY_ACTION = f"{v.WSN_ACTIONS}/NotificationConsumer/Notify"
_CONTENT_TYPE = f'application/soap+xml; charset=UTF-8; action="{NOTIFY_ACTION}"'


class NotifyRenderer:
    """Renders a ``wsnt:Notify`` in an envelope of SOAP 1.2.

    Its wsa:MessageID is the id of the notification, which is the same at each attempt.
    """

    def __init__(self, config: Config) -> None:
        self._retrieves = config.minimal_notification == "RetrieveDocumentSetRequest"

    def __call__(
        self, notification: Notification, _view: RegistryView
    ) -> RenderedNotification | None:
        """Return the message; None where there is nothing that the subscriber may see."""
        message = notification_message(notification, retrieves=self._retrieves)
        if message is None:
            return None
        one = notification.subscription
        headers = (
            f'<wsa:Action s:mustUnderstand="1">{NOTIFY_ACTION}</wsa:Action>'
            f"<wsa:MessageID>urn:uuid:{notification.id}</wsa:MessageID>"
            f"<wsa:To>{escape(one.address)}</wsa:To>{one.details.get(CONSUMER_PARAMETERS, '')}"
        )
        content = opening(headers) + notify([message]) + CLOSE
        return RenderedNotification(content, _CONTENT_TYPE)
