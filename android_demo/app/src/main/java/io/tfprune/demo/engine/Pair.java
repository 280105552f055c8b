// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.engine;

import io.tfprune.demo.logic.Agreement;
import io.tfprune.demo.logic.Answer;
import io.tfprune.demo.logic.History;
import io.tfprune.demo.logic.Latencies;
import io.tfprune.demo.logic.LatencySummary;
import io.tfprune.demo.logic.Settings;
import io.tfprune.demo.logic.Snapshot;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.List;

/** Both models on the same inputs, in turns, with what is known of their times and answers. One thread at a time. */
public final class Pair implements AutoCloseable {
  /** Runs of each model before times count. */
  public static final int WARM_UP_RUNS = 20;

  private static final int KEPT_RUNS = 1000;
  private static final int POINTS = 120;

  private final List<String> labels;
  private final ModelRunner dense;
  private final ModelRunner pruned;
  private final Latencies denseTimes = new Latencies(WARM_UP_RUNS, KEPT_RUNS);
  private final Latencies prunedTimes = new Latencies(WARM_UP_RUNS, KEPT_RUNS);
  private final Agreement agreement = new Agreement();
  private final History history = new History(POINTS);
  private float[] denseScores;
  private float[] prunedScores;
  private boolean prunedFirst;
  private boolean newInput;

  public Pair(ByteBuffer denseModel, ByteBuffer prunedModel, List<String> labels, Settings settings, File cache) {
    this.labels = labels;
    dense = new ModelRunner(denseModel, ModelRunner.Kind.DENSE, settings, cache);
    try {
      pruned = new ModelRunner(prunedModel, ModelRunner.Kind.PRUNED, settings, cache);
    } catch (RuntimeException error) {
      dense.close();
      throw error;
    }
  }

  public void setInput(float[] values) {
    dense.setInput(values);
    pruned.setInput(values);
    newInput = true;
  }

  /** Runs each once, the other one first than the time before: who comes second finds cold caches. */
  public void run() {
    prunedFirst = !prunedFirst;
    long prunedTime = prunedFirst ? pruned.run() : 0;
    long denseTime = dense.run();
    if (!prunedFirst) prunedTime = pruned.run();
    denseTimes.add(denseTime);
    prunedTimes.add(prunedTime);
    if (!denseTimes.warmingUp()) history.add(denseTime, prunedTime);
    if (newInput) compare();
  }

  private void compare() {
    denseScores = dense.output();
    prunedScores = pruned.output();
    agreement.add(denseScores, prunedScores);
    newInput = false;
  }

  /** What is to be shown; ends an interval of the history. At least one run comes before it. */
  public Snapshot snapshot() {
    history.endInterval();
    return new Snapshot(
        new LatencySummary(denseTimes),
        new LatencySummary(prunedTimes),
        Answer.of(denseScores, labels),
        Answer.of(prunedScores, labels),
        agreement.copy(),
        history.points());
  }

  @Override
  public void close() {
    pruned.close();
    dense.close();
  }
}
