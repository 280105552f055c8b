// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.nio.ByteBuffer;

/** An image of luminances from 0 (black) to 255 (white), row by row. Unchangeable. */
public final class GreyImage {
  private static final float WHITE = 255;

  private final int width;
  private final int height;
  private final float[] values;

  private GreyImage(int width, int height, float[] values) {
    this.width = width;
    this.height = height;
    this.values = values;
  }

  /** From pixels of alpha, red, green and blue; what is transparent is black. */
  public static GreyImage ofArgb(int[] pixels, int width, int height) {
    float[] values = new float[width * height];
    for (int i = 0; i < values.length; ++i) {
      int pixel = pixels[i];
      float luminance = 0.299f * (pixel >> 16 & 255) + 0.587f * (pixel >> 8 & 255) + 0.114f * (pixel & 255);
      values[i] = luminance * (pixel >>> 24) / 255;
    }
    return new GreyImage(width, height, values);
  }

  /** From the luminance plane of a camera's YUV frame, whose rows and pixels may have gaps between them. */
  public static GreyImage ofPlane(ByteBuffer plane, int width, int height, int rowStride, int pixelStride) {
    float[] values = new float[width * height];
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) values[y * width + x] = plane.get(y * rowStride + x * pixelStride) & 255;
    }
    return new GreyImage(width, height, values);
  }

  /** The largest square in the middle. */
  public GreyImage centreSquare() {
    int size = Math.min(width, height), left = (width - size) / 2, top = (height - size) / 2;
    float[] square = new float[size * size];
    for (int y = 0; y < size; ++y) System.arraycopy(values, (top + y) * width + left, square, y * size, size);
    return new GreyImage(size, size, square);
  }

  /** Turned clockwise by a multiple of 90 degrees, as a camera's sensor is mounted. */
  public GreyImage turned(int degrees) {
    if (degrees % 90 != 0) throw new IllegalArgumentException("GreyImage: turns are multiples of 90, got " + degrees);
    GreyImage image = this;
    for (int turns = Math.floorMod(degrees / 90, 4); turns > 0; --turns) image = image.turnedOnce();
    return image;
  }

  private GreyImage turnedOnce() {
    float[] turned = new float[values.length];
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) turned[x * height + height - 1 - y] = values[y * width + x];
    }
    return new GreyImage(height, width, turned);
  }

  /** In another size; every new pixel is the mean of the area that it covers. */
  public GreyImage resized(int newWidth, int newHeight) {
    float[] resized = new float[newWidth * newHeight];
    double stepX = (double) width / newWidth, stepY = (double) height / newHeight;
    for (int y = 0; y < newHeight; ++y) {
      for (int x = 0; x < newWidth; ++x) {
        resized[y * newWidth + x] = mean(x * stepX, (x + 1) * stepX, y * stepY, (y + 1) * stepY);
      }
    }
    return new GreyImage(newWidth, newHeight, resized);
  }

  private float mean(double left, double right, double top, double bottom) {
    double sum = 0, area = 0;
    for (int y = (int) top; y < Math.min(height, Math.ceil(bottom)); ++y) {
      double rows = Math.min(y + 1, bottom) - Math.max(y, top);
      for (int x = (int) left; x < Math.min(width, Math.ceil(right)); ++x) {
        double part = rows * (Math.min(x + 1, right) - Math.max(x, left));
        sum += part * values[y * width + x];
        area += part;
      }
    }
    return (float) (sum / area);
  }

  /** Bright on dark, as the training images are: turned to its negative where the border is brighter than the rest. */
  public GreyImage onDark() {
    double border = 0, inside = 0;
    int borderPixels = 0;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        if (x == 0 || y == 0 || x == width - 1 || y == height - 1) {
          border += values[y * width + x];
          ++borderPixels;
        } else {
          inside += values[y * width + x];
        }
      }
    }
    int insidePixels = values.length - borderPixels;
    boolean bright = insidePixels > 0 && border / borderPixels > inside / insidePixels;
    return bright ? negative() : this;
  }

  private GreyImage negative() {
    float[] negative = new float[values.length];
    for (int i = 0; i < values.length; ++i) negative[i] = WHITE - values[i];
    return new GreyImage(width, height, negative);
  }

  /** What a model that was trained on images of this mean and spread wants. */
  public float[] standardised(float mean, float spread) {
    float[] standardised = new float[values.length];
    for (int i = 0; i < values.length; ++i) standardised[i] = (values[i] - mean) / spread;
    return standardised;
  }

  /** Opaque pixels, to be shown. */
  public int[] toArgb() {
    int[] pixels = new int[values.length];
    for (int i = 0; i < values.length; ++i) {
      int grey = Math.max(0, Math.min(255, Math.round(values[i])));
      pixels[i] = 255 << 24 | grey << 16 | grey << 8 | grey;
    }
    return pixels;
  }

  public int width() {
    return width;
  }

  public int height() {
    return height;
  }
}
