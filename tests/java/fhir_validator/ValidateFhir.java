import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * Holds resources to R4: structure, invariants, and the codes of value sets that R4 itself has.
 *
 * <p>A line for each file: its name, and its errors.
 */
public class ValidateFhir {
    public static void main(String[] files) throws Exception {
        FhirContext context = FhirContext.forR4();
        FhirInstanceValidator rules = new FhirInstanceValidator(new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context)));
        rules.setAnyExtensionsAllowed(true);
        rules.setErrorForUnknownProfiles(false);
        FhirValidator validator = context.newValidator().registerValidatorModule(rules);
        for (String file : files) {
            Path path = Path.of(file);
            List<String> errors = new ArrayList<>();
            for (SingleValidationMessage one
                    : validator.validateWithResult(Files.readString(path)).getMessages()) {
                if (one.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0) {
                    String text = one.getLocationString() + " " + one.getMessage();
                    errors.add(text.replaceAll("\\s+", " "));
                }
            }
            System.out.println(path.getFileName() + ": " + String.join(" | ", errors));
        }
    }
}
