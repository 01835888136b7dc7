import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.api.MethodOutcome;
import ca.uhn.fhir.rest.api.PreferReturnEnum;
import ca.uhn.fhir.rest.api.SearchStyleEnum;
import ca.uhn.fhir.rest.client.api.IGenericClient;
import ca.uhn.fhir.rest.client.api.ServerValidationModeEnum;
import ca.uhn.fhir.rest.gclient.TokenClientParam;
import ca.uhn.fhir.rest.server.exceptions.BaseServerResponseException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.hl7.fhir.r4.model.Binary;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.CapabilityStatement;
import org.hl7.fhir.r4.model.CodeType;
import org.hl7.fhir.r4.model.DocumentReference;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.Parameters;
import org.hl7.fhir.r4.model.StringType;

/**
 * What the client of HAPI FHIR does with a server, a line for each call: its name and what came of it.
 *
 * <p>Arguments: the server's base, a file with the Bundle of an ITI-65, the patient's identifier as
 * system|value, and json or xml.
 */
public final class FhirCalls {
  private static IGenericClient client;

  public static void main(String[] arguments) throws Exception {
    FhirContext context = FhirContext.forR4();
    context.getRestfulClientFactory().setServerValidationMode(ServerValidationModeEnum.ONCE);
    context.getRestfulClientFactory().setSocketTimeout(60_000);
    client = context.newRestfulGenericClient(arguments[0]);
    client.setEncoding(EncodingEnum.valueOf(arguments[3].toUpperCase()));
    Bundle provided =
        context.newJsonParser().parseResource(Bundle.class, Files.readString(Path.of(arguments[1])));
    String[] patient = arguments[2].split("\\|");

    tell("metadata", () -> statement().getFhirVersion().toCode());
    tell("provide", () -> statuses(client.transaction().withBundle(provided).execute()));
    tell("search", () -> "found " + found(patient, SearchStyleEnum.GET).getEntry().size());
    tell("search by POST", () -> "found " + found(patient, SearchStyleEnum.POST).getEntry().size());
    DocumentReference document = first(found(patient, SearchStyleEnum.GET));
    IdType id = document.getIdElement().toUnqualifiedVersionless();
    tell("read", () -> "of version " + read(id).getIdElement().getVersionIdPart().length());
    String url = document.getContentFirstRep().getAttachment().getUrl();
    String binary = "Binary/" + url.substring(url.lastIndexOf('/') + 1);
    tell("retrieve", () -> new String(retrieved(binary).getContent()));

    DocumentReference before = read(id);
    DocumentReference changed = read(id);
    changed.setDescription("Changed by PUT");
    tell("update", () -> code(client.update().resource(changed).execute()));
    before.setDescription("Too late");
    tell("update of an older version", () -> code(client.update().resource(before).execute()));
    DocumentReference again = read(id);
    again.setDescription("Changed by a conditional PUT");
    String unique = again.getMasterIdentifier().getValue();
    again.setId((String) null);
    tell(
        "conditional update",
        () ->
            code(
                client
                    .update()
                    .resource(again)
                    .conditional()
                    .where(
                        DocumentReference.IDENTIFIER
                            .exactly()
                            .systemAndIdentifier("urn:ietf:rfc:3986", unique))
                    .execute()));
    tell("FHIRPath Patch", () -> code(client.patch().withFhirPatch(patch()).withId(id).execute()));
    String operations =
        "[{\"op\": \"replace\", \"path\": \"/description\", \"value\": \"Changed by JSON Patch\"}]";
    tell("JSON Patch", () -> code(client.patch().withBody(operations).withId(id).execute()));
    tell("read after all", () -> read(id).getDescription());
    tell("history", () -> "versions " + history(id).getEntry().size());

    tell("vread", () -> read(first(history(id)).getIdElement()).getDescription());

    DocumentReference simple = simplified(provided);
    tell(
        "create",
        () -> code(client.create().resource(simple).prefer(PreferReturnEnum.MINIMAL).execute()));
    tell("search after it", () -> "found " + found(patient, SearchStyleEnum.GET).getEntry().size());
    tell("page", () -> "found " + paged(patient));
    tell("delete", () -> code(client.delete().resourceById(id).execute()));
    tell("read what was deleted", () -> read(id).getDescription());
    tell("read what never was", () -> read(new IdType("DocumentReference/none")).getDescription());
  }

  private static void tell(String name, Callable<String> call) {
    try {
      System.out.println(name + ": " + call.call());
    } catch (BaseServerResponseException refused) {
      System.out.println(name + ": " + refused.getStatusCode());
    } catch (Exception failure) {
      System.out.println(name + ": " + failure);
    }
  }

  private static CapabilityStatement statement() {
    return client.capabilities().ofType(CapabilityStatement.class).execute();
  }

  private static String statuses(Bundle answer) {
    StringBuilder told = new StringBuilder();
    answer.getEntry().forEach(one -> told.append(one.getResponse().getStatus(), 0, 3).append(' '));
    return told.toString().trim();
  }

  private static Bundle found(String[] patient, SearchStyleEnum style) {
    return client
        .search()
        .forResource(DocumentReference.class)
        .where(
            new TokenClientParam("patient.identifier")
                .exactly()
                .systemAndIdentifier(patient[0], patient[1]))
        .and(DocumentReference.STATUS.exactly().code("current"))
        .usingStyle(style)
        .returnBundle(Bundle.class)
        .execute();
  }

  private static int paged(String[] patient) {
    Bundle page =
        client
            .search()
            .forResource(DocumentReference.class)
            .where(
                new TokenClientParam("patient.identifier")
                    .exactly()
                    .systemAndIdentifier(patient[0], patient[1]))
            .and(DocumentReference.STATUS.exactly().code("current"))
            .count(1)
            .returnBundle(Bundle.class)
            .execute();
    int count = page.getEntry().size();
    while (page.getLink(Bundle.LINK_NEXT) != null) {
      page = client.loadPage().next(page).execute();
      count += page.getEntry().size();
    }
    return count;
  }

  private static Bundle history(IdType id) {
    return client.history().onInstance(id).returnBundle(Bundle.class).execute();
  }

  private static DocumentReference first(Bundle bundle) {
    return (DocumentReference) bundle.getEntryFirstRep().getResource();
  }

  private static DocumentReference read(IdType id) {
    return client.read().resource(DocumentReference.class).withId(id).execute();
  }

  private static Binary retrieved(String id) {
    return client.read().resource(Binary.class).withId(id).execute();
  }

  private static String code(MethodOutcome outcome) {
    return String.valueOf(outcome.getResponseStatusCode());
  }

  private static Parameters patch() {
    Parameters parameters = new Parameters();
    Parameters.ParametersParameterComponent operation = parameters.addParameter();
    operation.setName("operation");
    operation.addPart().setName("type").setValue(new CodeType("replace"));
    operation
        .addPart()
        .setName("path")
        .setValue(new StringType("DocumentReference.description"));
    operation.addPart().setName("value").setValue(new StringType("Changed by FHIRPath Patch"));
    return parameters;
  }

  /** The DocumentReference of a Bundle with its document within it, as ITI-105 has it. */
  private static DocumentReference simplified(Bundle bundle) {
    DocumentReference made = null;
    byte[] data = null;
    for (Bundle.BundleEntryComponent entry : bundle.getEntry()) {
      if (entry.getResource() instanceof DocumentReference one) {
        made = one.copy();
      }
      if (entry.getResource() instanceof Binary one) {
        data = one.getContent();
      }
    }
    made.getContentFirstRep().getAttachment().setUrl(null).setData(data);
    made.getMasterIdentifier().setValue(made.getMasterIdentifier().getValue() + ".1");
    made.setId((String) null);
    return made;
  }

  private FhirCalls() {}
}
