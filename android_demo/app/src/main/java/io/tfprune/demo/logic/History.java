// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.util.ArrayDeque;
import java.util.Deque;

/** Times of both models over the last while, a point for each short interval. Not for several threads at once. */
public final class History {
  private static final int KEPT_RUNS = 256; // of an interval

  private final int most;
  private final Deque<float[]> points = new ArrayDeque<>();
  private Latencies dense;
  private Latencies pruned;

  /**
   * @param most points that are kept.
   */
  public History(int most) {
    this.most = most;
    beginInterval();
  }

  public void add(long denseNanoseconds, long prunedNanoseconds) {
    dense.add(denseNanoseconds);
    pruned.add(prunedNanoseconds);
  }

  /** Ends an interval, whose point are its medians; one without runs has none. */
  public void endInterval() {
    if (dense.count() == 0) return;
    points.addLast(new float[] {(float) dense.median(), (float) pruned.median()});
    if (points.size() > most) points.removeFirst();
    beginInterval();
  }

  private void beginInterval() {
    dense = new Latencies(0, KEPT_RUNS);
    pruned = new Latencies(0, KEPT_RUNS);
  }

  /** Milliseconds of the dense and of the pruned model, the oldest first. */
  public float[][] points() {
    return points.toArray(new float[0][]);
  }
}
