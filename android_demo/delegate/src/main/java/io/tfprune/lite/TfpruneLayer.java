// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** One layer that a delegate runs. */
public final class TfpruneLayer {
  private static final int FIELDS = 9;
  private static final String PROBLEM = "#";

  private final String[] fields;

  private TfpruneLayer(String[] fields) {
    this.fields = fields;
  }

  /** The number of the delegate's op; layers of one chain share it. */
  public int op() {
    return Integer.parseInt(fields[0]);
  }

  /** The layer's place among the operators of its graph. */
  public int node() {
    return Integer.parseInt(fields[1]);
  }

  /** The kernel, such as {@code "row_band/neon"}. */
  public String kernel() {
    return fields[2];
  }

  /** The time of all runs together; 0 without profiling. */
  public long nanoseconds() {
    return Long.parseLong(fields[3]);
  }

  /** How often it ran; 0 for layers on the CPU without profiling. */
  public long runs() {
    return Long.parseLong(fields[4]);
  }

  /** What tuning chose, and whether it was timed now or came from the cache; empty where nothing was tuned. */
  public String tuning() {
    return fields[5];
  }

  /** Bytes of weights that the kernel reads where they lie in the file. */
  public long weightsInPlace() {
    return Long.parseLong(fields[6]);
  }

  /** Bytes of weights that were copied, widened or reordered when the layer was prepared. */
  public long weightsRepacked() {
    return Long.parseLong(fields[7]);
  }

  /** Bytes of addresses made from the columns of the weights, anew for every shape of the input. */
  public long offsetBytes() {
    return Long.parseLong(fields[8]);
  }

  @Override
  public String toString() {
    return "node " + node() + ": " + kernel();
  }

  static List<TfpruneLayer> parse(String text) {
    List<TfpruneLayer> layers = new ArrayList<>();
    for (String line : text.split("\n")) {
      String[] fields = line.split("\t", -1);
      if (line.isEmpty() || fields[0].equals(PROBLEM)) continue;
      if (fields.length != FIELDS) {
        throw new IllegalStateException("tfprune: a layer has " + FIELDS + " fields, got `" + line + "`");
      }
      layers.add(new TfpruneLayer(fields));
    }
    return Collections.unmodifiableList(layers);
  }

  /** What went wrong with the file that keeps what was tuned, which is said after the layers; null where nothing did. */
  static String tuningProblem(String text) {
    for (String line : text.split("\n")) {
      if (line.startsWith(PROBLEM + "\t")) return line.substring(2);
    }
    return null;
  }
}
