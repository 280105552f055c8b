// SPDX-License-Identifier: Apache-2.0
import java.io.File;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Collections;
import org.codehaus.mojo.animal_sniffer.ClassListBuilder;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.Logger;
import org.codehaus.mojo.animal_sniffer.logging.PrintWriterLogger;

/**
 * Prints what a jar refers to that is neither in it nor in a public API, and fails if there is any.
 *
 * <p>Usage: PublicApi SIGNATURE JAR. What classes of the jar inherit is for the compiler to check.
 */
final class PublicApi {
  private PublicApi() {}

  public static void main(String[] arguments) throws Exception {
    Logger logger = new PrintWriterLogger(System.out);
    File jar = new File(arguments[1]);
    ClassListBuilder own = new ClassListBuilder(logger);
    own.process(jar);
    try (InputStream signature = Files.newInputStream(Paths.get(arguments[0]))) {
      SignatureChecker checker = new SignatureChecker(signature, own.getPackages(), logger);
      checker.setSourcePath(Collections.emptyList());
      checker.process(jar);
      System.exit(checker.isSignatureBroken() ? 1 : 0);
    }
  }
}
