import java.io.FileInputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.PDFAParser;
import org.verapdf.pdfa.PDFAValidator;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;
import org.verapdf.pdfa.results.ValidationResult;

/**
 * Holds files to a flavour of PDF/A, which is the first argument.
 *
 * <p>A line for each file: its name, whether it is of that flavour, and the clauses that it breaks.
 */
public class ValidatePdf {
    public static void main(String[] given) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        PDFAFlavour flavour = PDFAFlavour.fromString(given[0]);
        for (int number = 1; number < given.length; number++) {
            try (PDFAParser parser = Foundries.defaultInstance()
                    .createParser(new FileInputStream(given[number]), flavour);
                PDFAValidator validator = Foundries.defaultInstance()
                    .createValidator(flavour, false)) {
                ValidationResult result = validator.validate(parser);
                List<String> told = new ArrayList<>();
                told.add(result.isCompliant() ? "PASS" : "FAIL");
                for (TestAssertion one : result.getTestAssertions()) {
                    told.add(one.getRuleId().getClause() + " " + one.getMessage());
                }
                String text = String.join(" | ", told).replaceAll("\\s+", " ");
                System.out.println(Path.of(given[number]).getFileName() + ": " + text);
            }
        }
    }
}
