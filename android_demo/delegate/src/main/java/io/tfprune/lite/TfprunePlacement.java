// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Where a delegate with a backend other than CPU runs the operators of its graphs, and why. */
public final class TfprunePlacement {
  /** Where one operator runs. */
  public static final class Node {
    private final int graph;
    private final int node;
    private final boolean onGpu;
    private final String reason;

    private Node(int graph, int node, boolean onGpu, String reason) {
      this.graph = graph;
      this.node = node;
      this.onGpu = onGpu;
      this.reason = reason;
    }

    /** The graph, numbered as the delegate saw them. */
    public int graph() {
      return graph;
    }

    /** The place among the operators of the graph. */
    public int node() {
      return node;
    }

    public boolean onGpu() {
      return onGpu;
    }

    /** Why it runs where it does; may be empty for the GPU. */
    public String reason() {
      return reason;
    }

    @Override
    public String toString() {
      return "node " + node + ": " + (onGpu ? "GPU" : "CPU") + (reason.isEmpty() ? "" : ", " + reason);
    }
  }

  private String device;
  private String problem;
  private String cacheProblem;
  private final List<Node> nodes = new ArrayList<>();

  private TfprunePlacement() {}

  /** Name and driver of the GPU; null where none is used. */
  public String device() {
    return device;
  }

  /** Why no GPU is used; null where one is. */
  public String problem() {
    return problem;
  }

  /** Why compiled programs are not kept in the cache directory; null where nothing went wrong. */
  public String cacheProblem() {
    return cacheProblem;
  }

  /** The operators of all graphs. Of very many, the first are forgotten. */
  public List<Node> nodes() {
    return Collections.unmodifiableList(nodes);
  }

  static TfprunePlacement parse(String text) {
    TfprunePlacement placement = new TfprunePlacement();
    for (String line : text.split("\n")) {
      if (!line.isEmpty()) placement.add(line.split("\t", -1), line);
    }
    return placement;
  }

  private void add(String[] fields, String line) {
    if (fields.length == 4) {
      int graph = Integer.parseInt(fields[0]), node = Integer.parseInt(fields[1]);
      nodes.add(new Node(graph, node, fields[2].equals("gpu"), fields[3]));
    } else if (fields.length == 2 && fields[0].equals("@")) {
      device = fields[1];
    } else if (fields.length == 2 && fields[0].equals("#")) {
      problem = fields[1];
    } else if (fields.length == 2 && fields[0].equals("!")) {
      cacheProblem = fields[1];
    } else {
      throw new IllegalStateException("tfprune: a line of a placement has another form, got `" + line + "`");
    }
  }
}
