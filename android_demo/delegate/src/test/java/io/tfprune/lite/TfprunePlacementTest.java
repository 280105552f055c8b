// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public final class TfprunePlacementTest {
  @Test
  public void linesAreTheDeviceAndNodes() {
    TfprunePlacement placement =
        TfprunePlacement.parse("@\tAdreno 740, driver 1\n0\t3\tgpu\t\n1\t4\tcpu\tno kernel\n!\tthe folder is full\n");
    assertEquals("Adreno 740, driver 1", placement.device());
    assertNull(placement.problem());
    assertEquals("the folder is full", placement.cacheProblem());
    assertEquals("[node 3: GPU, node 4: CPU, no kernel]", placement.nodes().toString());
    TfprunePlacement.Node node = placement.nodes().get(1);
    assertEquals(1, node.graph());
    assertEquals(4, node.node());
    assertFalse(node.onGpu());
    assertEquals("no kernel", node.reason());
    assertTrue(placement.nodes().get(0).onGpu());
  }

  @Test
  public void withoutAGpuThereIsAProblem() {
    TfprunePlacement placement = TfprunePlacement.parse("#\tno driver\n");
    assertNull(placement.device());
    assertEquals("no driver", placement.problem());
  }

  @Test
  public void aLineOfAnotherFormIsRefused() {
    assertThrows(IllegalStateException.class, () -> TfprunePlacement.parse("0\t3\tgpu\n"));
  }
}
