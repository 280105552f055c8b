// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.profile;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.json.JSONException;
import org.json.JSONObject;

/** Relative errors of predictions, each from what was measured besides. */
public final class HeldOut {
  private final List<Double> errors;

  private HeldOut(List<Double> errors) {
    this.errors = errors;
    Collections.sort(errors);
  }

  /** Errors of the speed-ups of layers, each predicted from the other layers of its kind. */
  public static HeldOut ofLayers(List<Measured.Layer> layers) {
    List<Double> errors = new ArrayList<>();
    for (Measured.Layer left : layers) {
      double dense = Scales.dense(layers, each -> each != left && each.plan.kind.equals(left.plan.kind));
      double sparse = Scales.sparse(layers, each -> each != left && each.plan.kind.equals(left.plan.kind));
      double predicted = dense * left.plan.densePredicted / (sparse * left.plan.sparsePredicted);
      if (!Double.isNaN(predicted)) errors.add(Math.abs(predicted / left.speedup() - 1));
    }
    return new HeldOut(errors);
  }

  /** Errors of the times of operators, each predicted from the others of its name. */
  public static HeldOut ofOperators(List<Measured.Operator> operators) {
    List<Double> errors = new ArrayList<>();
    for (Measured.Operator left : operators) {
      double scale =
          Scales.operator(operators, each -> each != left && each.plan.operator.equals(left.plan.operator));
      if (!Double.isNaN(scale)) errors.add(Math.abs(scale * left.plan.predicted / left.time - 1));
    }
    return new HeldOut(errors);
  }

  public int count() {
    return errors.size();
  }

  /** The error that a share of the predictions stays within, as numpy's quantiles are; of none NaN. */
  public double quantile(double share) {
    if (errors.isEmpty()) return Double.NaN;
    double place = share * (errors.size() - 1);
    int below = (int) place, above = Math.min(below + 1, errors.size() - 1);
    return errors.get(below) + (place - below) * (errors.get(above) - errors.get(below));
  }

  JSONObject toJson() throws JSONException {
    return new JSONObject()
        .put("count", count())
        .put("median", ProfileTable.rounded(quantile(0.5)))
        .put("within_90", ProfileTable.rounded(quantile(0.9)));
  }
}
