// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.profile;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Device;
import java.util.Arrays;
import java.util.Collections;
import org.json.JSONException;
import org.json.JSONObject;
import org.junit.Test;

public final class ProfileTableTest {
  private static final Device DEVICE =
      new Device("Maker Phone", "soc", "Android 14 aarch64", 8, "neon", "0.1.0", "2.16.1");

  private static String file(String name, double predicted) {
    return "{'file': '" + name + "', 'bytes': 1, 'sha256': '0', 'predicted': " + predicted + "}";
  }

  private static String layer(String name, double dense, double sparse) {
    String files = "'dense': " + file("d", dense) + ", 'sparse': " + file("s", sparse);
    return "{'name': '" + name + "', 'kind': 'conv_1x1', " + files + "}";
  }

  private static String operator(String name, double predicted) {
    return "{'name': '" + name + " 1', 'operator': '" + name + "', 'count': 5, 'predicted': " + predicted
        + ", 'one': " + file("o", 0) + ", 'row': " + file("r", 0) + "}";
  }

  private static final String TEXT =
      "{'format': 1, 'precision': 'float32', 'least_share': 0.1, 'chain_operators': ['chain_add'],"
          + " 'table': {'version': 4, 'precisions': {'float32': {'source': 'qemu', 'kinds': {'conv_1x1':"
          + " {'dense_mac': 0.5, 'dense_layer': 10.0, 'line': 2.0, 'step': {'row_band': {'4': 3.0}}}}, 'stock_ops':"
          + " {'pad': {'layer': 100.0, 'value': 2.0}, 'slice': {'layer': 1.0}, 'chain_add': {'layer': 1.0}}}}},"
          + " 'call': " + operator("tiny", 1) + ","
          + " 'layers': [" + layer("one", 100, 50) + ", " + layer("two", 200, 100) + ", "
          + layer("three", 400, 100) + "],"
          + " 'operators': [" + operator("pad", 40) + ", " + operator("pad", 10) + "]}";

  /** Dense layers take 0.1 of what is predicted, sparse ones 0.2, pads 0.5; the call takes 1. */
  private static Measured measured() {
    ProfilePlan plan = ProfilePlan.parse(TEXT);
    Measured found = new Measured(plan);
    found.setCall(1.5, 3.5);
    for (ProfilePlan.Layer layer : plan.layers) {
      found.add(layer, 1 + 0.1 * layer.densePredicted, 1 + 0.2 * layer.sparsePredicted);
    }
    for (ProfilePlan.Operator each : plan.operators) found.add(each, 7, 7 + 0.5 * each.predicted * (each.count - 1));
    return found;
  }

  private static JSONObject table(Measured found) throws JSONException {
    return new JSONObject(ProfileTable.of(found, DEVICE, 2, "0123456789abcdef", "2026-01-31"));
  }

  @Test
  public void eachPartIsScaledByItsOwnMedian() throws JSONException {
    JSONObject costs = table(measured()).getJSONObject("precisions").getJSONObject("float32");
    JSONObject kind = costs.getJSONObject("kinds").getJSONObject("conv_1x1");
    assertEquals(0.05, kind.getDouble("dense_mac"), 1e-12);
    assertEquals(1, kind.getDouble("dense_layer"), 1e-12);
    assertEquals(0.4, kind.getDouble("line"), 1e-12);
    assertEquals(0.6, kind.getJSONObject("step").getJSONObject("row_band").getDouble("4"), 1e-12);
    JSONObject operators = costs.getJSONObject("stock_ops");
    assertEquals(50, operators.getJSONObject("pad").getDouble("layer"), 1e-12);
    assertEquals(0.5, operators.getJSONObject("slice").getDouble("layer"), 1e-12);
    assertEquals(0.2, operators.getJSONObject("chain_add").getDouble("layer"), 1e-12);
    assertTrue(costs.getString("source").endsWith("; the packaged table: qemu"));
  }

  @Test
  public void aPerfectTableHasNoErrors() throws JSONException {
    Measured found = measured();
    assertEquals(3, HeldOut.ofLayers(found.layers()).count());
    assertEquals(0, HeldOut.ofLayers(found.layers()).quantile(0.9), 1e-9);
    JSONObject errors = table(found).getJSONObject("precisions").getJSONObject("float32").getJSONObject("held_out");
    assertEquals(2, errors.getJSONObject("stock_ops").getInt("count"));
    assertEquals(0, errors.getJSONObject("layers").getDouble("median"), 1e-9);
  }

  @Test
  public void errorsAreOfLayersThatWereLeftOut() {
    ProfilePlan plan = ProfilePlan.parse(TEXT);
    Measured found = new Measured(plan);
    found.add(plan.layers.get(0), 100, 50);
    found.add(plan.layers.get(1), 200, 200);
    // The first predicts the second twice as fast as it is, and the second the first half as fast.
    HeldOut errors = HeldOut.ofLayers(found.layers());
    assertEquals(0.75, errors.quantile(0.5), 1e-9);
    assertEquals(1, errors.quantile(1), 1e-9);
    assertTrue(Double.isNaN(HeldOut.ofOperators(found.operators()).quantile(0.5)));
  }

  @Test
  public void theDeviceIsNamed() throws JSONException {
    JSONObject table = table(measured()), device = table.getJSONObject("device");
    assertEquals("microseconds", table.getString("unit"));
    assertEquals("app", device.getString("target"));
    assertEquals("Maker Phone, soc", device.getString("processor"));
    assertEquals(2, device.getInt("num_threads"));
    assertEquals("2026-01-31", device.getString("date"));
    JSONObject unknown = new JSONObject(ProfileTable.of(measured(), DEVICE, 1, null, "2026-01-31"));
    assertTrue(unknown.getJSONObject("device").isNull("library_sha256"));
  }

  @Test
  public void theCallIsNoPartOfALayerButSomethingIsLeft() {
    ProfilePlan plan = ProfilePlan.parse(TEXT);
    Measured found = new Measured(plan);
    found.setCall(10, 12);
    Measured.Layer layer = found.add(plan.layers.get(0), 109.5, 10);
    assertEquals(100, layer.dense, 1e-9);
    assertEquals(1, layer.sparse, 1e-9);
    assertEquals(100, layer.speedup(), 1e-9);
  }

  @Test
  public void aRowThatTakesNoLongerSaysNothing() {
    ProfilePlan plan = ProfilePlan.parse(TEXT);
    Measured found = new Measured(plan);
    found.add(plan.operators.get(0), 5, 5);
    assertTrue(found.operators().isEmpty());
    for (ProfilePlan.Layer layer : plan.layers) found.add(layer, 1, 1);
    DemoException error = assertThrows(DemoException.class, () -> table(found));
    assertTrue(error.getMessage(), error.getMessage().startsWith("No operator was measured"));
  }

  @Test
  public void kindsWithoutALayerAreNamed() {
    Measured found = new Measured(ProfilePlan.parse(TEXT));
    DemoException error = assertThrows(DemoException.class, () -> table(found));
    assertTrue(error.getMessage(), error.getMessage().contains("No layer of the kind conv_1x1 was measured"));
  }

  @Test
  public void otherFilesAreRefused() {
    String later = TEXT.replace("'format': 1", "'format': 7"), noRow = TEXT.replace("'count': 5", "'count': 1");
    for (String text : Arrays.asList("", "{}", later, noRow)) {
      DemoException error = assertThrows(DemoException.class, () -> ProfilePlan.parse(text));
      assertTrue(error.getMessage(), error.getMessage().startsWith("profile.json "));
    }
  }

  @Test
  public void mediansOfRatiosAreGeometric() {
    assertEquals(2, Scales.median(Arrays.asList(4.0, 1.0)), 1e-12);
    assertEquals(3, Scales.median(Arrays.asList(9.0, 1.0, 3.0)), 0);
    assertTrue(Double.isNaN(Scales.median(Collections.<Double>emptyList())));
    assertEquals(1.235e-7, ProfileTable.rounded(1.23456e-7), 0);
  }
}
