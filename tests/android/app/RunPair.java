// SPDX-License-Identifier: Apache-2.0
import io.tfprune.demo.engine.Pair;
import io.tfprune.demo.logic.Settings;
import io.tfprune.demo.logic.Snapshot;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Collections;
import java.util.Random;

/**
 * {@code RunPair DENSE PRUNED CACHE VALUES SCORES}: both models as the demo app runs them, on the CPU and on the GPU, of so
 * many input values and scores. Prints how often they were timed and how far their answers are apart.
 */
final class RunPair {
  private static final int TIMED = 5;

  private RunPair() {}

  public static void main(String[] arguments) throws Exception {
    float[] input = new float[Integer.parseInt(arguments[3])];
    Random random = new Random(1);
    for (int i = 0; i < input.length; ++i) input[i] = (float) random.nextGaussian();
    for (Settings settings : new Settings[] {new Settings(false, 2), new Settings(true, 1)}) {
      try (Pair pair =
          new Pair(
              read(arguments[0]),
              read(arguments[1]),
              Collections.nCopies(Integer.parseInt(arguments[4]), "label"),
              settings,
              new File(arguments[2]))) {
        pair.setInput(input);
        for (int run = 0; run < Pair.WARM_UP_RUNS + TIMED; ++run) pair.run();
        Snapshot found = pair.snapshot();
        System.out.printf(
            "%s: runs %d, same class %d, worst %.9f%n",
            settings, found.pruned.runs, found.agreement.sameClass(), found.agreement.worst());
      }
    }
  }

  private static ByteBuffer read(String path) throws Exception {
    byte[] content = Files.readAllBytes(Paths.get(path));
    ByteBuffer buffer = ByteBuffer.allocateDirect(content.length).order(ByteOrder.nativeOrder()).put(content);
    buffer.rewind();
    return buffer;
  }
}
