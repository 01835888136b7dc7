"""The contract: what is wrong with a message, the files as served, and zeep reading them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lxml import etree
from zeep import Client
from zeep.transports import Transport

from xds import schema_validation
from xds.metadata import vocabulary as v
from xds.schema_validation import CHOICE

ROOT = Path(__file__).resolve().parents[1]

RIM, XDS, SOAP = (f"{{{uri}}}" for uri in (v.NS_RIM, v.NS_XDS, v.NS_SOAP12))
XS = "{http://www.w3.org/2001/XMLSchema}"

XSI = "http://www.w3.org/2001/XMLSchema-instance"

DECLARED = " ".join(
    f'xmlns:{prefix}="{uri}"' for uri, prefix in {**schema_validation.PREFIXES, XSI: "xsi"}.items()
)

GOOD = f"""<s:Envelope {DECLARED}><s:Header><wsa:Action s:mustUnderstand="1">urn:a</wsa:Action>
</s:Header><s:Body><xds:ProvideAndRegisterDocumentSetRequest><lcm:SubmitObjectsRequest>
<rim:RegistryObjectList>
 <rim:ExtrinsicObject id="Document01" lid="Document01" mimeType="text/plain" isOpaque="false"
   objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">
  <rim:Slot name="languageCode"><rim:ValueList><rim:Value>en</rim:Value></rim:ValueList></rim:Slot>
  <rim:Name><rim:LocalizedString xml:lang="en" charset="UTF-8" value="Letter"/></rim:Name>
  <rim:VersionInfo versionName="1" comment="first"/>
  <rim:Classification id="c" classifiedObject="Document01" nodeRepresentation="x"/>
  <rim:ExternalIdentifier id="e" registryObject="Document01" identificationScheme="i" value="x"/>
 </rim:ExtrinsicObject>
 <rim:Association id="a" associationType="urn:t" sourceObject="s" targetObject="Document01"/>
 <rim:Identifiable xsi:type="rim:ExtrinsicObjectType" id="i" mimeType="text/plain"/>
</rim:RegistryObjectList></lcm:SubmitObjectsRequest>
<xds:Document id="Document01">aGk=</xds:Document>
</xds:ProvideAndRegisterDocumentSetRequest></s:Body></s:Envelope>"""

# ---- what a message breaks


def good_body() -> etree._Element:
    """Give the body of the good message, inside its envelope."""
    return etree.fromstring(GOOD).find(f"{SOAP}Body")[0]


def test_good_message_has_no_problems() -> None:
    body = good_body()
    assert schema_validation.problems(body) == []
    assert schema_validation.problems(body.getroottree().getroot()) == []


def test_validation_leaves_the_tree_alone() -> None:
    body = good_body()
    before = etree.tostring(body.getroottree())
    schema_validation.problems(body)
    assert etree.tostring(body.getroottree()) == before
    assert body.getparent().tag == f"{SOAP}Body"


def _without(tag: str, attribute: str) -> Callable[[etree._Element], None]:
    return lambda body: next(body.iter(tag)).attrib.__delitem__(attribute)


def _with(tag: str, attribute: str, value: str) -> Callable[[etree._Element], None]:
    return lambda body: next(body.iter(tag)).set(attribute, value)


def _saying(tag: str, text: str) -> Callable[[etree._Element], None]:
    return lambda body: setattr(next(body.iter(tag)), "text", text)


def _child(tag: str, child: str) -> Callable[[etree._Element], None]:
    return lambda body: next(body.iter(tag)).append(etree.Element(child))


BROKEN = {
    "Association without id": (
        _without(f"{RIM}Association", "id"),
        "rim:Association: attribute id is required",
    ),
    "Classification without id": (
        _without(f"{RIM}Classification", "id"),
        "rim:Classification: attribute id is required",
    ),
    "ExternalIdentifier without id": (
        _without(f"{RIM}ExternalIdentifier", "id"),
        "rim:ExternalIdentifier: attribute id is required",
    ),
    "Slot without name": (
        _without(f"{RIM}Slot", "name"),
        "line 6: element rim:Slot: attribute name is required",
    ),
    "unknown attribute": (
        _with(f"{RIM}Slot", "colour", "red"),
        "rim:Slot, attribute colour: is not allowed",
    ),
    "id is no URI": (
        _with(f"{RIM}Association", "id", "%zz"),
        "rim:Association, attribute id: '%zz' is not a valid",
    ),
    "LongName": (_with(f"{RIM}Slot", "name", "n" * 257), "maximum length of '256'"),
    "LongName of a value": (
        _saying(f"{RIM}Value", "v" * 257),
        "rim:Value: The value has a length of '257'",
    ),
    "FreeFormText": (
        _with(f"{RIM}LocalizedString", "value", "t" * 1025),
        "maximum length of '1024'",
    ),
    "String16": (_with(f"{RIM}VersionInfo", "versionName", "1" * 17), "maximum length of '16'"),
    "language": (
        _with(f"{RIM}LocalizedString", f"{{{v.NS_XML}}}lang", "e n"),
        "rim:LocalizedString, attribute xml:lang:",
    ),
    "boolean": (
        _with(f"{RIM}ExtrinsicObject", "isOpaque", "no"),
        "attribute isOpaque: 'no' is not a valid",
    ),
    "base64": (_saying(f"{XDS}Document", "=a"), "element xds:Document: '=a' is not a valid"),
    "text between elements": (_saying(f"{RIM}Slot", "stray"), "rim:Slot: Character content"),
    "element out of order": (
        _child(f"{RIM}ExtrinsicObject", f"{RIM}Slot"),
        "rim:Slot: This element is not expected",
    ),
    "element of another kind": (
        _child(f"{RIM}RegistryObjectList", f"{RIM}Notification"),
        "rim:Notification: This element",
    ),
    "foreign element that libxml2 takes for any": (
        lambda body: setattr(
            next(body.iter(f"{RIM}RegistryObjectList")), "tag", "{urn:*}RegistryObjectList"
        ),
        "element {urn:*}RegistryObjectList: This element is not expected",
    ),
    "foreign element": (
        _child(f"{RIM}Slot", "{urn:foreign}x"),
        "element {urn:foreign}x: This element is not expected",
    ),
}


@pytest.mark.parametrize(("breaking", "told"), BROKEN.values(), ids=list(BROKEN))
def test_one_mutation_is_the_one_problem(
    breaking: Callable[[etree._Element], None], told: str
) -> None:
    body = good_body()
    breaking(body)
    (problem,) = schema_validation.problems(body)
    assert told in problem


@pytest.mark.parametrize(
    ("tag", "attribute", "longest"),
    [
        (f"{RIM}Slot", "name", 256),
        (f"{RIM}ExtrinsicObject", "mimeType", 256),
        (f"{RIM}Classification", "nodeRepresentation", 256),
        (f"{RIM}ExternalIdentifier", "value", 256),
        (f"{RIM}LocalizedString", "value", 1024),
        (f"{RIM}VersionInfo", "versionName", 16),
    ],
)
def test_longest_value_is_valid(tag: str, attribute: str, longest: int) -> None:
    body = good_body()
    next(body.iter(tag)).set(attribute, "é" * longest)
    assert schema_validation.problems(body) == []


def test_long_value_is_cut_short() -> None:
    body = good_body()
    next(body.iter(f"{XDS}Document")).text = "=" * 50_000
    (problem,) = schema_validation.problems(body)
    assert len(problem) <= schema_validation.LONGEST_PROBLEM + 1
    assert problem.startswith("line ")
    assert problem.endswith("'xs:base64Binary'")


def test_problems_beyond_the_limit_are_counted() -> None:
    body = good_body()
    for _ in range(schema_validation.MOST_PROBLEMS + 7):
        etree.SubElement(next(body.iter(f"{RIM}RegistryObjectList")), f"{RIM}ObjectRef")
    found = schema_validation.problems(body)
    assert len(found) == schema_validation.MOST_PROBLEMS + 1
    assert found[-1] == "and 7 more"


def test_threads_do_not_mix_their_problems() -> None:
    def told(number: int) -> list[str]:
        body = good_body()
        next(body.iter(f"{RIM}Slot")).set(f"a{number}", "")
        return [problem for _ in range(40) for problem in schema_validation.problems(body)]

    with ThreadPoolExecutor(8) as threads:
        for number, found in enumerate(threads.map(told, range(64))):
            assert found == [f"line 6: element rim:Slot, attribute a{number}: is not allowed"] * 40


# ---- the files


def test_schemas_import_each_other_only() -> None:
    names = {path.name for path in (ROOT / "schemas").glob("*.xsd")}
    assert names
    for name in names:
        source = schema_validation.served_file(name)
        assert source == (ROOT / "schemas" / name).read_bytes()
        locations = {
            node.get("schemaLocation") for node in etree.fromstring(source).iter(f"{XS}import")
        }
        assert locations <= names


@pytest.mark.parametrize(
    "name", ["", "rim", "../wsdl/registry.wsdl", "./rim.xsd", "/etc/hosts", "RIM.XSD"]
)
def test_only_schemas_are_served(name: str) -> None:
    assert schema_validation.served_file(name) is None


@pytest.mark.parametrize("actor", schema_validation.ACTORS)
def test_wsdl_names_the_address_and_schemas_beside_it(actor: str) -> None:
    location = f'https://example.org/x/{actor}?a="&b=<'
    tree = etree.fromstring(schema_validation.wsdl(actor, location))
    assert {node.get("location") for node in tree.iter("{*}address")} == {location}
    for node in tree.iter(f"{XS}import"):
        folder, name = node.get("schemaLocation").split("/")
        assert folder == "schemas"
        assert schema_validation.served_file(name)


@pytest.mark.parametrize("actor", schema_validation.ACTORS)
def test_no_two_operations_of_a_binding_have_the_same_message(actor: str) -> None:
    """WS-I Basic Profile 1.1, R2710 and R2718: what ``wsdl2java -validate`` looks at."""
    tree = etree.fromstring(schema_validation.wsdl(actor, "http://example.org/x"))
    ports = {
        port.get("name"): {
            operation.get("name"): operation.find("{*}input").get("message")
            for operation in port.iterfind("{*}operation")
        }
        for port in tree.iterfind("{*}portType")
    }
    bindings = tree.findall("{*}binding")
    assert len(bindings) == len(ports) == len(tree.findall("{*}service/{*}port"))
    for binding in bindings:
        bound = ports[binding.get("type").partition(":")[2]]
        assert {one.get("name") for one in binding.iterfind("{*}operation")} == bound.keys()
        assert len({*bound.values()}) == len(bound)


def test_a_choice_accepts_what_the_substitution_group_does(tmp_path: Path) -> None:
    for name in schema_validation._schema_files():
        (tmp_path / name).write_bytes(schema_validation.served_file(name, CHOICE) or b"")
    assert b"substitutionGroup=" not in (tmp_path / "rim.xsd").read_bytes()
    schema = etree.XMLSchema(etree.parse(str(tmp_path / "rim.xsd")))
    heads = {
        one.get("name") for one in etree.fromstring(schema_validation.served_file("rim.xsd") or b"")
    }
    assert {"Identifiable", "ExtrinsicObject", "AdhocQuery"} <= heads
    for content, is_valid in (
        ('<rim:ObjectRef id="a"/><rim:AdhocQuery id="b"/><rim:Identifiable id="c"/>', True),
        ('<rim:Slot name="a"/>', False),
    ):
        text = f'<rim:RegistryObjectList xmlns:rim="{v.NS_RIM}">{content}</rim:RegistryObjectList>'
        element = etree.fromstring(text)
        assert schema.validate(element) == (schema_validation.problems(element) == []) == is_valid


def test_there_is_no_third_wsdl() -> None:
    with pytest.raises(ValueError, match="no such actor: patient"):
        schema_validation.wsdl("patient", "http://example.org/patient")


# ---- zeep, the plain client


class Served(Transport):
    """Answers zeep's GETs as the server does."""

    def load(self, url: str) -> bytes | None:
        """Give a WSDL or a schema by its URL."""
        path = urlsplit(url).path
        if path.startswith("/x/schemas/choice/"):
            return schema_validation.served_file(
                path.removeprefix("/x/schemas/choice/"), schema_validation.CHOICE
            )
        return schema_validation.wsdl(
            path.removeprefix("/x/"), url.partition("?")[0], schema_validation.CHOICE
        )


def _client(actor: str) -> Client:
    return Client(f"http://example.org/x/{actor}?wsdl=choice", transport=Served())


def _slot(name: str, *values: str) -> dict[str, Any]:
    return {"name": name, "ValueList": {"Value": list(values)}}


def _name(value: str) -> dict[str, Any]:
    return {"LocalizedString": [{"value": value}]}


OBJECTS = {
    "_value_1": [
        {
            "ExtrinsicObject": {
                "id": "Document01",
                "Slot": [_slot("creationTime", "2026")],
                "Name": _name("Letter"),
                "Classification": [
                    {
                        "id": "c",
                        "classifiedObject": "Document01",
                        "nodeRepresentation": "code",
                        "Slot": [_slot("codingScheme", "scheme")],
                        "Name": _name("display name"),
                    }
                ],
                "ExternalIdentifier": [
                    {
                        "id": "e",
                        "registryObject": "Document01",
                        "identificationScheme": "i",
                        "value": "1.2",
                    }
                ],
            }
        },
        {
            "Association": {
                "id": "a",
                "associationType": "t",
                "sourceObject": "s",
                "targetObject": "t",
            }
        },
    ]
}

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "RegistryStoredQuery": (
        "DocumentRegistry_RegistryStoredQuery",
        {
            "ResponseOption": {"returnType": "LeafClass", "returnComposedObjects": True},
            "AdhocQuery": {"id": "urn:uuid:q", "Slot": [_slot("$XDSDocumentEntryStatus", "('s')")]},
        },
    ),
    "RegisterDocumentSet-b": (
        "DocumentRegistry_RegisterDocumentSet-b",
        {"RegistryObjectList": OBJECTS},
    ),
    "ProvideAndRegisterDocumentSet-b": (
        "DocumentRepository_ProvideAndRegisterDocumentSet-b",
        {
            "SubmitObjectsRequest": {"RegistryObjectList": OBJECTS},
            "Document": [{"_value_1": b"hi", "id": "Document01"}],
        },
    ),
    "RetrieveDocumentSet": (
        "DocumentRepository_RetrieveDocumentSet",
        {"DocumentRequest": [{"RepositoryUniqueId": "1.2", "DocumentUniqueId": "1.3"}]},
    ),
}


@pytest.mark.parametrize("transaction", REQUESTS)
def test_zeep_makes_valid_requests(transaction: str) -> None:
    operation, content = REQUESTS[transaction]
    actor = operation.partition("_")[0].removeprefix("Document").lower()
    client = _client(actor)
    envelope = client.create_message(client.service, operation, **content)
    assert schema_validation.problems(envelope) == []
    assert (
        envelope.findtext(f"{SOAP}Header/{{{v.NS_WSA}}}Action") == f"urn:ihe:iti:2007:{transaction}"
    )
    for codes in envelope.iter(f"{RIM}Classification"):
        assert codes.findtext(f"{RIM}Slot/{RIM}ValueList/{RIM}Value") == "scheme"


def test_zeep_reads_every_kind_of_object_in_an_answer() -> None:
    answer = etree.fromstring(
        f'<s:Envelope {DECLARED}><s:Body><query:AdhocQueryResponse status="s">'
        '<rim:RegistryObjectList><rim:ObjectRef id="r"/><rim:ExtrinsicObject id="d">'
        '<rim:Classification id="c" classifiedObject="d" nodeRepresentation="code"/>'
        '<rim:ExternalIdentifier id="e" registryObject="d" identificationScheme="i" value="v"/>'
        "</rim:ExtrinsicObject></rim:RegistryObjectList></query:AdhocQueryResponse></s:Body></s:Envelope>"
    )
    binding = _client("registry").service._binding
    objects = (
        binding.get("DocumentRegistry_RegistryStoredQuery").process_reply(answer).RegistryObjectList
    )
    assert objects._value_1[0]["ObjectRef"].id == "r"
    entry = objects._value_1[1]["ExtrinsicObject"]
    assert (entry.Classification[0].id, entry.ExternalIdentifier[0].value) == ("c", "v")
