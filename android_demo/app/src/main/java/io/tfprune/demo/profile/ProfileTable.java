// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.profile;

import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Device;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * The latency profile: the packaged table with each of its parts scaled to this device, in the format of tfprune's cost
 * tables. Parts are the dense and the sparse costs of each kind of layer, and each other operator.
 */
public final class ProfileTable {
  private static final String UNIT = "microseconds";
  private static final String DENSE = "dense_";
  private static final MathContext DIGITS = new MathContext(4);

  private ProfileTable() {}

  /**
   * @param threads CPU threads that everything was measured with.
   * @param library the first 16 digits of libtfprune's SHA-256; null where it is not known.
   * @param date year, month and day.
   * @throws DemoException a kind of layer was not measured.
   */
  public static String of(Measured found, Device device, int threads, String library, String date) {
    try {
      JSONObject table = found.plan().table();
      table.put("name", "phone").put("unit", UNIT).put("general", false).put("cache_bytes", JSONObject.NULL);
      table.put("device", facts(device, threads, library, date));
      JSONObject costs = table.getJSONObject("precisions").getJSONObject(found.plan().precision);
      costs.put("source", source(found, device, threads, costs.getString("source"))).put("held_out", errors(found));
      scaleKinds(costs.getJSONObject("kinds"), found);
      scaleOperators(costs.getJSONObject("stock_ops"), found);
      return table.toString(2) + "\n";
    } catch (JSONException error) {
      throw new DemoException("The profile cannot be written: " + error.getMessage() + ".", error);
    }
  }

  private static JSONObject facts(Device device, int threads, String library, String date) throws JSONException {
    return new JSONObject()
        .put("target", "app")
        .put("processor", device.model + ", " + device.processor)
        .put("cores", device.cores)
        .put("system", device.system)
        .put("backend", "cpu")
        .put("num_threads", threads)
        .put("litert", device.runtime)
        .put("libtfprune", device.tfprune)
        .put("arch", device.kernels)
        .put("library_sha256", library == null ? JSONObject.NULL : library)
        .put("date", date);
  }

  private static String source(Measured found, Device device, int threads, String scaled) {
    return "tfprune's Android app: the packaged table scaled, part by part, to "
        + found.layers().size()
        + " layers and "
        + found.operators().size()
        + " other operators on "
        + device.model
        + ", TensorFlow Lite "
        + device.runtime
        + ", threads "
        + threads
        + "; the packaged table: "
        + scaled;
  }

  private static JSONObject errors(Measured found) throws JSONException {
    JSONObject errors = new JSONObject();
    HeldOut layers = HeldOut.ofLayers(found.layers()), operators = HeldOut.ofOperators(found.operators());
    if (layers.count() > 0) errors.put("layers", layers.toJson());
    if (operators.count() > 0) errors.put("stock_ops", operators.toJson());
    return errors;
  }

  private static void scaleKinds(JSONObject kinds, Measured found) throws JSONException {
    for (String kind : names(kinds)) {
      double dense = Scales.dense(found.layers(), layer -> layer.plan.kind.equals(kind));
      double sparse = Scales.sparse(found.layers(), layer -> layer.plan.kind.equals(kind));
      if (Double.isNaN(dense)) {
        throw new DemoException("No layer of the kind " + kind + " was measured: make the models anew.");
      }
      JSONObject costs = kinds.getJSONObject(kind);
      for (String name : names(costs)) scale(costs, name, name.startsWith(DENSE) ? dense : sparse);
    }
  }

  /** What was not measured is scaled as the others in the middle, operators of chains as sparse convolutions. */
  private static void scaleOperators(JSONObject operators, Measured found) throws JSONException {
    double all = Scales.operator(found.operators(), operator -> true);
    double chains = Scales.sparse(found.layers(), layer -> layer.plan.kind.startsWith("conv"));
    if (Double.isNaN(all)) throw new DemoException("No operator was measured: make the models anew.");
    for (String name : names(operators)) {
      double own = Scales.operator(found.operators(), operator -> operator.plan.operator.equals(name));
      double other = found.plan().chainOperators.contains(name) ? chains : all;
      scale(operators, name, Double.isNaN(own) ? other : own);
    }
  }

  /** A number, or all numbers of an object. */
  private static void scale(JSONObject holder, String name, double factor) throws JSONException {
    Object value = holder.get(name);
    if (value instanceof JSONObject) {
      for (String inner : names((JSONObject) value)) scale((JSONObject) value, inner, factor);
    } else {
      holder.put(name, rounded(holder.getDouble(name) * factor));
    }
  }

  private static List<String> names(JSONObject object) throws JSONException {
    List<String> names = new ArrayList<>();
    JSONArray found = object.names();
    for (int i = 0; found != null && i < found.length(); ++i) names.add(found.getString(i));
    return names;
  }

  /** In as many digits as tables have. */
  static double rounded(double value) {
    return new BigDecimal(value).round(DIGITS).doubleValue();
  }
}
