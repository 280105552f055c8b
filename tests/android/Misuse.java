// SPDX-License-Identifier: Apache-2.0
import io.tfprune.lite.TfpruneDelegate;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.tensorflow.lite.Interpreter;

/** {@code Misuse MODEL}: closes things in the wrong order and prints what comes of it. */
public final class Misuse {
  private Misuse() {}

  public static void main(String[] arguments) {
    File model = new File(arguments[0]);
    TfpruneDelegate closed = new TfpruneDelegate();
    closed.close();
    tell("closed delegate", () -> new Interpreter(model, new Interpreter.Options().addDelegate(closed)).close());
    tell("no delegate", () -> runOnce(new Interpreter(model)));

    TfpruneDelegate early = new TfpruneDelegate();
    Interpreter interpreter = new Interpreter(model, new Interpreter.Options().setNumThreads(1).addDelegate(early));
    byte[] before = runOnce(interpreter);
    early.close();
    tell("delegate closed first", () -> {
      if (!Arrays.equals(before, runOnce(interpreter))) throw new AssertionError("other results");
    });
    int[] shape = interpreter.getInputTensor(0).shape();
    shape[0] = 2;
    tell("resized after", () -> {
      interpreter.resizeInput(0, shape);
      runOnce(interpreter);
    });
    interpreter.close();
    early.close();

    try (TfpruneDelegate shared = new TfpruneDelegate()) {
      Interpreter.Options options = new Interpreter.Options().setNumThreads(1).addDelegate(shared);
      Interpreter first = new Interpreter(model, options), second = new Interpreter(model, options);
      first.close();
      tell("second interpreter", () -> runOnce(second));
      second.close();
    }

    tell("two delegates", () -> twice(model, new TfpruneDelegate(), before));
    tell("one delegate twice", () -> twice(model, null, before));
  }

  /** The first of two delegates takes the layers; null: one and the same delegate is given twice. */
  private static void twice(File model, TfpruneDelegate other, byte[] expected) {
    try (TfpruneDelegate delegate = new TfpruneDelegate()) {
      Interpreter.Options options = new Interpreter.Options().setNumThreads(1).addDelegate(delegate);
      options.addDelegate(other == null ? delegate : other);
      try (Interpreter interpreter = new Interpreter(model, options)) {
        if (!Arrays.equals(expected, runOnce(interpreter))) throw new AssertionError("other results");
      }
    }
    if (other != null) other.close();
  }

  private static byte[] runOnce(Interpreter interpreter) {
    interpreter.allocateTensors();
    ByteBuffer in = ByteBuffer.allocateDirect(interpreter.getInputTensor(0).numBytes());
    for (int i = 0; i < in.capacity(); ++i) in.put(i, (byte) (i % 61));
    ByteBuffer out = ByteBuffer.allocateDirect(interpreter.getOutputTensor(0).numBytes());
    interpreter.run(in, out);
    byte[] result = new byte[out.capacity()];
    out.rewind();
    out.get(result);
    return result;
  }

  private static void tell(String what, Runnable work) {
    try {
      work.run();
      System.out.println(what + ": fine");
    } catch (RuntimeException error) {
      System.out.println(what + ": " + error.getClass().getName() + ": " + error.getMessage());
    }
  }
}
