// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import java.io.File;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.lite.Delegate;

/**
 * Runs the pruned layers of a converted model in TensorFlow Lite or LiteRT.
 *
 * <pre>{@code
 * try (TfpruneDelegate delegate = new TfpruneDelegate();
 *     Interpreter interpreter = new Interpreter(model, new Interpreter.Options().addDelegate(delegate))) {
 *   interpreter.run(input, output);
 * }
 * }</pre>
 *
 * One delegate serves several interpreters. Close it after them. Any thread may call any method.
 */
public final class TfpruneDelegate implements Delegate, AutoCloseable {
  /** What runs the graph. */
  public enum Backend {
    /** Pruned layers on the CPU; the interpreter and XNNPACK run the rest. */
    CPU("cpu"),
    /** As much of the graph as the GPU can run, dense layers too. Without OpenCL that is an error. */
    GPU("gpu"),
    /** The GPU where there is one and it can, else the CPU; {@link #placement()} says which and why. */
    AUTO("auto");

    private final String value;

    Backend(String value) {
      this.value = value;
    }
  }

  /** What float layers compute in. */
  public enum Precision {
    FLOAT32("f32"),
    /**
     * On the CPU every sum too is of half precision, and its processor must have that arithmetic, see {@link
     * TfpruneDelegate#supportsFloat16()}. The GPU stores weights and tensors in half precision and sums in single.
     */
    FLOAT16("f16");

    private final String value;

    Precision(String value) {
      this.value = value;
    }
  }

  /** How a delegate works. Changes after the delegate is made do not reach it. */
  public static final class Options {
    /** The most threads that there can be. */
    public static final int MAX_THREADS = 64;

    private static final String PROGRAMS = "tfprune_programs";
    private static final String TUNING = "tfprune_tuning.txt";

    private Backend backend = Backend.CPU;
    private Precision precision = Precision.FLOAT32;
    private int numThreads; // 0 for the interpreter's
    private File cacheDirectory;
    private boolean tuning;
    private boolean profiling;

    /** What runs the graph; by default the CPU. */
    public Options setBackend(Backend backend) {
      this.backend = given(backend, "backend");
      return this;
    }

    /** What float layers compute in; by default FLOAT32. */
    public Options setPrecision(Precision precision) {
      this.precision = given(precision, "precision");
      return this;
    }

    /**
     * How many threads pruned layers use on the CPU, from 1 to {@link #MAX_THREADS}; by default those of the
     * interpreter's {@code setNumThreads}, which the other layers use in any case.
     */
    public Options setNumThreads(int numThreads) {
      if (numThreads < 1 || numThreads > MAX_THREADS) {
        throw new IllegalArgumentException(
            "TfpruneDelegate: the number of threads must be from 1 to "
                + MAX_THREADS
                + ", got "
                + numThreads
                + "; leave it out to use the interpreter's");
      }
      this.numThreads = numThreads;
      return this;
    }

    /**
     * A directory of this app's for what later starts need not do again: programs compiled for the GPU and what was
     * tuned. It is made where it is missing. {@code context.getCodeCacheDir()} is one that Android empties when the app
     * or the system is updated. Files there are run by the GPU's driver: nobody else may write to it.
     */
    public Options setCacheDirectory(File cacheDirectory) {
      this.cacheDirectory = given(cacheDirectory, "cache directory");
      return this;
    }

    /**
     * Whether alternatives are timed on this device when a model's layers are prepared for the first time; off by
     * default. It needs a cache directory, and seconds for a large model.
     */
    public Options setTuning(boolean tuning) {
      this.tuning = tuning;
      return this;
    }

    /** Whether the time of each layer is counted, for {@link TfpruneDelegate#layers()}; off by default. */
    public Options setProfiling(boolean profiling) {
      this.profiling = profiling;
      return this;
    }

    /** The options by the names of libtfprune. */
    Map<String, String> toNative() {
      if (tuning && cacheDirectory == null) {
        throw new IllegalArgumentException(
            "TfpruneDelegate: tuning needs a directory that keeps what was chosen; call setCacheDirectory");
      }
      if (cacheDirectory != null) CacheDirectory.prepare(cacheDirectory);
      Map<String, String> options = new LinkedHashMap<>();
      options.put("backend", backend.value);
      options.put("precision", precision.value);
      if (numThreads > 0) options.put("threads", Integer.toString(numThreads));
      if (profiling) options.put("profile", "1");
      if (tuning) {
        options.put("tune", "1");
        options.put("tune_cache", new File(cacheDirectory, TUNING).getAbsolutePath());
      }
      if (cacheDirectory != null && backend != Backend.CPU) {
        File programs = new File(cacheDirectory, PROGRAMS);
        CacheDirectory.prepare(programs);
        options.put("program_cache", programs.getAbsolutePath());
      }
      return options;
    }

    private static <T> T given(T value, String what) {
      if (value == null) throw new IllegalArgumentException("TfpruneDelegate: the " + what + " must not be null");
      return value;
    }
  }

  private long handle; // 0 once closed; guarded by this

  /** A delegate with the defaults: pruned layers on the CPU, in single precision. */
  public TfpruneDelegate() {
    this(new Options());
  }

  /**
   * @throws IllegalArgumentException options that do not go together.
   * @throws TfpruneException what this device or build of the app cannot do, and why.
   */
  public TfpruneDelegate(Options options) {
    Map<String, String> wanted = Options.given(options, "options").toNative();
    Native.load();
    handle = Native.create(wanted);
  }

  /**
   * For the interpreter.
   *
   * @throws IllegalStateException the delegate is closed.
   */
  @Override
  public synchronized long getNativeHandle() {
    return open("serve an interpreter");
  }

  /** Frees the delegate. A second call does nothing. */
  @Override
  public synchronized void close() {
    if (handle == 0) return;
    Native.destroy(handle);
    handle = 0;
  }

  /**
   * The layers that the delegate runs, of all its interpreters, in the order of their making.
   *
   * @throws IllegalStateException the delegate is closed.
   */
  public synchronized List<TfpruneLayer> layers() {
    return TfpruneLayer.parse(Native.fromUtf8(Native.describe(open("describe its layers"))));
  }

  /**
   * Why what was tuned could not be read from the cache directory or kept there; null where nothing went wrong. Layers
   * were tuned for this delegate only then, and run as ever.
   *
   * @throws IllegalStateException the delegate is closed.
   */
  public synchronized String tuningProblem() {
    return TfpruneLayer.tuningProblem(Native.fromUtf8(Native.describe(open("say what went wrong with tuning"))));
  }

  /**
   * Where the operators of the graphs run, and why. Nothing is noted with {@link Backend#CPU}.
   *
   * @throws IllegalStateException the delegate is closed.
   */
  public synchronized TfprunePlacement placement() {
    return TfprunePlacement.parse(Native.fromUtf8(Native.placement(open("say where operators run"))));
  }

  /** The version of tfprune. */
  public static String version() {
    return Native.VERSION;
  }

  /** The instruction set of this processor whose kernels run by default, such as {@code "neon_dotprod"}. */
  public static String instructionSet() {
    Native.load();
    return Native.fromUtf8(Native.detectedArch());
  }

  /** Whether this processor computes in half precision, which {@link Precision#FLOAT16} needs on the CPU. */
  public static boolean supportsFloat16() {
    Native.load();
    return Native.hasHalfArithmetic();
  }

  private long open(String purpose) {
    if (handle != 0) return handle;
    throw new IllegalStateException(
        "TfpruneDelegate: a closed delegate cannot " + purpose + "; make a new one, and close it after its interpreters");
  }
}
