// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import org.json.JSONException;
import org.json.JSONObject;

/** The report that is shared: what was measured, on what, with which files. */
public final class RunReport {
  private static final int FORMAT = 1;
  private static final double DIGITS = 1e4; // of a millisecond: a tenth of a microsecond

  private RunReport() {}

  public static String of(Catalog catalog, Settings settings, Device device, Snapshot found, String date) {
    try {
      return new JSONObject()
          .put("format", FORMAT)
          .put("date", date)
          .put("network", catalog.name)
          .put("trained", catalog.trained)
          .put("device", device.toJson())
          .put("backend", settings.gpu ? "gpu" : "cpu")
          .put("num_threads", settings.threads)
          .put("dense", model(catalog.dense, found.dense))
          .put("pruned", model(catalog.pruned, found.pruned))
          .put("speedup", found.speedup() > 0 ? (Object) rounded(found.speedup()) : JSONObject.NULL)
          .put("agreement", agreement(found.agreement))
          .toString(2);
    } catch (JSONException error) {
      throw new DemoException("The report cannot be written: " + error.getMessage() + ".", error);
    }
  }

  private static JSONObject model(Catalog.Model model, LatencySummary times) throws JSONException {
    return new JSONObject()
        .put("file", model.file.name)
        .put("bytes", model.file.bytes)
        .put("sha256", model.file.sha256)
        .put("test_accuracy", number(model.accuracy))
        .put("median_ms", number(times.median))
        .put("p90_ms", number(times.p90))
        .put("frames_per_second", number(times.framesPerSecond()))
        .put("runs", times.runs);
  }

  private static JSONObject agreement(Agreement agreement) throws JSONException {
    return new JSONObject()
        .put("inputs", agreement.inputs())
        .put("same_class", agreement.sameClass())
        // In all its digits: errors are small.
        .put("worst_relative_error", finite(agreement.worst()) ? (Object) agreement.worst() : JSONObject.NULL);
  }

  private static Object number(double value) {
    return finite(value) ? (Object) rounded(value) : JSONObject.NULL;
  }

  /** JSON has nothing else. */
  private static boolean finite(double value) {
    return !Double.isNaN(value) && !Double.isInfinite(value);
  }

  private static double rounded(double value) {
    return Math.round(value * DIGITS) / DIGITS;
  }
}
