// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Locale;

/** Numbers as the screens show them; what is not known yet is a dash. */
public final class Formats {
  private static final String UNKNOWN = "–";
  private static final double MEGABYTE = 1e6;
  private static final double KILOBYTE = 1e3;

  private Formats() {}

  /** Three digits of a time in milliseconds. */
  public static String milliseconds(double value) {
    if (Double.isNaN(value)) return UNKNOWN;
    return String.format(Locale.US, value < 10 ? "%.2f ms" : value < 100 ? "%.1f ms" : "%.0f ms", value);
  }

  /** A time in milliseconds beside an axis, as short as it can be said. */
  public static String axis(double value) {
    return new DecimalFormat("0.####", DecimalFormatSymbols.getInstance(Locale.US)).format(value) + " ms";
  }

  public static String microseconds(double value) {
    return String.format(Locale.US, value < 1 ? "%.2f µs" : value < 10 ? "%.1f µs" : "%,.0f µs", value);
  }

  public static String bytes(long value) {
    if (value < MEGABYTE) return String.format(Locale.US, "%.0f kB", value / KILOBYTE);
    return String.format(Locale.US, "%.2f MB", value / MEGABYTE);
  }

  public static String percent(double share) {
    return Double.isNaN(share) ? UNKNOWN : String.format(Locale.US, "%.1f %%", 100 * share);
  }

  /** Of what is rough itself. */
  public static String wholePercent(double share) {
    return Double.isNaN(share) ? UNKNOWN : String.format(Locale.US, "%.0f %%", 100 * share);
  }

  public static String framesPerSecond(double value) {
    return Double.isNaN(value) ? UNKNOWN : String.format(Locale.US, "%,.0f frames/s", value);
  }

  public static String count(long value) {
    return String.format(Locale.US, "%,d", value);
  }

  /** How many times: two digits are enough below ten. */
  public static String times(double value) {
    return Double.isNaN(value) ? UNKNOWN : String.format(Locale.US, value < 10 ? "%.1f×" : "%.0f×", value);
  }

  /** A small relative error. */
  public static String error(double value) {
    return value == 0 ? "0" : String.format(Locale.US, "%.0e", value);
  }
}
