// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.engine;

import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Settings;
import io.tfprune.lite.TfpruneDelegate;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.Map;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.Tensor;

/** One model, ready to run, of one float input and output. One thread at a time. */
public final class ModelRunner implements AutoCloseable {
  /** Whether the delegate runs the model: the pruned one always, the dense one on the GPU only. */
  public enum Kind {
    DENSE,
    PRUNED
  }

  private static final int FLOAT_BYTES = 4;

  private final TfpruneDelegate delegate; // null for the dense model on the CPU
  private final Interpreter interpreter;
  private final ByteBuffer input;
  private final Object[] inputs;
  private final Map<Integer, Object> outputs = new HashMap<>(); // a row of operators has several
  private final FloatBuffer scores;

  /**
   * @param cache a directory for programs that are compiled for the GPU.
   * @throws DemoException the model cannot run with these settings, and why.
   */
  public ModelRunner(ByteBuffer model, Kind kind, Settings settings, File cache) {
    delegate = kind == Kind.PRUNED || settings.gpu ? new TfpruneDelegate(options(settings, cache)) : null;
    try {
      interpreter = open(model, settings);
    } catch (RuntimeException error) {
      if (delegate != null) delegate.close();
      throw new DemoException(
          "The " + (kind == Kind.DENSE ? "dense" : "pruned") + " model cannot be run on the " + settings + ": "
              + DemoException.sentence(error),
          error);
    }
    input = direct(interpreter.getInputTensor(0));
    inputs = new Object[] {input};
    for (int i = 0; i < interpreter.getOutputTensorCount(); ++i) outputs.put(i, direct(interpreter.getOutputTensor(i)));
    scores = ((ByteBuffer) outputs.get(0)).asFloatBuffer();
  }

  private static TfpruneDelegate.Options options(Settings settings, File cache) {
    TfpruneDelegate.Options options = new TfpruneDelegate.Options().setNumThreads(settings.threads);
    if (settings.gpu) options.setBackend(TfpruneDelegate.Backend.GPU).setCacheDirectory(cache);
    return options;
  }

  private Interpreter open(ByteBuffer model, Settings settings) {
    // XNNPACK runs dense layers on the CPU, in both files: what is compared is the best that each can do.
    Interpreter.Options options = new Interpreter.Options().setNumThreads(settings.threads).setUseXNNPACK(true);
    if (delegate != null) options.addDelegate(delegate);
    Interpreter opened = new Interpreter(model, options);
    try {
      opened.allocateTensors();
    } catch (RuntimeException error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  private static ByteBuffer direct(Tensor tensor) {
    return ByteBuffer.allocateDirect(tensor.numBytes()).order(ByteOrder.nativeOrder());
  }

  /** How many values the input has. */
  public int inputValues() {
    return input.capacity() / FLOAT_BYTES;
  }

  /** What the next runs are given. */
  public void setInput(float[] values) {
    if (values.length != inputValues()) {
      throw new DemoException("The model wants " + inputValues() + " input values, got " + values.length + ".");
    }
    input.asFloatBuffer().put(values);
  }

  /** Runs once; answers how many nanoseconds that took, without what comes before and after. */
  public long run() {
    input.rewind();
    for (Object output : outputs.values()) ((ByteBuffer) output).rewind();
    long start = System.nanoTime();
    interpreter.runForMultipleInputsOutputs(inputs, outputs);
    return System.nanoTime() - start;
  }

  /** What the last run answered. */
  public float[] output() {
    float[] values = new float[scores.capacity()];
    scores.rewind();
    scores.get(values);
    return values;
  }

  @Override
  public void close() {
    interpreter.close();
    if (delegate != null) delegate.close();
  }
}
