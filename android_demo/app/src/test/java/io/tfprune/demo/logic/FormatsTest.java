// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import org.junit.Test;

public final class FormatsTest {
  @Test
  public void numbersHaveAsManyDigitsAsSaySomething() {
    assertEquals("0.62 ms", Formats.milliseconds(0.6213));
    assertEquals("12.3 ms", Formats.milliseconds(12.345));
    assertEquals("123 ms", Formats.milliseconds(123.45));
    assertEquals("–", Formats.milliseconds(Double.NaN));
    assertEquals("0.2 ms", Formats.axis(0.2));
    assertEquals("40 ms", Formats.axis(40));
    assertEquals("65 %", Formats.wholePercent(0.6526));
    assertEquals("0.31 µs", Formats.microseconds(0.314));
    assertEquals("3.1 µs", Formats.microseconds(3.14));
    assertEquals("1,234 µs", Formats.microseconds(1234.4));
    assertEquals("258 kB", Formats.bytes(258_184));
    assertEquals("1.09 MB", Formats.bytes(1_093_792));
    assertEquals("90.1 %", Formats.percent(0.9012));
    assertEquals("–", Formats.percent(Double.NaN));
    assertEquals("1,613 frames/s", Formats.framesPerSecond(1613.2));
    assertEquals("1,234", Formats.count(1234));
    assertEquals("2.1×", Formats.times(2.13));
    assertEquals("13×", Formats.times(13.1));
    assertEquals("0", Formats.error(0));
    assertEquals("2e-07", Formats.error(2.2e-7));
  }

  @Test
  public void aPointOfTheHistoryIsTheMedianOfAnInterval() {
    History history = new History(2);
    history.endInterval();
    assertEquals(0, history.points().length);
    history.add(2_000_000, 1_000_000);
    history.add(3_000_000, 2_000_000);
    history.add(90_000_000, 90_000_000);
    history.endInterval();
    assertArrayEquals(new float[] {3, 2}, history.points()[0], 1e-6f);
    for (int i = 0; i < 2; ++i) {
      history.add(8_000_000, 8_000_000);
      history.endInterval();
    }
    assertEquals(2, history.points().length);
    assertArrayEquals(new float[] {8, 8}, history.points()[0], 1e-6f);
  }

  @Test
  public void errorsWithoutAMessageSayWhatTheyAre() {
    assertEquals("NullPointerException", DemoException.sentence(new NullPointerException()));
    assertEquals("It is so.", DemoException.sentence(new DemoException("It is so.")));
  }

  @Test
  public void settingsAreSaidInWords() {
    assertEquals("CPU, 1 thread", new Settings(false, 1).toString());
    assertEquals("CPU, 4 threads", new Settings(false, 4).toString());
    assertEquals("GPU", new Settings(true, 4).toString());
  }
}
