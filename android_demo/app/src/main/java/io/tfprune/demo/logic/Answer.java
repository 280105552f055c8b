// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.util.List;

/** The class of the largest score, and its share after a softmax. */
public final class Answer {
  public final String label;
  public final double share;

  private Answer(String label, double share) {
    this.label = label;
    this.share = share;
  }

  public static Answer of(float[] scores, List<String> labels) {
    if (scores.length != labels.size()) {
      throw new DemoException(
          "The model answers with " + scores.length + " scores and has " + labels.size() + " labels.");
    }
    int best = argMax(scores);
    double sum = 0;
    for (float score : scores) sum += Math.exp((double) score - scores[best]);
    return new Answer(labels.get(best), 1 / sum);
  }

  static int argMax(float[] scores) {
    int best = 0;
    for (int i = 1; i < scores.length; ++i) {
      if (scores[i] > scores[best]) best = i;
    }
    return best;
  }
}
