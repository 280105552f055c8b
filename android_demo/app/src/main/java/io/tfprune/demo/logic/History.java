// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.util.ArrayDeque;
import java.util.Deque;

/** Times of both models over the last while, a point for each short interval. Not for several threads at once. */
public final class History {
  private final int most;
  private final Deque<float[]> points = new ArrayDeque<>();
  private double denseSum;
  private double prunedSum;
  private int runs;

  /**
   * @param most points that are kept.
   */
  public History(int most) {
    this.most = most;
  }

  public void add(long denseNanoseconds, long prunedNanoseconds) {
    denseSum += denseNanoseconds / 1e6;
    prunedSum += prunedNanoseconds / 1e6;
    ++runs;
  }

  /** Ends an interval, whose point is its mean; one without runs has none. */
  public void endInterval() {
    if (runs == 0) return;
    points.addLast(new float[] {(float) (denseSum / runs), (float) (prunedSum / runs)});
    if (points.size() > most) points.removeFirst();
    denseSum = prunedSum = runs = 0;
  }

  /** Milliseconds of the dense and of the pruned model, the oldest first. */
  public float[][] points() {
    return points.toArray(new float[0][]);
  }
}
