// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

public final class LatenciesTest {
  private static final long MILLISECOND = 1_000_000;

  private static Latencies of(int warmUp, int kept, long... milliseconds) {
    Latencies times = new Latencies(warmUp, kept);
    for (long each : milliseconds) times.add(each * MILLISECOND);
    return times;
  }

  @Test
  public void quantilesAreThoseOfNumpy() {
    Latencies times = of(0, 10, 4, 1, 3, 2);
    assertEquals(2.5, times.median(), 1e-12);
    assertEquals(3.7, times.p90(), 1e-12); // numpy.quantile([1, 2, 3, 4], 0.9)
    assertEquals(1, times.quantile(0), 0);
    assertEquals(4, times.quantile(1), 0);
  }

  @Test
  public void theWarmUpDoesNotCount() {
    Latencies times = of(2, 10, 100, 100);
    assertTrue(times.warmingUp());
    assertTrue(Double.isNaN(times.median()));
    times.add(3 * MILLISECOND);
    assertFalse(times.warmingUp());
    assertEquals(1, times.count());
    assertEquals(3, times.median(), 0);
  }

  @Test
  public void onlyTheLastRunsAreKept() {
    Latencies times = of(1, 3, 100, 9, 9, 9, 1, 2, 3);
    assertEquals(2, times.median(), 0);
    assertEquals(6, times.count());
  }

  @Test
  public void sharesAndSizesAreChecked() {
    assertThrows(IllegalArgumentException.class, () -> of(0, 1, 1).quantile(1.5));
    assertThrows(IllegalArgumentException.class, () -> of(0, 1, 1).quantile(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> new Latencies(-1, 1));
    assertThrows(IllegalArgumentException.class, () -> new Latencies(0, 0));
  }

  @Test
  public void framesASecondFollowFromTheMedian() {
    LatencySummary summary = new LatencySummary(of(0, 10, 50));
    assertEquals(20, summary.framesPerSecond(), 1e-12);
    assertEquals(1.5, summary.shareOfRealTime(), 1e-12);
    assertTrue(summary.known());
    assertFalse(new LatencySummary(of(1, 10, 50)).known());
  }
}
