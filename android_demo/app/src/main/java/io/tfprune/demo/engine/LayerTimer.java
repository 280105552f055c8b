// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.engine;

import io.tfprune.demo.logic.Agreement;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Settings;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.Random;

/** Times two files in turns, so that a device that slows down meets both. */
public final class LayerTimer {
  private static final double TOLERANCE = 1e-4; // of the largest magnitude of an answer
  private static final long SEED = 1;
  private static final double NANOSECONDS = 1e3; // in a microsecond
  private static final int FEWEST_ROUNDS = 3;

  private final Settings settings;
  private final File cache;
  private final long warmUp;
  private final long sample;
  private final long enough;

  /**
   * @param warmUp nanoseconds that each file runs before it is timed.
   * @param sample about how many nanoseconds one time is taken over: clocks are no finer.
   * @param enough nanoseconds after which no other round of times begins; there are at least {@link #FEWEST_ROUNDS}.
   */
  public LayerTimer(Settings settings, File cache, long warmUp, long sample, long enough) {
    this.settings = settings;
    this.cache = cache;
    this.warmUp = warmUp;
    this.sample = sample;
    this.enough = enough;
  }

  /**
   * The least time of each, in microseconds.
   *
   * @param second whether the delegate runs the second file.
   * @param sameAnswer whether both must give the same answer.
   * @throws DemoException a file cannot be run, or the answers differ.
   */
  public double[] time(String name, ByteBuffer first, ByteBuffer other, ModelRunner.Kind second, boolean sameAnswer) {
    try (ModelRunner one = new ModelRunner(first, ModelRunner.Kind.DENSE, settings, cache);
        ModelRunner two = new ModelRunner(other, second, settings, cache)) {
      fill(one);
      fill(two);
      long[] runs = {runsOfASample(one), runsOfASample(two)};
      if (sameAnswer) check(name, one.output(), two.output());
      double[] least = {Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY};
      ModelRunner[] files = {one, two};
      long start = System.nanoTime();
      for (int round = 0; round < FEWEST_ROUNDS || System.nanoTime() - start < enough; ++round) {
        for (int turn = 0; turn < 2; ++turn) {
          int file = (turn + round) % 2;
          least[file] = Math.min(least[file], mean(files[file], runs[file]) / NANOSECONDS);
        }
      }
      return least;
    }
  }

  private static void fill(ModelRunner file) {
    Random random = new Random(SEED);
    float[] values = new float[file.inputValues()];
    for (int i = 0; i < values.length; ++i) values[i] = (float) random.nextGaussian();
    file.setInput(values);
  }

  private long runsOfASample(ModelRunner file) {
    long start = System.nanoTime(), fastest = Long.MAX_VALUE;
    do {
      fastest = Math.min(fastest, file.run());
    } while (System.nanoTime() - start < warmUp);
    return Math.max(1, (sample + fastest - 1) / Math.max(1, fastest));
  }

  private static double mean(ModelRunner file, long runs) {
    long sum = 0;
    for (long run = 0; run < runs; ++run) sum += file.run();
    return (double) sum / runs;
  }

  private static void check(String name, float[] expected, float[] found) {
    double error = Agreement.relativeError(expected, found);
    if (error <= TOLERANCE) return;
    throw new DemoException(
        "The answers of "
            + name
            + " differ, by "
            + error
            + " of the largest: nothing is written. Please report this with the name of the device.");
  }
}
