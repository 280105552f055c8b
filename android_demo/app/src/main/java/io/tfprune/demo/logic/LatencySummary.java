// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

/** What is shown of a model's times; NaN while it warms up. */
public final class LatencySummary {
  /** A frame of a video of 30 frames a second lasts so many milliseconds. */
  public static final double REAL_TIME = 1000.0 / 30;

  public final double median;
  public final double p90;
  public final long runs;

  public LatencySummary(Latencies times) {
    median = times.median();
    p90 = times.p90();
    runs = times.count();
  }

  /** How many frames a second the model alone could classify. */
  public double framesPerSecond() {
    return 1000 / median;
  }

  /** The share of a frame's time that the model takes: above 1 it does not keep up with a video. */
  public double shareOfRealTime() {
    return median / REAL_TIME;
  }

  public boolean known() {
    return !Double.isNaN(median);
  }
}
