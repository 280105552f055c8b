// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.profile;

import java.util.ArrayList;
import java.util.List;

/** What layers and operators took, in microseconds, beside what the packaged table predicts in its own unit. */
public final class Measured {
  /** One layer; the call of a model is no part of its times. */
  public static final class Layer {
    public final ProfilePlan.Layer plan;
    public final double dense;
    public final double sparse;

    Layer(ProfilePlan.Layer plan, double dense, double sparse) {
      this.plan = plan;
      this.dense = dense;
      this.sparse = sparse;
    }

    public double speedup() {
      return dense / sparse;
    }

    double denseRatio() {
      return dense / plan.densePredicted;
    }

    double sparseRatio() {
      return sparse / plan.sparsePredicted;
    }
  }

  /** One operator as it runs inside a network. */
  public static final class Operator {
    public final ProfilePlan.Operator plan;
    public final double time;

    Operator(ProfilePlan.Operator plan, double time) {
      this.plan = plan;
      this.time = time;
    }

    double ratio() {
      return time / plan.predicted;
    }
  }

  private final ProfilePlan plan;
  private final List<Layer> layers = new ArrayList<>();
  private final List<Operator> operators = new ArrayList<>();
  private double call;

  public Measured(ProfilePlan plan) {
    this.plan = plan;
  }

  /** What a file of the smallest operator takes, and a row of them: the rest of the former is the call. */
  public void setCall(double one, double row) {
    call = Math.max(0, one - Math.max(0, (row - one) / (plan.call.count - 1)));
  }

  public Layer add(ProfilePlan.Layer layer, double dense, double sparse) {
    Layer added = new Layer(layer, withoutCall(dense), withoutCall(sparse));
    layers.add(added);
    return added;
  }

  private double withoutCall(double time) {
    return Math.max(time - call, plan.leastShare * time);
  }

  /** An operator whose row takes no longer than one of it is left out: no clock could tell. */
  public void add(ProfilePlan.Operator operator, double one, double row) {
    if (row > one) operators.add(new Operator(operator, (row - one) / (operator.count - 1)));
  }

  public ProfilePlan plan() {
    return plan;
  }

  public List<Layer> layers() {
    return layers;
  }

  public List<Operator> operators() {
    return operators;
  }
}
