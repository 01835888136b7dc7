import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.UUID;
import javax.activation.DataHandler;
import javax.activation.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.Exchange;
import org.apache.camel.impl.DefaultCamelContext;
import org.apache.camel.support.DefaultExchange;
import org.openehealth.ipf.commons.audit.DefaultAuditContext;
import org.openehealth.ipf.commons.core.config.ContextFacade;
import org.openehealth.ipf.commons.core.config.SimpleRegistry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.*;
import org.openehealth.ipf.commons.ihe.xds.core.requests.*;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.*;
import org.openehealth.ipf.commons.ihe.xds.core.responses.*;

/**
 * What the XDS client of the Open eHealth Integration Platform (Camel, CXF) does with a server, a
 * line for each call: its name and what came of it.
 *
 * <p>Arguments: host and port, the OID of the patient ids, and a patient's number.
 */
public final class XdsCalls {
  private static final String DOCUMENT = "One document, sent by another system's client.";
  private static CamelContext camel;
  private static String registry;
  private static String repository;
  private static Identifiable patient;

  public static void main(String[] arguments) throws Exception {
    registry = arguments[0] + "/registry";
    repository = arguments[0] + "/repository";
    patient = new Identifiable(arguments[2], new AssigningAuthority(arguments[1]));
    SimpleRegistry beans = new SimpleRegistry();
    beans.register("audit", new DefaultAuditContext());
    ContextFacade.setRegistry(beans);
    camel = new DefaultCamelContext();
    camel.start();

    tell("ITI-41", send("xds-iti41", repository, provided(), Response.class));
    QueryResponse found = tell("ITI-18 LeafClass", documents(QueryReturnType.LEAF_CLASS));
    tell("ITI-18 ObjectRef", documents(QueryReturnType.OBJECT_REF));
    DocumentEntry entry = found.getDocumentEntries().get(0);
    RetrieveDocumentSet wanted = new RetrieveDocumentSet();
    wanted.getDocuments().add(reference(entry));
    RetrievedDocumentSet had =
        tell("ITI-43", send("xds-iti43", repository, wanted, RetrievedDocumentSet.class));
    for (RetrievedDocument one : had.getDocuments()) {
      byte[] bytes = one.getDataHandler().getInputStream().readAllBytes();
      System.out.println(
          "document: "
              + one.getMimeType()
              + (DOCUMENT.equals(new String(bytes, StandardCharsets.UTF_8)) ? " as sent" : " other"));
    }
    QueryResponse all = tell("GetAll", everything());
    tell("ITI-51", send("xds-iti51", registry, ofSeveral(), QueryResponse.class));
    tell("ITI-42", send("xds-iti42", registry, registered(entry()), Response.class));
    DocumentEntry onDemand = entry();
    onDemand.setType(DocumentEntryType.ON_DEMAND);
    onDemand.setCreationTime((Timestamp) null);
    onDemand.setHash(null);
    onDemand.setSize(null);
    tell("ITI-61", send("xds-iti61", registry, registered(onDemand), Response.class));
    tell("ITI-57", send("xds-iti57", registry, updated(entry, entry.getEntryUuid()), Response.class));
    tell("ITI-18 after the update", documents(QueryReturnType.LEAF_CLASS));
    RemoveMetadata part = new RemoveMetadata();
    String member = all.getAssociations().get(0).getEntryUuid();
    part.getReferences().add(new ObjectReference(member));
    tell("ITI-62 of a part", send("rmd-iti62", registry, part, Response.class));
    RemoveDocuments removed = new RemoveDocuments();
    removed.getDocuments().add(reference(entry));
    tell("ITI-86", send("rmd-iti86", repository, removed, Response.class));
    tell("ITI-43 after it", send("xds-iti43", repository, wanted, RetrievedDocumentSet.class));
    camel.stop();
  }

  private static <T> T send(String scheme, String address, Object body, Class<T> type) {
    Exchange exchange = new DefaultExchange(camel);
    exchange.getIn().setBody(body);
    Exchange answer = camel.createProducerTemplate().send(scheme + "://" + address, exchange);
    if (answer.getException() != null) {
      throw new IllegalStateException(scheme, answer.getException());
    }
    return answer.getMessage().getBody(type);
  }

  private static <T extends Response> T tell(String name, T answer) {
    StringBuilder told = new StringBuilder(name + ": " + answer.getStatus());
    answer.getErrors().forEach(one -> told.append(' ').append(one.getErrorCode()));
    if (answer instanceof QueryResponse found) {
      told.append(" documents ").append(found.getDocumentEntries().size());
      told.append(" references ").append(found.getReferences().size());
      told.append(" sets ").append(found.getSubmissionSets().size());
      told.append(" associations ").append(found.getAssociations().size());
    }
    System.out.println(told);
    return answer;
  }

  private static QueryResponse documents(QueryReturnType type) {
    FindDocumentsQuery query = new FindDocumentsQuery();
    query.setPatientId(patient);
    query.setStatus(List.of(AvailabilityStatus.APPROVED));
    return asked("xds-iti18", query, type);
  }

  private static QueryResponse everything() {
    GetAllQuery query = new GetAllQuery();
    query.setPatientId(patient);
    query.setStatusDocuments(List.of(AvailabilityStatus.APPROVED));
    query.setStatusFolders(List.of(AvailabilityStatus.APPROVED));
    query.setStatusSubmissionSets(List.of(AvailabilityStatus.APPROVED));
    return asked("xds-iti18", query, QueryReturnType.LEAF_CLASS);
  }

  private static QueryRegistry ofSeveral() {
    FindDocumentsForMultiplePatientsQuery query = new FindDocumentsForMultiplePatientsQuery();
    query.setPatientIds(List.of(patient, new Identifiable("ANOTHER", patient.getAssigningAuthority())));
    query.setStatus(List.of(AvailabilityStatus.APPROVED));
    query.setFormatCodes(List.of(format()));
    QueryRegistry request = new QueryRegistry(query);
    request.setReturnType(QueryReturnType.LEAF_CLASS);
    return request;
  }

  private static QueryResponse asked(String scheme, Query query, QueryReturnType type) {
    QueryRegistry request = new QueryRegistry(query);
    request.setReturnType(type);
    return send(scheme, registry, request, QueryResponse.class);
  }

  private static ProvideAndRegisterDocumentSet provided() {
    DocumentEntry entry = entry();
    entry.setHash(null);
    entry.setSize(null);
    entry.setRepositoryUniqueId(null);
    ProvideAndRegisterDocumentSet made = new ProvideAndRegisterDocumentSet();
    made.setSubmissionSet(set());
    Document document = new Document();
    document.setDocumentEntry(entry);
    document.setContent(DataHandler.class, new DataHandler(new Sent()));
    made.getDocuments().add(document);
    made.getAssociations().add(member(made.getSubmissionSet(), entry));
    return made;
  }

  private static RegisterDocumentSet registered(DocumentEntry entry) {
    RegisterDocumentSet made = new RegisterDocumentSet();
    made.setSubmissionSet(set());
    made.getDocumentEntries().add(entry);
    made.getAssociations().add(member(made.getSubmissionSet(), entry));
    return made;
  }

  private static RegisterDocumentSet updated(DocumentEntry entry, String logicalId) {
    entry.setTitle(new LocalizedString("A corrected title", "en-GB", "UTF-8"));
    entry.setLogicalUuid(logicalId);
    entry.setEntryUuid(UUID.randomUUID().toString().transform(one -> "urn:uuid:" + one));
    RegisterDocumentSet made = registered(entry);
    made.getAssociations().get(0).setPreviousVersion("1");
    return made;
  }

  private static Association member(SubmissionSet set, DocumentEntry entry) {
    Association made = new Association();
    made.setEntryUuid("urn:uuid:" + UUID.randomUUID());
    made.setAssociationType(AssociationType.HAS_MEMBER);
    made.setSourceUuid(set.getEntryUuid());
    made.setTargetUuid(entry.getEntryUuid());
    made.setLabel(AssociationLabel.ORIGINAL);
    return made;
  }

  private static SubmissionSet set() {
    SubmissionSet made = new SubmissionSet();
    made.setEntryUuid("urn:uuid:" + UUID.randomUUID());
    made.setUniqueId(oid());
    made.setSourceId("2.999.8.1");
    made.setPatientId(patient);
    made.setSubmissionTime("20260301093000");
    made.setAvailabilityStatus(AvailabilityStatus.APPROVED);
    made.setContentTypeCode(code("34133-9", "Summary of episode note"));
    return made;
  }

  private static DocumentEntry entry() {
    DocumentEntry made = new DocumentEntry();
    made.setEntryUuid("urn:uuid:" + UUID.randomUUID());
    made.setUniqueId(oid());
    made.setPatientId(patient);
    made.setSourcePatientId(new Identifiable("77", new AssigningAuthority("2.999.8.2")));
    made.setRepositoryUniqueId("2.999.8.3");
    made.setHash("da39a3ee5e6b4b0d3255bfef95601890afd80709");
    made.setSize(0L);
    made.setMimeType("text/plain");
    made.setLanguageCode("en-GB");
    made.setCreationTime("20260301090000");
    made.setTitle(new LocalizedString("A note", "en-GB", "UTF-8"));
    made.setAvailabilityStatus(AvailabilityStatus.APPROVED);
    made.setClassCode(code("11506-3", "Progress note"));
    made.setTypeCode(code("34108-1", "Outpatient note"));
    made.setFormatCode(format());
    made.setHealthcareFacilityTypeCode(code("22232009", "Hospital"));
    made.setPracticeSettingCode(code("394579002", "Cardiology"));
    made.getConfidentialityCodes().add(code("N", "Normal"));
    return made;
  }

  private static Code format() {
    return new Code(
        "urn:ihe:iti:xds-sd:text:2008",
        new LocalizedString("Text", "en-GB", "UTF-8"),
        "1.3.6.1.4.1.19376.1.2.3");
  }

  private static Code code(String value, String name) {
    return new Code(value, new LocalizedString(name, "en-GB", "UTF-8"), "2.999.8.4");
  }

  private static DocumentReference reference(DocumentEntry entry) {
    return new DocumentReference(
        entry.getRepositoryUniqueId(), entry.getUniqueId(), entry.getHomeCommunityId());
  }

  private static String oid() {
    long number = UUID.randomUUID().getMostSignificantBits() & Long.MAX_VALUE;
    return "2.25." + number;
  }

  private static final class Sent implements DataSource {
    @Override
    public InputStream getInputStream() {
      return new ByteArrayInputStream(DOCUMENT.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public OutputStream getOutputStream() {
      throw new UnsupportedOperationException();
    }

    @Override
    public String getContentType() {
      return "text/plain";
    }

    @Override
    public String getName() {
      return "note.txt";
    }
  }

  private XdsCalls() {}
}
