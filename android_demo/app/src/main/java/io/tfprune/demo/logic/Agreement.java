// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

/** How far two models agree on the inputs that both saw. Not for several threads at once. */
public final class Agreement {
  private long inputs;
  private long sameClass;
  private double worst;

  public void add(float[] dense, float[] pruned) {
    if (dense.length != pruned.length) {
      throw new DemoException(
          "The two models must know equally many classes, got " + dense.length + " and " + pruned.length + ".");
    }
    ++inputs;
    if (Answer.argMax(dense) == Answer.argMax(pruned)) ++sameClass;
    worst = worse(relativeError(dense, pruned), worst);
  }

  /** The largest difference, by the largest magnitude of the first. */
  public static double relativeError(float[] expected, float[] found) {
    double difference = 0, magnitude = 0;
    for (int i = 0; i < expected.length; ++i) {
      difference = worse(Math.abs((double) found[i] - expected[i]), difference);
      magnitude = Math.max(magnitude, Math.abs(expected[i]));
    }
    return difference == 0 ? 0 : difference / magnitude;
  }

  /** Not a number is worse than every number. */
  private static double worse(double one, double other) {
    return Double.isNaN(one) || one > other ? one : other;
  }

  public long inputs() {
    return inputs;
  }

  public long sameClass() {
    return sameClass;
  }

  /** The largest relative difference of any input's scores. */
  public double worst() {
    return worst;
  }

  public Agreement copy() {
    Agreement copy = new Agreement();
    copy.inputs = inputs;
    copy.sameClass = sameClass;
    copy.worst = worst;
    return copy;
  }
}
