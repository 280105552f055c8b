// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.engine;

import io.tfprune.demo.input.AssetFiles;
import io.tfprune.demo.profile.Measured;
import io.tfprune.demo.profile.ProfilePlan;

/** Measures everything that a plan names, on the thread that calls. */
public final class ProfileRun {
  /** Is told on that thread. */
  public interface Listener {
    /** What is measured next, and how many of all came before. */
    void onStep(int done, int of, String name);

    void onLayer(Measured.Layer layer);

    /** Asked before each step. */
    boolean stopped();
  }

  private final AssetFiles files;
  private final LayerTimer timer;
  private final Listener listener;
  private int done;

  public ProfileRun(AssetFiles files, LayerTimer timer, Listener listener) {
    this.files = files;
    this.timer = timer;
    this.listener = listener;
  }

  /** Null where it was stopped. */
  public Measured run(ProfilePlan plan) {
    Measured found = new Measured(plan);
    if (!next(plan, "the call of a model")) return null;
    double[] call = times(plan.call);
    found.setCall(call[0], call[1]);
    for (ProfilePlan.Layer layer : plan.layers) {
      if (!next(plan, layer.name)) return null;
      double[] times =
          timer.time(
              layer.name, files.content(layer.dense), files.content(layer.sparse), ModelRunner.Kind.PRUNED, true);
      listener.onLayer(found.add(layer, times[0], times[1]));
    }
    for (ProfilePlan.Operator operator : plan.operators) {
      if (!next(plan, operator.name)) return null;
      double[] times = times(operator);
      found.add(operator, times[0], times[1]);
    }
    return found;
  }

  private double[] times(ProfilePlan.Operator operator) {
    return timer.time(
        operator.name, files.content(operator.one), files.content(operator.row), ModelRunner.Kind.DENSE, false);
  }

  private boolean next(ProfilePlan plan, String name) {
    if (listener.stopped()) return false;
    listener.onStep(done++, plan.measurements(), name);
    return true;
  }
}
