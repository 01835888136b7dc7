"""The contract beside the official files: the same verdict on every message, good or broken.

The messages are the official samples, the examples of the facts, and some made here of the kinds
of object that no sample shows. Each is judged as it is and in many broken forms, by both.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
from lxml import etree

from tests.reference import REFERENCE, SHARED, needs
from xds import schema_validation
from xds.metadata import vocabulary as v

ROOT = Path(__file__).resolve().parents[1]

pytestmark = needs(REFERENCE / "schema")

# how many of the odd breaks of one message are tried, so that the file stays quick
SAMPLE = 150

RIM, RS, LCM, QUERY = (f"{{{uri}}}" for uri in (v.NS_RIM, v.NS_RS, v.NS_LCM, v.NS_QUERY))
XDS, SOAP, XML = (f"{{{uri}}}" for uri in (v.NS_XDS, v.NS_SOAP12, v.NS_XML))
XS, XSI = "{http://www.w3.org/2001/XMLSchema}", "{http://www.w3.org/2001/XMLSchema-instance}"
WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
ACTIONS = (
    "{http://www.w3.org/2006/05/addressing/wsdl}Action",
    "{http://www.w3.org/2007/05/addressing/metadata}Action",
)

ROOTS = {
    f"{LCM}SubmitObjectsRequest",
    f"{LCM}RemoveObjectsRequest",
    f"{QUERY}AdhocQueryRequest",
    f"{QUERY}AdhocQueryResponse",
    f"{RS}RegistryResponse",
    f"{XDS}ProvideAndRegisterDocumentSetRequest",
    f"{XDS}RetrieveDocumentSetRequest",
    f"{XDS}RetrieveDocumentSetResponse",
}

DECLARED = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for uri, prefix in (*schema_validation.PREFIXES.items(), (XS[1:-1], "xs"), (XSI[1:-1], "xsi"))
)

REFERENCE_SCHEMAS = {
    v.NS_RIM: "schema/ebRS/rim.xsd",
    v.NS_RS: "schema/ebRS/rs.xsd",
    v.NS_LCM: "schema/ebRS/lcm.xsd",
    v.NS_QUERY: "schema/ebRS/query.xsd",
    v.NS_XDS: "schema/IHE/XDS.b_DocumentRepository.xsd",
    v.NS_SOAP12: "ws/soap-1.2-envelope.xsd",
    v.NS_WSA: "ws/ws-addr.xsd",
}
NOTIFICATION_SCHEMAS = {
    v.NS_WSNT: "ws/wsn/b-2.xsd",
    v.NS_WSRF_BF: "ws/wsn-wsnu/org.oasis_open.docs.wsrf.bf_2.xsd",
    v.NS_WSRF_R: "ws/wsn-wsnu/org.oasis_open.docs.wsrf.r_2.xsd",
}
"""Of WS-Notification, of which this project declares what DSUB uses."""
BY_URL = {
    "xml.xsd": "third-party/ipf/wsdl/schema/xml.xsd",
    "ws-addr.xsd": REFERENCE_SCHEMAS[v.NS_WSA],
    "bf-2.xsd": NOTIFICATION_SCHEMAS[v.NS_WSRF_BF],
    "t-1.xsd": "ws/wsn/t-1.xsd",
}
"""What official schemas import by a URL, by the last part of it."""

OBJECT = """<rim:Slot name="s" slotType="urn:t"><rim:ValueList><rim:Value>v</rim:Value>
<rim:Value/></rim:ValueList></rim:Slot><rim:Name><rim:LocalizedString value="n"/></rim:Name>
<rim:Description><rim:LocalizedString value="d" xml:lang="de"/></rim:Description>
<rim:VersionInfo/><rim:Classification id="c" classifiedObject="o" classificationNode="n"/>
<rim:ExternalIdentifier id="e" registryObject="o" identificationScheme="s" value="v"/>"""

PHONE = """<rim:TelephoneNumber phoneType="work" countryCode="41" areaCode="31" number="1"
extension="2"/><rim:EmailAddress address="a@example.org" type="work"/>"""

ADDRESS = """<rim:Address streetNumber="1" street="s" postalCode="p" city="c" stateOrProvince="b"
country="CH"/>"""

FILTER_QUERY = """<query:RegistryObjectQuery><query:PrimaryFilter xsi:type="query:StringFilterType"
domainAttribute="id" comparator="Like" value="v" negate="false"/><query:SlotBranch/>
<query:NameBranch><query:LocalizedStringFilter xsi:type="query:CompoundFilterType"
logicalOperator="AND"><query:LeftFilter xsi:type="query:FloatFilterType" domainAttribute="a"
comparator="EQ" value="1.5"/><query:RightFilter xsi:type="query:DateTimeFilterType"
domainAttribute="a" comparator="EQ" value="2026-01-01T00:00:00"/>
</query:LocalizedStringFilter></query:NameBranch><query:DescriptionBranch/><query:VersionInfoFilter/>
<query:ClassificationQuery><query:ClassificationSchemeQuery><query:ChildrenQuery/>
<query:NodeTypeQuery/></query:ClassificationSchemeQuery><query:ClassifiedObjectQuery/>
<query:ClassificationNodeQuery><query:ParentQuery/><query:ChildrenQuery/>
</query:ClassificationNodeQuery></query:ClassificationQuery><query:ExternalIdentifierQuery>
<query:RegistryObjectQuery/><query:IdentificationSchemeQuery/></query:ExternalIdentifierQuery>
<query:ObjectTypeQuery/><query:StatusQuery/><query:SourceAssociationQuery>
<query:AssociationTypeQuery/><query:SourceObjectQuery/><query:TargetObjectQuery/>
</query:SourceAssociationQuery><query:TargetAssociationQuery/></query:RegistryObjectQuery>"""

OTHER_QUERIES = (
    "<query:OrganizationQuery><query:AddressFilter/><query:TelephoneNumberFilter/>"
    "<query:EmailAddressFilter/><query:ParentQuery/><query:ChildOrganizationQuery/>"
    "<query:PrimaryContactQuery><query:AddressFilter/><query:PersonNameFilter/>"
    "<query:TelephoneNumberFilter/><query:EmailAddressFilter/></query:PrimaryContactQuery>"
    "</query:OrganizationQuery>",
    "<query:ServiceQuery><query:ServiceBindingQuery><query:ServiceQuery/>"
    "<query:SpecificationLinkQuery><query:UsageDescriptionBranch/><query:ServiceBindingQuery/>"
    "<query:SpecificationObjectQuery/></query:SpecificationLinkQuery><query:TargetBindingQuery/>"
    "</query:ServiceBindingQuery></query:ServiceQuery>",
    "<query:AuditableEventQuery><query:AffectedObjectQuery/><query:EventTypeQuery/>"
    "<query:UserQuery/></query:AuditableEventQuery>",
    "<query:SubscriptionQuery><query:SelectorQuery><query:QueryExpressionBranch>"
    "<query:QueryLanguageQuery/></query:QueryExpressionBranch></query:SelectorQuery>"
    "</query:SubscriptionQuery>",
    "<query:NotificationQuery><query:RegistryObjectQuery/></query:NotificationQuery>",
    "<query:RegistryQuery><query:OperatorQuery/></query:RegistryQuery>",
    "<query:ExtrinsicObjectQuery><query:ContentVersionInfoFilter/></query:ExtrinsicObjectQuery>",
    "<query:RegistryPackageQuery/><!-- --> ",
    "<query:ExternalLinkQuery/>",
    "<query:FederationQuery/>",
    '<query:BooleanFilter domainAttribute="a" comparator="NE" value="true"/>',
    '<query:IntegerFilter domainAttribute="a" comparator="GE" value="1"/>',
    '<lcm:UpdateObjectsRequest id="u" comment="c"><rs:RequestSlotList/><rim:RegistryObjectList/>'
    "</lcm:UpdateObjectsRequest>",
    '<lcm:ApproveObjectsRequest><rim:AdhocQuery id="q"/><rim:ObjectRefList><rim:ObjectRef id="r"/>'
    "</rim:ObjectRefList></lcm:ApproveObjectsRequest>",
    "<lcm:DeprecateObjectsRequest><rim:ObjectRefList/></lcm:DeprecateObjectsRequest>",
    "<lcm:UndeprecateObjectsRequest/>",
    '<lcm:RelocateObjectsRequest><rim:AdhocQuery id="q"/><lcm:SourceRegistry id="a"/>'
    '<lcm:DestinationRegistry id="b"/><lcm:OwnerAtSource id="c"/><lcm:OwnerAtDestination id="d"/>'
    "</lcm:RelocateObjectsRequest>",
    '<lcm:AcceptObjectsRequest correlationId="c"/>',
    "<rs:RegistryRequest/>",
    '<a xmlns="urn:unknown" xml:space="preserve" xml:base="b"/>',
)

UNUSUAL_OBJECTS = f"""<rim:ObjectRef id="r" home="urn:oid:1.2" createReplica="true"/>
<rim:Identifiable id="i"/><rim:RegistryObject id="o" lid="l" objectType="t" status="s">{OBJECT}
</rim:RegistryObject><rim:AdhocQuery id="q">{OBJECT}<rim:QueryExpression queryLanguage="l">select
{FILTER_QUERY}</rim:QueryExpression></rim:AdhocQuery>
<rim:ExtrinsicObject id="x">{OBJECT}<rim:ContentVersionInfo versionName="2" comment="c"/>
</rim:ExtrinsicObject><rim:RegistryPackage id="p"><rim:RegistryObjectList><rim:Federation id="f"
replicationSyncLatency="P2D"/></rim:RegistryObjectList></rim:RegistryPackage>
<rim:ClassificationScheme id="k" isInternal="true" nodeType="t"><rim:ClassificationNode id="n"
parent="k" code="c" path="/k/n">{OBJECT}<rim:ClassificationNode id="m"/></rim:ClassificationNode>
</rim:ClassificationScheme><rim:ClassificationNode id="n"/>
<rim:Organization id="g" parent="p" primaryContact="u">{OBJECT}{ADDRESS}{PHONE}</rim:Organization>
<rim:Person id="u">{ADDRESS}<rim:PersonName firstName="a" middleName="b" lastName="c"/>{PHONE}
</rim:Person><rim:User id="u">{OBJECT}<rim:PersonName/></rim:User>
<rim:Service id="v">{OBJECT}<rim:ServiceBinding id="b" service="v" accessURI="http://a"
targetBinding="b"><rim:SpecificationLink id="l" serviceBinding="b" specificationObject="o">
<rim:UsageDescription><rim:LocalizedString value="u"/></rim:UsageDescription>
<rim:UsageParameter>p</rim:UsageParameter></rim:SpecificationLink></rim:ServiceBinding></rim:Service>
<rim:ServiceBinding id="b" service="v"/><rim:SpecificationLink id="l" serviceBinding="b"
specificationObject="o"/><rim:ExternalLink id="h" externalURI="http://example.org/"/>
<rim:Registry id="y" operator="o" specificationVersion="3.0" replicationSyncLatency="P1D"
catalogingLatency="PT1H" conformanceProfile="registryFull"/><rim:Federation id="f"/>
<rim:AuditableEvent id="t" eventType="e" timestamp="2026-01-01T00:00:00Z" user="u" requestId="r">
<rim:affectedObjects><rim:ObjectRef id="r"/></rim:affectedObjects></rim:AuditableEvent>
<rim:Subscription id="w" selector="q" startTime="2026-01-01T00:00:00" endTime="2026-01-02T00:00:00"
notificationInterval="P1D"><rim:NotifyAction endPoint="http://a" notificationOption="o"/>
<rim:Action xsi:type="rim:NotifyActionType" endPoint="http://b"/></rim:Subscription>"""

UNUSUAL = {
    "objects": f"<lcm:SubmitObjectsRequest {DECLARED}><rim:RegistryObjectList>{UNUSUAL_OBJECTS}"
    "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>",
    "removal": f'<lcm:RemoveObjectsRequest {DECLARED} id="i" comment="c" deletionScope="s">'
    '<rs:RequestSlotList/><rim:AdhocQuery id="q"/><rim:ObjectRefList><rim:ObjectRef id="r"/>'
    "</rim:ObjectRefList></lcm:RemoveObjectsRequest>",
    "query": f'<query:AdhocQueryRequest {DECLARED} federated="true" federation="f" startIndex="1" '
    'maxResults="2"><rs:RequestSlotList/><query:ResponseOption returnType="LeafClass" '
    'returnComposedObjects="1"/><rim:AdhocQuery id="q"/></query:AdhocQueryRequest>',
    "answer": f'<query:AdhocQueryResponse {DECLARED} status="s" requestId="r" startIndex="0" '
    'totalResultCount="1"><rs:ResponseSlotList/><rs:RegistryErrorList highestSeverity="h">'
    '<rs:RegistryError errorCode="e" codeContext="c" location="l" severity="s">t</rs:RegistryError>'
    "</rs:RegistryErrorList><rim:RegistryObjectList/></query:AdhocQueryResponse>",
    "fault": f"<s:Envelope {DECLARED}><s:Header><s:NotUnderstood qname='wsa:To'/><s:Upgrade>"
    "<s:SupportedEnvelope qname='s:Envelope'/></s:Upgrade><wsa:RelatesTo RelationshipType='urn:r'>"
    "urn:m</wsa:RelatesTo><wsa:ReplyTo><wsa:Address>urn:a</wsa:Address><wsa:ReferenceParameters>"
    "<x xmlns='urn:x' wsa:IsReferenceParameter='true'/></wsa:ReferenceParameters>"
    "<wsa:Metadata/></wsa:ReplyTo><wsa:RetryAfter>5</wsa:RetryAfter></s:Header><s:Body><s:Fault><s:Code>"
    "<s:Value>s:Sender</s:Value><s:Subcode><s:Value>wsa:ActionMismatch</s:Value></s:Subcode>"
    "</s:Code><s:Reason><s:Text xml:lang='en'>t</s:Text></s:Reason><s:Node>urn:n</s:Node><s:Role>"
    "urn:r</s:Role><s:Detail><wsa:ProblemAction><wsa:Action>urn:a</wsa:Action><wsa:SoapAction>urn:a"
    "</wsa:SoapAction></wsa:ProblemAction><wsa:ProblemHeaderQName>wsa:To</wsa:ProblemHeaderQName>"
    "<wsa:ProblemIRI>urn:i</wsa:ProblemIRI></s:Detail></s:Fault></s:Body></s:Envelope>",
}
UNUSUAL |= {
    f"expression {number}": f"<query:AdhocQueryRequest {DECLARED}><query:ResponseOption/>"
    f'<rim:AdhocQuery id="q"><rim:QueryExpression queryLanguage="l">{expression}'
    "</rim:QueryExpression></rim:AdhocQuery></query:AdhocQueryRequest>"
    for number, expression in enumerate(OTHER_QUERIES)
}


# ---- the two sets of schemas


class Local(etree.Resolver):
    """Finds schemas here that the official ones name by a URL or in a folder without it."""

    def resolve(self, url: str, public_id: str | None, context: object) -> object:
        """Answer for those of BY_URL only."""
        found = BY_URL.get(url.rpartition("/")[2])
        return self.resolve_filename(str(REFERENCE / found), context) if found else None


@pytest.fixture(scope="module")
def theirs() -> etree.XMLSchema:
    """Compile the official schemas into one."""
    return official_schema(REFERENCE_SCHEMAS)


def official_schema(paths: Mapping[str, str]) -> etree.XMLSchema:
    """Compile official schemas, paths in REFERENCE by namespace, into one."""
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    imports = "".join(
        f'<xs:import namespace="{uri}" schemaLocation="{(REFERENCE / path).as_uri()}"/>'
        for uri, path in paths.items()
    )
    text = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(text, parser))


# ---- messages


def _inlined(root: etree._Element) -> etree._Element:
    """Put base64 where an xop:Include stands: a schema sees a document so."""
    for include in list(root.iter(f"{{{v.NS_XOP}}}Include")):
        parent = include.getparent()
        parent.remove(include)
        parent.text = b64encode(b"a document").decode()
    return root


def _envelope(path: Path) -> bytes:
    """Give the XML of a file, which may be a whole HTTP message."""
    raw = path.read_bytes()
    if path.suffix != ".http":
        return raw
    found = re.search(rb"<(\w+):Envelope.*</\1:Envelope>", raw, re.DOTALL)
    assert found
    return found[0]


def _files() -> list[Path]:
    examples = sorted((SHARED / "spec" / "messages").glob("*.[xh]*"))
    samples = sorted((REFERENCE / "examples").rglob("*.xml"))
    return [path for path in (*examples, *samples) if path.suffix in {".xml", ".http"}]


def _messages() -> Iterator[tuple[str, etree._Element]]:
    """Give each whole message, envelope or not, whose content is of these transactions."""
    for path in _files():
        try:
            root = _inlined(etree.fromstring(_envelope(path)))
        except etree.XMLSyntaxError:  # one official sample is no XML
            continue
        body = root.find(f"{SOAP}Body")
        content = root if body is None else next(iter(body), body)
        if content.tag in ROOTS:
            yield str(path.relative_to(SHARED)), root


def _contents() -> dict[bytes, etree._Element]:
    """Give the content of each message, standing alone; many samples have the same."""
    contents = {}
    for _, root in _messages():
        body = root.find(f"{SOAP}Body")
        content = root if body is None else deepcopy(body[0])
        contents[etree.tostring(content, method="c14n", exclusive=True, with_tail=False)] = content
    return contents


# ---- broken forms

Mutation = Callable[[etree._Element], None]
Mutations = Callable[[etree._Element], Iterator[tuple[str, Mutation]]]

TEXTS = ("", " ", "stray", "1", "true", "P1D", "2026-01-01T00:00:00Z", "%zz", "a:b", "s:Sender")
LENGTHS = (5, 8, 9, 16, 17, 32, 33, 64, 65, 256, 257, 1024, 1025)
VALUES = (*TEXTS, *("x" * length for length in LENGTHS))
TYPES = (
    "rim:IdentifiableType",
    "rim:RegistryObjectType",
    "rim:ExtrinsicObjectType",
    "rim:UserType",
    "rim:ActionType",
    "rim:ShortName",
    "rim:VersionInfoType",
    "query:FilterType",
    "query:StringFilterType",
    "query:UserQueryType",
    "xds:RetrieveDocumentSetRequestType",
    "rs:RegistryResponseType",
    "wsa:EndpointReferenceType",
    "xs:string",
    "xs:anyType",
    "unknown",
)
ATTRIBUTES = {
    f"{RIM}id": "a",
    f"{XSI}nil": "true",
    f"{XML}lang": "",
    f"{XML}space": "x",
    f"{XML}base": "b",
    f"{SOAP}mustUnderstand": "x",
    "charset": "",
    "home": "urn:oid:1.2",
    "value": "v",
}
KINDS = (
    *("Identifiable", "RegistryObject", "ObjectRef", "ExtrinsicObject", "RegistryPackage"),
    *("Association", "Classification", "ExternalIdentifier", "AdhocQuery", "ClassificationNode"),
    *("ClassificationScheme", "Organization", "Person", "User", "Service", "ServiceBinding"),
    *("SpecificationLink", "ExternalLink", "Registry", "Federation", "AuditableEvent"),
    *("Subscription", "Notification", "Slot", "Value", "Name", "RegistryObjectList", "Action"),
    *("PostalAddress", "TelephoneNumber"),
)


def _remove(element: etree._Element) -> None:
    element.getparent().remove(element)


def _double(element: etree._Element) -> None:
    element.addnext(deepcopy(element))


def _swap(element: etree._Element) -> None:
    element.addprevious(element.getnext())


def _rename(name: str) -> Mutation:
    return lambda element: setattr(element, "tag", name)


def _insert(place: int, name: str) -> Mutation:
    return lambda element: element.insert(place, etree.Element(name, id="i"))


def _text(text: str) -> Mutation:
    return lambda element: setattr(element, "text", text)


def _tail(element: etree._Element) -> None:
    element.tail = "stray"


def _set(name: str, value: str) -> Mutation:
    return lambda element: element.set(name, value)


def _drop(name: str) -> Mutation:
    return lambda element: element.attrib.__delitem__(name)


def _plain_mutations(element: etree._Element) -> Iterator[tuple[str, Mutation]]:
    """Give the breaks that are tried everywhere, in every message."""
    name = etree.QName(element)
    yield "renamed", _rename(f"{{{name.namespace}}}{name.localname}X")
    yield "with foreign child", _insert(0, "{urn:x}x")
    yield "with text", _text("stray")
    yield "with unknown attribute", _set("colour", "red")
    yield from ((f"without {attribute}", _drop(attribute)) for attribute in element.attrib)
    yield from ((f"with empty {attribute}", _set(attribute, "")) for attribute in element.attrib)
    if element.getparent() is not None:
        yield from (("removed", _remove), ("doubled", _double), ("with text after", _tail))
        if element.getnext() is not None:
            yield "swapped with the next", _swap


def _odd_mutations(element: etree._Element) -> Iterator[tuple[str, Mutation]]:
    """Give the breaks that are far too many, and tried here and there."""
    yield "in no namespace", _rename(etree.QName(element).localname)
    yield from ((f"as rim:{kind}", _rename(f"{RIM}{kind}")) for kind in KINDS)
    yield from ((f"with rim:{kind}", _insert(len(element), f"{RIM}{kind}")) for kind in KINDS)
    yield from ((f"with text {text[:20]!r} of {len(text)}", _text(text)) for text in VALUES)
    yield from ((f"of type {name}", _set(f"{XSI}type", name)) for name in TYPES)
    yield from ((f"with {name}", _set(name, value)) for name, value in ATTRIBUTES.items())
    for name in element.attrib:
        for value in VALUES:
            yield f"with {name} {value[:20]!r} of {len(value)}", _set(name, value)


def _ways(root: etree._Element, mutations: Mutations) -> list[tuple[int, str, Mutation]]:
    return [
        (place, f"{element.tag} {how}", mutate)
        for place, element in enumerate(root.iter(etree.Element))
        for how, mutate in mutations(element)
    ]


def _broken(root: etree._Element, sample: int) -> Iterator[tuple[str, etree._Element]]:
    """Give copies of a message, broken in one way each: all plain breaks, and some odd ones."""
    odd = _ways(root, _odd_mutations)
    chosen = Random(len(odd)).sample(odd, min(sample, len(odd)))
    for place, how, mutate in (*_ways(root, _plain_mutations), *chosen):
        copy = deepcopy(root)
        mutate(next(e for at, e in enumerate(copy.iter(etree.Element)) if at == place))
        yield how, copy


# ---- the same verdict


def compare(
    theirs: etree.XMLSchema, root: etree._Element, sample: int
) -> tuple[list[str], list[bool]]:
    """Judge all broken forms of a message by both: where they differ, and the verdicts."""
    differing, verdicts = [], []
    for how, broken in _broken(root, sample):
        verdict = not schema_validation.problems(broken)
        verdicts.append(verdict)
        if verdict != theirs.validate(broken):
            differing.append(f"{how}: {'valid' if verdict else 'invalid'} here only")
    return differing, verdicts


def test_same_verdict_on_every_message(theirs: etree.XMLSchema) -> None:
    verdicts = []
    for name, root in _messages():
        body = root.find(f"{SOAP}Body")
        content = root if body is None else body[0]
        verdicts.append(not schema_validation.problems(content))
        assert verdicts[-1] == theirs.validate(deepcopy(content)), name
        assert (not schema_validation.problems(root)) == theirs.validate(root), name
    assert verdicts.count(True) > 40
    assert verdicts.count(False) > 3


@pytest.mark.parametrize("message", UNUSUAL.values(), ids=list(UNUSUAL))
def test_unusual_message_is_valid_for_both(theirs: etree.XMLSchema, message: str) -> None:
    root = etree.fromstring(message)
    assert schema_validation.problems(root) == []
    assert theirs.validate(root)


@pytest.mark.slow
def test_same_verdict_on_broken_messages(theirs: etree.XMLSchema) -> None:
    verdicts = []
    for content in _contents().values():
        differing, found = compare(theirs, content, SAMPLE)
        assert differing == []
        verdicts += found
    assert min(verdicts.count(True), verdicts.count(False)) > 1_000


@pytest.mark.parametrize("message", UNUSUAL.values(), ids=list(UNUSUAL))
def test_same_verdict_on_broken_unusual_messages(theirs: etree.XMLSchema, message: str) -> None:
    differing, verdicts = compare(theirs, etree.fromstring(message), 10 * SAMPLE)
    assert differing == []
    assert {True, False} <= set(verdicts)


# ---- the same names


def _names(schema: etree._Element) -> set[tuple[str, str]]:
    return {(etree.QName(node).localname, node.get("name")) for node in schema if node.get("name")}


def _enumerations(schema: etree._Element) -> set[tuple[str, str]]:
    return {
        (next(above.get("name") for above in value.iterancestors() if above.get("name")), text)
        for value in schema.iter(f"{XS}enumeration")
        if (text := value.get("value").partition(":")[2] or value.get("value"))
    }


@pytest.mark.parametrize(("namespace", "path"), REFERENCE_SCHEMAS.items())
def test_names_and_enumerations_are_the_official_ones(namespace: str, path: str) -> None:
    """A type is known by its name, too: xsi:type may choose it."""
    name = next(name for uri, name in schema_validation.SCHEMAS if uri == namespace)
    parser = etree.XMLParser(remove_comments=True)
    ours = etree.parse(str(ROOT / "schemas" / name), parser).getroot()
    official = etree.parse(str(REFERENCE / path), parser).getroot()
    assert {kind for kind, _ in _names(ours) - _names(official)} <= {"group"}
    assert _names(official) <= _names(ours)
    assert _enumerations(ours) == _enumerations(official)


# ---- the same WSDL


def _operations(path: Path) -> dict[str, tuple[str, ...]]:
    """Give the message element and the action of each input and output of a port type."""
    tree = etree.parse(str(path))
    elements = {}
    for part in tree.iter(f"{WSDL}part"):
        prefix, _, name = part.get("element").partition(":")
        elements[part.getparent().get("name")] = f"{{{part.nsmap[prefix]}}}{name}"
    return {
        f"{way.getparent().get('name')} {etree.QName(way).localname}": (
            elements[way.get("message").partition(":")[2]],
            *{way.get(action) for action in ACTIONS if way.get(action)},
        )
        for way in tree.iterfind(f"{WSDL}portType/{WSDL}operation/*[@message]")
    }


# IHE has published no WSDL of a notification broker
@pytest.mark.parametrize("actor", ["registry", "repository"])
def test_operations_are_the_official_ones(actor: str) -> None:
    ours = _operations(ROOT / "wsdl" / f"{actor}.wsdl")
    official = _operations(REFERENCE / "wsdl" / f"XDS.b_Document{actor.title()}.wsdl")
    both = ours.keys() & official.keys()
    assert len(both) >= 4
    assert {name: ours[name] for name in both} == {name: official[name] for name in both}
