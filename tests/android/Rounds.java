// SPDX-License-Identifier: Apache-2.0
import io.tfprune.lite.TfpruneDelegate;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.function.IntConsumer;
import org.tensorflow.lite.Interpreter;

/**
 * {@code Rounds MODEL ROUNDS}: makes a delegate and an interpreter, runs once and closes both, again and again. Prints how
 * many bytes the process grew by in as many rounds as came before, and microseconds: of a delegate made and closed, of a
 * whole round, of what comes before its inference, of one call of a native function that does nothing else.
 */
public final class Rounds {
  private static final int MOST = 1 << 20;
  private static final ByteBuffer BUFFER = ByteBuffer.allocateDirect(2 * MOST); // one, or what it measures is buffers

  private static long startNanoseconds;

  private Rounds() {}

  public static void main(String[] arguments) throws Exception {
    File model = new File(arguments[0]);
    int rounds = Integer.parseInt(arguments[1]);
    IntConsumer whole = count -> {
      for (int i = 0; i < count; ++i) run(model);
    };
    whole.accept(rounds);
    long before = residentBytes();
    whole.accept(rounds);
    System.out.println("grown " + (residentBytes() - before));
    print("delegate", rounds, count -> {
      for (int i = 0; i < count; ++i) new TfpruneDelegate().close();
    });
    print("round", rounds, whole);
    System.out.printf("start %.4f%n", startNanoseconds * 1e-3 / (4 * rounds)); // of every round so far
    print("call", 1000 * rounds, count -> {
      for (int i = 0; i < count; ++i) TfpruneDelegate.supportsFloat16();
    });
  }

  private static void run(File model) {
    long start = System.nanoTime();
    try (TfpruneDelegate delegate = new TfpruneDelegate();
        Interpreter interpreter =
            new Interpreter(model, new Interpreter.Options().setNumThreads(1).addDelegate(delegate))) {
      startNanoseconds += System.nanoTime() - start;
      BUFFER.clear().limit(interpreter.getInputTensor(0).numBytes());
      ByteBuffer in = BUFFER.slice();
      BUFFER.clear().position(MOST).limit(MOST + interpreter.getOutputTensor(0).numBytes());
      interpreter.run(in, BUFFER.slice());
    }
  }

  private static void print(String name, int count, IntConsumer work) {
    work.accept(count); // compiled by the virtual machine
    long start = System.nanoTime();
    work.accept(count);
    System.out.printf("%s %.4f%n", name, (System.nanoTime() - start) * 1e-3 / count);
  }

  private static long residentBytes() throws Exception {
    String statm = new String(Files.readAllBytes(Paths.get("/proc/self/statm")), "UTF-8");
    return Long.parseLong(statm.split(" ")[1]) * 4096;
  }
}
