// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.util.Arrays;

/** Times of the last runs after a warm-up. Not for several threads at once. */
public final class Latencies {
  private static final double NANOSECONDS = 1e6; // in a millisecond

  private final int warmUpRuns;
  private final long[] last;
  private long runs;

  /**
   * @param warmUpRuns how many runs come first and do not count: caches, clocks and memory settle meanwhile.
   * @param kept how many of the last runs the quantiles are of.
   */
  public Latencies(int warmUpRuns, int kept) {
    if (warmUpRuns < 0 || kept < 1) {
      throw new IllegalArgumentException(
          "Latencies: the warm-up must be at least 0 runs and one must be kept, got " + warmUpRuns + " and " + kept);
    }
    this.warmUpRuns = warmUpRuns;
    this.last = new long[kept];
  }

  public void add(long nanoseconds) {
    if (runs >= warmUpRuns) last[(int) ((runs - warmUpRuns) % last.length)] = nanoseconds;
    ++runs;
  }

  /** Runs that count. */
  public long count() {
    return Math.max(0, runs - warmUpRuns);
  }

  public boolean warmingUp() {
    return count() == 0;
  }

  /**
   * The time, in milliseconds, that a share of the runs stays within: between two runs on the straight line from one to
   * the other, as numpy's quantiles are. NaN during the warm-up.
   */
  public double quantile(double share) {
    if (!(share >= 0 && share <= 1)) {
      throw new IllegalArgumentException("Latencies: a share is from 0 to 1, got " + share);
    }
    int size = (int) Math.min(count(), last.length);
    if (size == 0) return Double.NaN;
    long[] sorted = Arrays.copyOf(last, size);
    Arrays.sort(sorted);
    double place = share * (size - 1);
    int below = (int) place;
    int above = Math.min(below + 1, size - 1);
    return (sorted[below] + (place - below) * (sorted[above] - sorted[below])) / NANOSECONDS;
  }

  public double median() {
    return quantile(0.5);
  }

  public double p90() {
    return quantile(0.9);
  }
}
