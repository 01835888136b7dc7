"""ITI-52, ITI-69 and ITI-120 through the wire: what is answered, and what is refused and how."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.notification.conftest import Broker
from tests.notification.dsub import (
    ACTIONS,
    ANY_DOCUMENTS,
    ANY_SUBMISSION_SETS,
    DOCUMENTS,
    FOLDERS,
    NS,
    SUBMISSION_SETS,
    Reply,
    as_soap11,
    ends,
    envelope,
    in_header,
    patient,
    post,
    query,
    slot,
    subscribe,
    topic,
)

FULL = topic("ihe:FullDocumentEntry")
OF_PATIENT = query(DOCUMENTS, patient("P1"))
BAD_TIME = "UnacceptableInitialTerminationTimeFault"
RENEW = "<wsnt:Renew><wsnt:TerminationTime>P1D</wsnt:TerminationTime></wsnt:Renew>"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
FAULT = "http://docs.oasis-open.org/wsn/fault"
FACILITY = slot(
    "$XDSDocumentEntryHealthcareFacilityTypeCode", "('22232009^^2.16.840.1.113883.6.96')"
)
FIND = "urn:uuid:d9882216-d44d-43dc-a89f-fda5de7e52ae"
GET = "urn:uuid:b68a424d-625d-420f-bde7-c5538f22e99f"
ANY_STATUS = slot("$SubscriptionStatus", "('Approved','Deprecated')")


def made(broker: Broker, filters: str, path: str = "here", more: str = "") -> Reply:
    """Subscribe, and return the answer, which is a subscription."""
    reply = post(broker.url, envelope(subscribe(broker.consumer(path), filters, more)))
    assert reply.content.tag.endswith("}SubscribeResponse"), reply.body
    return reply


def found(broker: Broker, query_id: str, *slots: str, return_type: str = "LeafClass") -> Reply:
    """Search for subscriptions."""
    body = (
        f'<query:AdhocQueryRequest><query:ResponseOption returnType="{return_type}"/>'
        f"{query(query_id, *slots)}</query:AdhocQueryRequest>"
    )
    return post(broker.url, envelope(body, "urn:ihe:iti:dsub:2024:SubscriptionSearchRequest"))


def subscriptions(broker: Broker, path: str) -> list[str]:
    """Return the addresses of the subscriptions of a consumer, in any state."""
    url = slot("$SubscriptionUrl", f"('{broker.consumer(path)}')")
    reply = found(broker, FIND, ANY_STATUS, url, return_type="ObjectRef")
    return [one.get("id") for one in reply.content.iterfind(".//rim:ObjectRef", NS)]


# ---- subscribing


@pytest.mark.shows("ITI-52 Subscribe")
@pytest.mark.parametrize(
    "filters",
    [
        FULL + OF_PATIENT,
        topic("ihe:MinimalDocumentEntry") + query(DOCUMENTS, patient("P1"), FACILITY),
        topic("ihe:SubmissionSetMetadata")
        + query(
            SUBMISSION_SETS,
            patient("P1", "SubmissionSet"),
            slot("$XDSSubmissionSetIntendedRecipient", "('Some Hospital%')", "('%|^Welby%')"),
        ),
        topic("ihe:FolderMetadata")
        + query(FOLDERS, patient("P1", "Folder"), slot("$XDSFolderCodeList", "('a^^2.999.5')")),
        topic("ihe:ExtendedFullDocumentEntry") + OF_PATIENT,
        topic("ihe:ExtendedMinimalDocumentExtry") + OF_PATIENT,
        topic("ihe:ExtendedFolderMetadata") + query(FOLDERS, patient("P1", "Folder")),
        topic("ihe:UpdateFolder") + query(FOLDERS, patient("P1", "Folder")),
        FULL + query(ANY_DOCUMENTS, FACILITY),
        topic("ihe:SubmissionSetMetadata")
        + query(ANY_SUBMISSION_SETS, slot("$XDSSubmissionSetAuthor", "('%^Welby%')")),
        topic("x:FullDocumentEntry", more=' xmlns:x="urn:ihe:iti:pub-sub:2008"') + OF_PATIENT,
        topic(" ihe:FullDocumentEntry\n") + OF_PATIENT,
    ],
)
def test_each_topic_and_filter_makes_a_subscription(broker: Broker, filters: str) -> None:
    reply = made(broker, filters)
    assert reply.status == 200
    assert reply.address.startswith(f"{broker.url}/subscription/")
    assert reply.action == ""  # of a request without WS-Addressing


def test_the_time_of_the_end_is_told_and_shortened(broker: Broker) -> None:
    """``subscription_days`` is 3650: what asks for no end, or a later one, gets that one."""
    inner = FULL + OF_PATIENT
    asked = made(broker, inner, more=ends("2031-05-31T02:00:00+02:00"))
    assert asked.content.findtext("wsnt:TerminationTime", "", NS) == "2031-05-31T00:00:00Z"
    latest = datetime.now(UTC) + timedelta(days=3650)
    for more in ("", ends("P1000Y"), ends("9999-12-31T00:00:00Z")):
        text = made(broker, inner, more=more).content.findtext("wsnt:TerminationTime", "", NS)
        assert abs(datetime.fromisoformat(text) - latest) < timedelta(minutes=10)
    nil = ends("").replace(
        "Time>", 'Time xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true">', 1
    )
    assert made(broker, inner, more=nil).address
    month = made(broker, inner, more=ends("P1M")).content
    begun = datetime.fromisoformat(month.findtext("wsnt:CurrentTime", "", NS))
    ended = datetime.fromisoformat(month.findtext("wsnt:TerminationTime", "", NS))
    assert timedelta(days=28) <= ended - begun <= timedelta(days=31)


@pytest.mark.parametrize(
    ("filters", "more", "fault"),
    [
        (OF_PATIENT, "", "InvalidTopicExpressionFault"),
        (FULL + FULL + OF_PATIENT, "", "InvalidTopicExpressionFault"),
        (topic("ihe:FullDocumentEntry/Deprecate") + OF_PATIENT, "", "InvalidTopicExpressionFault"),
        (topic("") + OF_PATIENT, "", "InvalidTopicExpressionFault"),
        (topic("ihe:Nothing") + OF_PATIENT, "", "TopicNotSupportedFault"),
        (topic("FullDocumentEntry") + OF_PATIENT, "", "TopicNotSupportedFault"),
        (
            topic(
                "ihe:FullDocumentEntry", "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full"
            )
            + OF_PATIENT,
            "",
            "TopicExpressionDialectUnknownFault",
        ),
        (FULL, "", "InvalidFilterFault"),
        (FULL + OF_PATIENT + OF_PATIENT, "", "InvalidFilterFault"),
        (
            FULL + OF_PATIENT + '<wsnt:MessageContent Dialect="urn:d">a</wsnt:MessageContent>',
            "",
            "InvalidFilterFault",
        ),
        (FULL + query("urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"), "", "InvalidFilterFault"),
        (FULL + query(DOCUMENTS), "", "InvalidFilterFault"),
        (FULL + query(DOCUMENTS, patient("P1"), slot("$XDSx", "'a'")), "", "InvalidFilterFault"),
        (
            FULL + query(DOCUMENTS, slot("$XDSDocumentEntryPatientId", "'no CX'")),
            "",
            "InvalidFilterFault",
        ),
        (FULL + query(DOCUMENTS, patient("P1"), "<rim:Slot/>"), "", "InvalidFilterFault"),
        (FULL + query(FOLDERS, patient("P1", "Folder")), "", "InvalidFilterFault"),
        (FULL + query(ANY_DOCUMENTS), "", "InvalidFilterFault"),
        (
            FULL + OF_PATIENT,
            ends("2020-01-01T00:00:00Z"),
            BAD_TIME,
        ),
        (FULL + OF_PATIENT, ends("-P1D"), BAD_TIME),
        (FULL + OF_PATIENT, ends("tomorrow"), BAD_TIME),
        (FULL + OF_PATIENT, "<wsnt:Stray/>", "SubscribeCreationFailedFault"),
        (
            FULL + OF_PATIENT,
            "<wsnt:SubscriptionPolicy><wsnt:UseRaw/></wsnt:SubscriptionPolicy>",
            "UnrecognizedPolicyRequestFault",
        ),
    ],
)
def test_what_cannot_be_subscribed_to_gets_its_fault(
    broker: Broker, filters: str, more: str, fault: str
) -> None:
    """With the status 500, and nothing is half made of it."""
    message = envelope(subscribe(broker.consumer("refused"), filters, more))
    reply = post(broker.url, in_header(message, f"<wsa:Action>{ACTIONS}/x</wsa:Action>"))
    assert reply.fault == fault
    assert reply.action == FAULT
    assert subscriptions(broker, "refused") == []


@pytest.mark.parametrize(
    "consumer",
    [
        "http://127.0.0.1:1/elsewhere",
        "ftp://example.org/",
        "https://user@example.org/",
        "",
        "urn:oid:2.999",
    ],
)
def test_a_consumer_that_may_not_be_notified_is_refused(broker: Broker, consumer: str) -> None:
    reply = post(broker.url, envelope(subscribe(consumer, FULL + OF_PATIENT)))
    assert reply.fault == "SubscribeCreationFailedFault"


# ---- what generic clients of WS-Notification do


def test_the_body_tells_what_is_asked_whatever_the_action_is(broker: Broker) -> None:
    body = subscribe(broker.consumer("habits"), FULL + OF_PATIENT)
    for action in (
        f"{ACTIONS}/NotificationProducer/SubscribeRequest",
        f"{ACTIONS}/NotificationProducer/Subscribe",
        "urn:something:else",
    ):
        reply = post(broker.url, envelope(body, action, "urn:uuid:1"))
        assert reply.action == f"{ACTIONS}/NotificationProducer/SubscribeResponse"
        assert reply.root.findtext("s:Header/wsa:RelatesTo", "", NS) == "urn:uuid:1"
        assert post(reply.address, envelope("<wsnt:Unsubscribe/>", action)).status == 200


def test_soap_1_1_without_addressing_is_answered_in_kind(broker: Broker) -> None:
    """So the ready-made client of CXF speaks, with an empty SOAPAction and ReferenceParameters."""
    body = subscribe(
        broker.consumer("soap11"), FULL + OF_PATIENT, parameters="<wsa:ReferenceParameters/>"
    )
    reply = post(broker.url, as_soap11(envelope(body)), "text/xml; charset=UTF-8", SOAPAction='""')
    assert reply.content_type == "text/xml; charset=UTF-8"
    assert reply.root.tag == f"{{{NS['e']}}}Envelope"
    assert post(
        reply.address, as_soap11(envelope("<wsnt:Unsubscribe/>")), "text/xml", SOAPAction='""'
    ).content.tag.endswith("}UnsubscribeResponse")
    refused = post(reply.address, as_soap11(envelope("<wsnt:Unsubscribe/>")), "text/xml")
    assert refused.fault == "ResourceUnknownFault"
    assert refused.content.findtext("faultcode") == "s:Client"


def test_a_mandatory_header_of_soap_1_1_is_understood_or_refused(broker: Broker) -> None:
    block = '<x:y xmlns:x="urn:x" s:mustUnderstand="1"{}/>'
    body = envelope(subscribe(broker.consumer("must"), FULL + OF_PATIENT))
    refused = post(broker.url, as_soap11(in_header(body, block.format(""))), "text/xml")
    assert refused.status == 500
    assert refused.content.findtext("faultcode") == "s:MustUnderstand"
    for_another = block.format(' s:actor="urn:another"')
    assert post(broker.url, as_soap11(in_header(body, for_another)), "text/xml").status == 200


def test_other_bodies_are_no_messages_of_the_broker(broker: Broker) -> None:
    reply = post(broker.url, envelope("<wsnt:PauseSubscription/>", f"{ACTIONS}/x/Pause"))
    assert reply.status == 500
    assert "not supported here" in reply.content.findtext("s:Reason/s:Text", "", NS)
    assert post(broker.url, envelope("<wsnt:PauseSubscription/>")).status == 500


# ---- ending and renewing


@pytest.mark.shows("ITI-52 Unsubscribe")
def test_a_subscription_ends_for_good(broker: Broker) -> None:
    address = made(broker, FULL + OF_PATIENT).address
    action = f"{ACTIONS}/SubscriptionManager/UnsubscribeRequest"
    reply = post(address, envelope("<wsnt:Unsubscribe/>", action, "urn:uuid:2", address))
    assert reply.action == f"{ACTIONS}/SubscriptionManager/UnsubscribeResponse"
    for body in ("<wsnt:Unsubscribe/>", RENEW):
        again = post(address, envelope(body, action))
        assert again.fault == "ResourceUnknownFault"
        assert again.action == FAULT


def test_what_is_not_there_cannot_be_ended(broker: Broker) -> None:
    for path in ("", "/", "/subscription/", "/subscription/no-such", "/pullpoint/no-such", "/x"):
        reply = post(f"{broker.url}{path}", envelope("<wsnt:Unsubscribe/>"))
        assert reply.fault == "ResourceUnknownFault", path


def test_wsa_to_names_the_subscription_at_the_url_of_the_broker(broker: Broker) -> None:
    address = made(broker, FULL + OF_PATIENT).address
    message = envelope("<wsnt:Unsubscribe/>", "urn:x", "urn:uuid:3", address)
    assert post(broker.url, message).status == 200
    assert post(broker.url, message).fault == "ResourceUnknownFault"


@pytest.mark.shows("ITI-52 Renew")
def test_a_subscription_is_renewed(broker: Broker) -> None:
    address = made(broker, FULL + OF_PATIENT, more=ends("P1D")).address

    def renew(text: str) -> Reply:
        time = f"<wsnt:TerminationTime>{text}</wsnt:TerminationTime>"
        return post(address, envelope(f"<wsnt:Renew>{time}</wsnt:Renew>"))

    renewed = renew("2030-01-01T00:00:00Z").content
    assert renewed.findtext("wsnt:TerminationTime", "", NS) == "2030-01-01T00:00:00Z"
    for wrong in ("2001-01-01T00:00:00Z", "-P1Y", "never", ""):
        assert renew(wrong).fault == "UnacceptableTerminationTimeFault"
    (leaf,) = found(broker, GET, slot("$SubscriptionId", f"('{address}')")).content.iterfind(
        ".//rim:Subscription", NS
    )
    assert leaf.get("endTime") == "2030-01-01T00:00:00Z"


# ---- searching


@pytest.mark.shows("ITI-120")
def test_subscriptions_are_found_by_what_they_ask_for(broker: Broker) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=10)
    filters = topic("ihe:ExtendedFullDocumentEntry") + query(DOCUMENTS, patient("FIND1"), FACILITY)
    address = made(broker, filters, "found", ends("2030-01-01T00:00:00Z")).address
    other = made(broker, FULL + query(DOCUMENTS, patient("FIND2")), "found").address
    url = slot("SubscriptionUrl", f"('{broker.consumer('found')}')")
    approved = slot("$SubscriptionStatus", f"('{APPROVED}')")

    def ids(*slots: str) -> list[str]:
        reply = found(broker, FIND, *slots, return_type="ObjectRef")
        assert reply.action == "urn:ihe:iti:dsub:2024:SubscriptionSearchResponse"
        return [one.get("id") for one in reply.content.iterfind(".//rim:ObjectRef", NS)]

    assert ids(approved, url) == [address, other]
    assert ids(approved, url, slot("$SubscriptionTopic", "('ihe:FullDocumentEntry')")) == [other]
    assert ids(approved, url, patient("FIND1")) == [address]
    assert ids(approved, url, FACILITY) == [address]
    assert ids(approved, slot("$SubscriptionEndTime", "'2030-01-01T00:00:00Z'"), url) == [address]
    since = slot("$SubscriptionStartTime", f"'{begun.isoformat(timespec='seconds')}'")
    assert ids(approved, url, since) == [address, other]
    (leaf,) = found(broker, FIND, approved, url, patient("FIND1")).content.iterfind(
        ".//rim:Subscription", NS
    )
    assert (leaf.get("id"), leaf.get("selector")) == (address, DOCUMENTS)
    action = leaf.find("rim:NotifyAction", NS)
    assert action.get("endPoint") == broker.consumer("found")
    assert action.get("notificationOption") == "ihe:ExtendedFullDocumentEntry"
    assert [one.get("name") for one in leaf.iterfind("rim:Slot", NS)] == [
        "$XDSDocumentEntryPatientId",
        "$XDSDocumentEntryHealthcareFacilityTypeCode",
    ]
    post(other, envelope("<wsnt:Unsubscribe/>"))
    assert ids(approved, url) == [address]
    assert ids(slot("$SubscriptionStatus", "('Deprecated')"), url) == [other]


@pytest.mark.parametrize(
    ("query_id", "slots", "code"),
    [
        (DOCUMENTS, (), "XDSUnknownStoredQuery"),
        (FIND, (), "XDSStoredQueryMissingParam"),
        (GET, (), "XDSStoredQueryMissingParam"),
        (FIND, (ANY_STATUS, slot("$Unknown", "'a'")), "XDSRegistryError"),
        (FIND, (slot("$SubscriptionStatus", "('Pending')"),), "XDSRegistryError"),
        (FIND, (ANY_STATUS, slot("$SubscriptionEndTime", "'soon'")), "XDSRegistryError"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(
    broker: Broker, query_id: str, slots: tuple[str, ...], code: str
) -> None:
    reply = found(broker, query_id, *slots)
    assert reply.content.get("status").endswith(":Failure")
    assert [one.get("errorCode") for one in reply.content.iter("{*}RegistryError")] == [code]


# ---- pull points


@pytest.mark.shows("ITI-69 CreatePullPoint", "ITI-69 DestroyPullPoint")
def test_a_pull_point_is_made_used_and_destroyed(broker: Broker) -> None:
    created = post(broker.url, envelope("<wsnt:CreatePullPoint/>", "urn:x", "urn:uuid:4"))
    assert created.action == f"{ACTIONS}/CreatePullPoint/CreatePullPointResponse"
    pull_point = created.address
    assert pull_point.startswith(f"{broker.url}/pullpoint/")
    reply = post(broker.url, envelope(subscribe(pull_point, FULL + OF_PATIENT)))
    empty = post(pull_point, envelope("<wsnt:GetMessages/>"))
    assert empty.content.tag.endswith("}GetMessagesResponse")
    assert len(empty.content) == 0
    (leaf,) = found(broker, GET, slot("$SubscriptionId", f"('{reply.address}')")).content.iterfind(
        ".//rim:NotifyAction", NS
    )
    assert leaf.get("endPoint") == pull_point
    assert post(pull_point, envelope("<wsnt:DestroyPullPoint/>")).content.tag.endswith(
        "}DestroyPullPointResponse"
    )
    for body in ("<wsnt:DestroyPullPoint/>", "<wsnt:GetMessages/>"):
        assert post(pull_point, envelope(body)).fault == "ResourceUnknownFault"
    assert post(reply.address, envelope("<wsnt:Unsubscribe/>")).fault == "ResourceUnknownFault"
    gone = post(broker.url, envelope(subscribe(pull_point, FULL + OF_PATIENT)))
    assert gone.fault == "SubscribeCreationFailedFault"


def test_messages_of_pull_points_that_are_not_valid_are_refused(broker: Broker) -> None:
    pull_point = post(broker.url, envelope("<wsnt:CreatePullPoint/>")).address
    wrong = "<wsnt:GetMessages><wsnt:MaximumNumber>all</wsnt:MaximumNumber></wsnt:GetMessages>"
    assert post(pull_point, envelope(wrong)).fault == "UnableToGetMessagesFault"
    created = post(broker.url, envelope("<wsnt:CreatePullPoint><wsnt:x/></wsnt:CreatePullPoint>"))
    assert created.fault == "UnableToCreatePullPointFault"
