// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;

import java.nio.ByteBuffer;
import org.junit.Test;

public final class GreyImageTest {
  private static GreyImage of(int width, int height, int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; ++i) bytes[i] = (byte) values[i];
    return GreyImage.ofPlane(ByteBuffer.wrap(bytes), width, height, width, 1);
  }

  private static void assertValues(GreyImage image, int width, int height, float... values) {
    assertEquals(width, image.width());
    assertEquals(height, image.height());
    assertArrayEquals(values, image.standardised(0, 1), 1e-4f);
  }

  @Test
  public void coloursBecomeLuminances() {
    int[] pixels = {0xFFFF0000, 0xFF00FF00, 0xFF0000FF, 0xFFFFFFFF, 0x00FFFFFF};
    assertValues(GreyImage.ofArgb(pixels, 5, 1), 5, 1, 0.299f * 255, 0.587f * 255, 0.114f * 255, 255, 0);
  }

  @Test
  public void planesMayHaveGaps() {
    byte[] plane = {1, 9, 2, 9, 9, 3, 9, (byte) 255};
    assertValues(GreyImage.ofPlane(ByteBuffer.wrap(plane), 2, 2, 5, 2), 2, 2, 1, 2, 3, 255);
  }

  @Test
  public void theMiddleIsCutOut() {
    assertValues(of(4, 2, 0, 1, 2, 3, 4, 5, 6, 7).centreSquare(), 2, 2, 1, 2, 5, 6);
    assertValues(of(1, 3, 7, 8, 9).centreSquare(), 1, 1, 8);
  }

  @Test
  public void turnsAreClockwise() {
    GreyImage image = of(3, 2, 1, 2, 3, 4, 5, 6);
    assertValues(image.turned(90), 2, 3, 4, 1, 5, 2, 6, 3);
    assertValues(image.turned(180), 3, 2, 6, 5, 4, 3, 2, 1);
    assertValues(image.turned(-90), 2, 3, 3, 6, 2, 5, 1, 4);
    assertSame(image, image.turned(360));
    assertThrows(IllegalArgumentException.class, () -> image.turned(45));
  }

  @Test
  public void smallerPixelsAreMeansOfTheirAreas() {
    assertValues(of(4, 2, 0, 2, 10, 20, 4, 6, 30, 40).resized(2, 1), 2, 1, 3, 25);
    // Two thirds of one pixel and a third of the next.
    assertValues(of(3, 1, 0, 30, 60).resized(2, 1), 2, 1, 10, 50);
    assertValues(of(2, 1, 10, 20).resized(4, 1), 4, 1, 10, 10, 20, 20);
  }

  @Test
  public void brightBordersAreTurnedDark() {
    assertValues(of(3, 3, 255, 255, 255, 255, 5, 255, 255, 255, 255).onDark(), 3, 3, 0, 0, 0, 0, 250, 0, 0, 0, 0);
    GreyImage dark = of(3, 3, 0, 0, 0, 0, 200, 0, 0, 0, 0);
    assertSame(dark, dark.onDark());
    GreyImage noInside = of(1, 1, 255);
    assertSame(noInside, noInside.onDark());
  }

  @Test
  public void modelsGetWhatTheyWereTrainedOn() {
    assertArrayEquals(new float[] {-2, 0.5f}, of(2, 1, 0, 50).standardised(40, 20), 1e-6f);
    assertArrayEquals(new int[] {0xFF0A0A0A}, of(1, 1, 10).toArgb());
  }
}
