"""ITI-44 through the wire: what is acknowledged how, in answers that the official schemas know."""

import http.client
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from lxml import etree
from zeep import Client

from tests.reference import MESSAGES, REFERENCE, needs
from tests.registry import wire
from tests.registry.wire import World
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds import schema_validation
from xds.metadata import vocabulary as v

ROOT = Path(__file__).resolve().parents[2]
HL7V3 = REFERENCE / "schema" / "HL7V3" / "NE2008" / "multicacheschemas"
DOMAIN = "2.999.1.1"
ADD, REVISE, MERGE = (f"PRPA_IN2013{number}UV02" for number in ("01", "02", "04"))
ANSWER = "MCCI_IN000002UV01"
NS = {"s": v.NS_SOAP12, "wsa": v.NS_WSA, "h": v.NS_HL7V3}
UNKNOWN = ["XDSUnknownPatientId"]

shows = pytest.mark.shows


@pytest.fixture(scope="module")
def known_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that knows the patients of its feed only."""
    options = {"assigning_authority": DOMAIN, "unknown_patients": "known"}
    with serving(tmp_path_factory.mktemp("known"), options) as server:
        yield server


@pytest.fixture
def world() -> World:
    """Names that no other test has."""
    return World.new()


# --- messages ------------------------------------------------------------------------------------


def identifier(number: str, root: str = DOMAIN) -> str:
    """Write an instance identifier."""
    return f'<id root="{root}" extension="{number}"/>'


def subject(patient: str, prior: str = "") -> str:
    """Write a registration, and what it replaces."""
    replaced = (
        '<replacementOf typeCode="RPLC"><priorRegistration classCode="REG" moodCode="EVN">'
        '<statusCode code="obsolete"/><subject1 typeCode="SBJ">'
        f'<priorRegisteredRole classCode="PAT">{prior}</priorRegisteredRole>'
        "</subject1></priorRegistration></replacementOf>"
    )
    return (
        '<subject typeCode="SUBJ"><registrationEvent classCode="REG" moodCode="EVN">'
        f'<subject1 typeCode="SBJ"><patient classCode="PAT">{patient}<patientPerson>'
        '<name><family>Doe</family></name><asOtherIDs classCode="PAT">'
        f"{identifier('other', '2.999.1.2')}</asOtherIDs></patientPerson></patient></subject1>"
        f"{replaced if prior else ''}</registrationEvent></subject>"
    )


def message(interaction: str, *subjects: str) -> str:
    """Write a message as the samples are, without what they leave out."""
    device = 'device classCode="DEV" determinerCode="INSTANCE"'
    return (
        f'<{interaction} xmlns="{v.NS_HL7V3}" ITSVersion="XML_1.0">'
        '<id root="2.999.9.1" extension="7&amp;8"/><creationTime value="20260102030405"/>'
        f'<interactionId root="2.16.840.1.113883.1.6" extension="{interaction}"/>'
        '<processingCode code="P"/><processingModeCode code="T"/><acceptAckCode code="AL"/>'
        f'<receiver typeCode="RCV"><{device}><id root="2.999.9.2"/></device></receiver>'
        f'<sender typeCode="SND"><{device}><id root="2.999.9.3"/></device></sender>'
        f'<controlActProcess classCode="CACT" moodCode="EVN">{"".join(subjects)}'
        f"</controlActProcess></{interaction}>"
    )


@cache
def official() -> etree.XMLSchema | None:
    """Return the official schema of the answer, or None where it is not."""
    path = HL7V3 / f"{ANSWER}.xsd"
    return etree.XMLSchema(etree.parse(str(path))) if path.is_file() else None


def post(server: Server, envelope: bytes) -> etree._Element:
    """Send an envelope, and return the acknowledgement, which must be valid."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    connection.request("POST", "/registry", envelope, {"Content-Type": "application/soap+xml"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status == 200, content
    root = etree.fromstring(content)
    assert schema_validation.problems(root) == []
    assert root.findtext("s:Header/wsa:Action", None, NS) == f"urn:hl7-org:v3:{ANSWER}"
    answer = root.find("s:Body", NS)[0]
    assert schema_validation.problems(answer) == []
    if (schema := official()) is not None:
        schema.assertValid(etree.fromstring(etree.tostring(answer)))
    return answer


def ask(server: Server, interaction: str, *subjects: str) -> etree._Element:
    """Send a message of some subjects."""
    action = f"urn:hl7-org:v3:{interaction}"
    return post(server, wire.envelope(action, message(interaction, *subjects)))


def outcome(answer: etree._Element) -> tuple[str, list[str]]:
    """Return the acknowledgement's code, and the codes of its details."""
    found = answer.find("h:acknowledgement", NS)
    details = [one.get("code") for one in found.iterfind("h:acknowledgementDetail/h:code", NS)]
    return found.find("h:typeCode", NS).get("code"), details


def number(world: World, patient: int) -> str:
    """Return the id of a patient without its authority."""
    return world.patient(patient).partition("^")[0]


def submitted(server: Server, world: World, name: str = "iti42/minimal_document") -> list[str]:
    """Submit a fixture, which is of patient 1, and return the error codes, each once."""
    return sorted(set(wire.send(server, world.fixture(name)).codes))


# --- tests ---------------------------------------------------------------------------------------


@shows("behaviour white space")
def test_an_id_that_is_padded_is_the_id_without(known_only: Server, world: World) -> None:
    padded = identifier(f" {number(world, 1)}\u00a0", f" {DOMAIN} ")
    assert outcome(ask(known_only, ADD, subject(padded))) == ("CA", [])
    assert submitted(known_only, world) == []
    nothing = ask(known_only, ADD, subject(identifier("  ")))
    assert outcome(nothing) == ("CE", ["101"])


def test_an_acknowledgement_goes_back_to_the_sender(known_only: Server, world: World) -> None:
    answer = ask(known_only, ADD, subject(identifier(number(world, 1))))
    assert outcome(answer) == ("CA", [])
    target = answer.find("h:acknowledgement/h:targetMessage/h:id", NS)
    assert dict(target.attrib) == {"root": "2.999.9.1", "extension": "7&8"}
    assert answer.find("h:receiver/h:device/h:id", NS).get("root") == "2.999.9.3"
    assert answer.find("h:sender/h:device/h:id", NS).get("root") == "2.999.9.2"
    assert answer.find("h:acceptAckCode", NS).get("code") == "NE"
    assert answer.find("h:interactionId", NS).get("extension") == ANSWER


def test_wrappers_are_not_needed(known_only: Server, world: World) -> None:
    inner = subject(identifier(number(world, 1)))
    body = f'<{ADD} xmlns="{v.NS_HL7V3}"><controlActProcess>{inner}</controlActProcess></{ADD}>'
    answer = post(known_only, wire.envelope(f"urn:hl7-org:v3:{ADD}", body))
    assert outcome(answer) == ("CA", [])
    target = answer.find("h:acknowledgement/h:targetMessage/h:id", NS)
    assert dict(target.attrib) == {"nullFlavor": "UNK"}


@pytest.mark.parametrize(
    "interaction",
    [
        pytest.param(ADD, marks=shows(f"ITI-44 {ADD}")),
        pytest.param(REVISE, marks=shows(f"ITI-44 {REVISE}")),
    ],
)
def test_a_patient_of_the_feed_is_known(known_only: Server, world: World, interaction: str) -> None:
    assert submitted(known_only, world) == UNKNOWN
    ids = identifier("local", "2.999.1.2") + identifier(number(world, 1))
    for _ in range(2):
        assert outcome(ask(known_only, interaction, subject(ids))) == ("CA", [])
    assert submitted(known_only, world) == []


@shows(f"ITI-44 {MERGE}")
def test_a_merge_moves_everything(known_only: Server, world: World) -> None:
    first, second = (identifier(number(world, patient)) for patient in (1, 2))
    for one in (first, second):
        assert outcome(ask(known_only, ADD, subject(one))) == ("CA", [])
    assert submitted(known_only, world, "iti42/folder") == []
    assert outcome(ask(known_only, MERGE, subject(second, prior=first))) == ("CA", [])
    assert wire.get_all(known_only, world.patient(1)).objects == {}
    moved = wire.get_all(known_only, world.patient(2)).objects.values()
    assert {getattr(one, "patient_id", world.patient(2)) for one in moved} == {world.patient(2)}
    assert len(moved) == 9
    assert outcome(ask(known_only, ADD, subject(first))) == ("CE", ["204"])
    assert outcome(ask(known_only, REVISE, subject(first))) == ("CE", ["204"])


@shows(f"ITI-44 {MERGE}")
def test_a_merge_that_is_so_already_is_acknowledged(known_only: Server, world: World) -> None:
    one, two, three = (identifier(number(world, patient)) for patient in (1, 2, 3))
    for added in (one, two, three):
        assert outcome(ask(known_only, ADD, subject(added))) == ("CA", [])
    for prior, surviving in ((one, two), (one, two), (two, three), (one, two), (one, three)):
        answer = ask(known_only, MERGE, subject(surviving, prior=prior))
        assert outcome(answer) == ("CA", [])
    assert outcome(ask(known_only, MERGE, subject(one, prior=three))) == ("CE", ["204"])


REFUSED: dict[str, tuple[str, tuple[str, ...], list[str]]] = {
    "no subject": (ADD, (), ["100"]),
    "two subjects": (ADD, (subject(identifier("1")), subject(identifier("2"))), ["100"]),
    "no id": (ADD, (subject(""),), ["101"]),
    "no extension": (ADD, (subject(f'<id root="{DOMAIN}"/>'),), ["101"]),
    "no root": (ADD, (subject('<id extension="1"/>'),), ["101"]),
    "another domain": (ADD, (subject(identifier("1", "2.999.1.2")),), ["204"]),
    "a UUID": (
        ADD,
        (subject(identifier("1", "7edca82f-054d-47f2-a032-9b2a5b5186c1")),),
        ["204"],
    ),
    "two lines": (ADD, (subject(identifier("1&#10;2")),), ["102"]),
    "nothing replaced": (MERGE, (subject(identifier("1")),), ["101"]),
    "equal": (MERGE, (subject(identifier("1"), identifier("1")),), ["205"]),
    "both unknown": (MERGE, (subject(identifier("1"), identifier("2")),), ["204", "204"]),
    "two replaced": (
        MERGE,
        (subject(identifier("1"), identifier("2") + identifier("3")),),
        ["204"],
    ),
    "replaced of another domain": (
        MERGE,
        (subject(identifier("1"), identifier("2", "2.999.1.2")),),
        ["204"],
    ),
}


@pytest.mark.parametrize(("interaction", "subjects", "codes"), REFUSED.values(), ids=list(REFUSED))
def test_what_the_registry_refuses_is_an_error(
    known_only: Server, interaction: str, subjects: tuple[str, ...], codes: list[str]
) -> None:
    assert outcome(ask(known_only, interaction, *subjects)) == ("CE", codes)


def test_an_id_may_hold_separators_of_hl7(known_only: Server, world: World) -> None:
    added = identifier(f"{number(world, 1)}^&amp;")
    assert outcome(ask(known_only, ADD, subject(added))) == ("CA", [])
    minimal = etree.tostring(world.fixture("iti42/minimal_document")).decode()
    escaped = minimal.replace(f"{number(world, 1)}^^^", f"{number(world, 1)}\\S\\\\T\\^^^")
    assert escaped != minimal
    assert wire.send(known_only, escaped.encode()).codes == []


def test_the_log_names_no_patient(known_only: Server) -> None:
    ask(known_only, MERGE, subject(identifier("nobody-at-all"), identifier("no-other")))
    log = known_only.log.read_text()
    for word in ("nobody-at-all", "no-other", "Doe"):
        assert word not in log


@pytest.mark.parametrize("interaction", [ADD, REVISE, MERGE])
def test_the_messages_of_the_fixtures_are_valid_and_accepted(
    known_only: Server, world: World, interaction: str
) -> None:
    for patient in (1, 2):
        added = ask(known_only, ADD, subject(identifier(number(world, patient))))
        assert outcome(added) == ("CA", [])
    name = {ADD: "add", REVISE: "revise", MERGE: "merge"}[interaction]
    text = (wire.FIXTURES / "iti44" / f"{name}.xml").read_text()
    root = etree.fromstring(text.encode())
    assert schema_validation.problems(root) == []
    if (path := HL7V3 / f"{interaction}.xsd").is_file():
        body = etree.tostring(root.find("s:Body", NS)[0])
        etree.XMLSchema(etree.parse(str(path))).assertValid(etree.fromstring(body))
    for patient in (1, 2):
        text = text.replace(f'"P{patient}"', f'"{number(world, patient)}"')
    assert outcome(post(known_only, text.encode())) == ("CA", [])


@needs(MESSAGES)
def test_the_examples_of_the_facts_are_answered(known_only: Server) -> None:
    def example(name: str) -> bytes:
        return (MESSAGES / f"iti44-{name}-request.xml").read_bytes()

    for name in ("add", "revise"):
        assert outcome(post(known_only, example(name))) == ("CA", [])
    prior = example("add").replace(b'extension="P0001"', b'extension="P0099"')
    assert outcome(post(known_only, prior)) == ("CA", [])
    assert outcome(post(known_only, example("merge"))) == ("CA", [])


def test_zeep_feeds_a_patient(known_only: Server, world: World) -> None:
    client = Client(f"{known_only.registry_url}?wsdl")
    port = client.bind("DocumentRegistry_Service", "DocumentRegistry_Port_Soap12")
    content = list(etree.fromstring(message(ADD, subject(identifier(number(world, 1))))))
    answer = port[f"DocumentRegistry_{ADD}"](_value_1=content, ITSVersion="XML_1.0")
    assert answer.acknowledgement.typeCode.code == "CA"
    assert answer.acknowledgement.targetMessage.id.extension == "7&8"
    assert submitted(known_only, world) == []
