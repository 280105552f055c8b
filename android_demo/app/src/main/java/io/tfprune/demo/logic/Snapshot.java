// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

/** What the screen shows at one moment. Unchangeable. */
public final class Snapshot {
  public final LatencySummary dense;
  public final LatencySummary pruned;
  public final Answer denseAnswer;
  public final Answer prunedAnswer;
  public final Agreement agreement;
  /** Milliseconds of the dense and of the pruned model, the oldest first. */
  public final float[][] points;

  public Snapshot(
      LatencySummary dense,
      LatencySummary pruned,
      Answer denseAnswer,
      Answer prunedAnswer,
      Agreement agreement,
      float[][] points) {
    this.dense = dense;
    this.pruned = pruned;
    this.denseAnswer = denseAnswer;
    this.prunedAnswer = prunedAnswer;
    this.agreement = agreement;
    this.points = points;
  }

  /** How many times faster the pruned model is, by the medians; NaN while either warms up. */
  public double speedup() {
    return dense.median / pruned.median;
  }
}
