// SPDX-License-Identifier: Apache-2.0
import io.tfprune.lite.TfpruneDelegate;
import io.tfprune.lite.TfpruneLayer;
import io.tfprune.lite.TfprunePlacement;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.tensorflow.lite.Interpreter;

/**
 * {@code RunModel MODEL INPUT OUTPUT [OPTION=VALUE ...]}: what an app does, on the JVM. Input and output are the bytes of
 * the model's first tensors. Prints a line for each layer and node.
 */
public final class RunModel {
  private RunModel() {}

  public static void main(String[] arguments) throws Exception {
    Path input = Paths.get(arguments[1]), output = Paths.get(arguments[2]);
    TfpruneDelegate.Options options = new TfpruneDelegate.Options();
    Interpreter.Options runtime = new Interpreter.Options().setNumThreads(1);
    for (int i = 3; i < arguments.length; ++i) set(options, arguments[i].split("=", 2));
    try (TfpruneDelegate delegate = new TfpruneDelegate(options);
        Interpreter interpreter = new Interpreter(new File(arguments[0]), runtime.addDelegate(delegate))) {
      byte[] bytes = Files.readAllBytes(input);
      ByteBuffer in = ByteBuffer.allocateDirect(bytes.length).order(ByteOrder.nativeOrder()).put(bytes);
      ByteBuffer out = ByteBuffer.allocateDirect(interpreter.getOutputTensor(0).numBytes());
      interpreter.run(in, out);
      byte[] result = new byte[out.capacity()];
      out.rewind();
      out.get(result);
      Files.write(output, result);
      for (TfpruneLayer layer : delegate.layers()) System.out.println(layer + ", runs " + layer.runs());
      if (delegate.tuningProblem() != null) System.out.println("tuning problem: " + delegate.tuningProblem());
      TfprunePlacement placement = delegate.placement();
      if (placement.device() != null) System.out.println("device: " + placement.device());
      if (placement.problem() != null) System.out.println("problem: " + placement.problem());
      placement.nodes().forEach(System.out::println);
    } catch (RuntimeException error) {
      System.out.println(error.getClass().getName() + ": " + error.getMessage());
      System.exit(1);
    }
  }

  private static void set(TfpruneDelegate.Options options, String[] option) {
    switch (option[0]) {
      case "backend":
        options.setBackend(TfpruneDelegate.Backend.valueOf(option[1]));
        break;
      case "precision":
        options.setPrecision(TfpruneDelegate.Precision.valueOf(option[1]));
        break;
      case "threads":
        options.setNumThreads(Integer.parseInt(option[1]));
        break;
      case "cache":
        options.setCacheDirectory(new File(option[1]));
        break;
      case "tuning":
        options.setTuning(Boolean.parseBoolean(option[1]));
        break;
      case "profiling":
        options.setProfiling(Boolean.parseBoolean(option[1]));
        break;
      default:
        throw new IllegalArgumentException("RunModel: no option " + option[0]);
    }
  }
}
