// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.profile;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Predicate;

/** How much longer than predicted parts of the table take here: medians, which single disturbances leave alone. */
final class Scales {
  private Scales() {}

  static double dense(List<Measured.Layer> layers, Predicate<Measured.Layer> which) {
    List<Double> ratios = new ArrayList<>();
    for (Measured.Layer layer : layers) {
      if (which.test(layer)) ratios.add(layer.denseRatio());
    }
    return median(ratios);
  }

  static double sparse(List<Measured.Layer> layers, Predicate<Measured.Layer> which) {
    List<Double> ratios = new ArrayList<>();
    for (Measured.Layer layer : layers) {
      if (which.test(layer)) ratios.add(layer.sparseRatio());
    }
    return median(ratios);
  }

  static double operator(List<Measured.Operator> operators, Predicate<Measured.Operator> which) {
    List<Double> ratios = new ArrayList<>();
    for (Measured.Operator operator : operators) {
      if (which.test(operator)) ratios.add(operator.ratio());
    }
    return median(ratios);
  }

  /** The middle one, or the geometric mean of the middle two, because they are ratios; NaN of none. */
  static double median(List<Double> ratios) {
    if (ratios.isEmpty()) return Double.NaN;
    List<Double> sorted = new ArrayList<>(ratios);
    Collections.sort(sorted);
    int middle = sorted.size() / 2;
    if (sorted.size() % 2 == 1) return sorted.get(middle);
    return Math.sqrt(sorted.get(middle - 1) * sorted.get(middle));
  }
}
