"""REQUIREMENTS: what DSUBm demands of a Resource Notification Broker, for the table of conformance.

Each row has the places of the sentences that it stands for: file and line of the guide's source
(DSUBm 1.0.1, ``ITI-110.md`` as 110, ``volume-1.md`` as 1). A row with a reason is shown by no test.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row."""

    key: str
    text: str
    places: str
    reason: str = ""
    """Why no test shows it."""


REQUIREMENTS: Final = (
    Requirement(
        "topics",
        "The topics of all options are found, and subscriptions to them made",
        "1:188 1:200 1:214 1:231 1:243 1:256 110:69 114:70 114:77 114:82 114:87 114:91 114:95 "
        "114:99",
    ),
    Requirement(
        "checks",
        "A new Subscription is checked, and made or refused with every reason",
        "110:48 110:50 110:52 110:63 110:143 110:157 110:296",
    ),
    Requirement(
        "created", "201 with the whole resource in the status requested", "110:158 110:203"
    ),
    Requirement(
        "end", "The end that a subscription has is told, and at its end it is off", "110:203"
    ),
    Requirement(
        "handshake",
        "A handshake goes out first; active follows its 2xx, error all else",
        "110:160 110:161 112:52 112:56 112:57 112:64 112:66 112:90 112:92",
    ),
    Requirement(
        "matching",
        "Events that meet the filters of an active subscription are told",
        "110:165 110:306 112:167",
    ),
    Requirement(
        "filters",
        "Every filter of every topic is taken, several of them together",
        "110:330 110:336 110:382 110:422 110:428 110:449 110:467 110:473",
    ),
    Requirement(
        "DocumentReference",
        "Topics of DocumentReferences are told what they are about",
        "110:336 110:382",
    ),
    Requirement(
        "SubmissionSet", "Topics of SubmissionSets are told what they are about", "110:428 110:449"
    ),
    Requirement("Folder", "Topics of Folders are told what they are about", "110:473"),
    Requirement(
        "update",
        "off and requested are taken, all else is refused; 200 with the whole resource",
        "110:234 110:236 110:238 110:248 110:255 110:256 110:280 110:296",
    ),
    Requirement(
        "off",
        "After a deactivation nothing more is told",
        "110:256 112:244 112:246 112:248 112:254 112:258 112:259",
    ),
    Requirement(
        "heartbeat",
        "A heartbeat has a SubscriptionStatus and no other entry",
        "112:107 112:110 112:112 112:118 112:122 112:123",
    ),
    Requirement(
        "notification",
        "A notification is a history Bundle that begins with its SubscriptionStatus",
        "112:42 112:44 112:46 112:171 112:173 112:175 112:181 112:185",
    ),
    Requirement(
        "content",
        "The content is empty, ids, or the resources and what the topic includes",
        "110:336 110:382 110:428 110:449 110:473 112:188 112:190",
    ),
    Requirement(
        "authorized",
        "Who may subscribe, and what they are told, the policy decides, at each sending too",
        "110:253 110:566 110:567 112:308",
    ),
    Requirement(
        "search",
        "Subscriptions are found by the parameters, with AND and OR, and read",
        "113:49 113:51 113:79 113:81 113:93 113:95 113:97 113:268 113:273",
    ),
    Requirement(
        "$status",
        "$status answers with a searchset of SubscriptionStatus",
        "113:150 113:152 113:165 113:167 113:169",
    ),
    Requirement(
        "$events",
        "$events answers with the status and the events that are kept",
        "113:211 113:213 113:225 113:227 113:229",
    ),
    Requirement(
        "topic search",
        "Topics are found by the parameters, with AND and OR, and read",
        "114:45 114:49 114:68 114:113 114:115 114:117 114:148 114:153",
    ),
    Requirement(
        "XML",
        "Requests and answers are JSON or XML, notifications what channel.payload says",
        "112:46 113:285 114:165",
    ),
    Requirement(
        "CapabilityStatement", "What is answered is stated", "110:559 112:297 113:297 114:177"
    ),
    Requirement(
        "audit", "Requests and notifications are recorded", "110:581 112:316 113:315 114:190"
    ),
    Requirement(
        "websocket",
        "Subscriptions by websocket, which DSUBm has not: $get-ws-binding-token, bind-with-token, "
        "and bind of R4",
        "1:25",
    ),
    Requirement(
        "400 for a format",
        "A format that cannot be had is refused by 400",
        "113:285 114:165",
        "FHIR's status for it is 406 (R4, http), which is answered",
    ),
    Requirement(
        "in front of DSUB",
        "ITI-52 is sent to another DSUB broker for each Subscription",
        "110:171 110:173 110:175 110:177 110:188 110:190 110:192 110:213 110:263 110:269 110:509 "
        "112:292",
        "this broker is that of the registry, and no interface to another one",
    ),
    Requirement(
        "ITI-111",
        "Events that others publish are told, as an option at [base]/publish",
        "111:151 111:153 111:155 111:157 111:159 111:161 111:175 111:177 111:187 111:201",
    ),
)
