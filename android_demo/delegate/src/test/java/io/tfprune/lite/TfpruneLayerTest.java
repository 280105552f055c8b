// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.List;
import org.junit.Test;

public final class TfpruneLayerTest {
  private static final String LINE = "3\t17\trow_band/neon\t1500\t2\ttile 32, timed\t4096\t0\t64";

  @Test
  public void aLineIsALayer() {
    List<TfpruneLayer> layers = TfpruneLayer.parse(LINE + "\n4\t18\tpool/neon\t0\t0\t\t0\t0\t0\n#\tthe cache is damaged\n");
    assertEquals(2, layers.size());
    TfpruneLayer layer = layers.get(0);
    assertEquals(3, layer.op());
    assertEquals(17, layer.node());
    assertEquals("row_band/neon", layer.kernel());
    assertEquals(1500, layer.nanoseconds());
    assertEquals(2, layer.runs());
    assertEquals("tile 32, timed", layer.tuning());
    assertEquals(4096, layer.weightsInPlace());
    assertEquals(0, layer.weightsRepacked());
    assertEquals(64, layer.offsetBytes());
    assertEquals("node 17: row_band/neon", layer.toString());
    assertEquals("", layers.get(1).tuning());
  }

  @Test
  public void theProblemIsWhatFollowsItsMark() {
    assertEquals("the cache is damaged", TfpruneLayer.tuningProblem(LINE + "\n#\tthe cache is damaged\n"));
    assertNull(TfpruneLayer.tuningProblem(LINE + "\n"));
  }

  @Test
  public void noTextIsNoLayer() {
    assertTrue(TfpruneLayer.parse("").isEmpty());
  }

  @Test
  public void aLineOfAnotherFormIsRefused() {
    assertThrows(IllegalStateException.class, () -> TfpruneLayer.parse(LINE + "\tmore\n"));
  }
}
