// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;
import org.junit.Test;

public final class CatalogTest {
  static final String TEXT =
      "{'format': 1, 'name': 'N', 'tfprune': '0.1.0', 'trained': false, 'labels': ['a', 'b'],"
          + " 'input': {'size': 28, 'mean': 72.9, 'spread': 90.0},"
          + " 'dense': {'file': 'dense.tflite', 'bytes': 400, 'sha256': '12', 'accuracy': null},"
          + " 'pruned': {'file': 'pruned.tflite', 'bytes': 100, 'sha256': '34', 'accuracy': 0.875},"
          + " 'samples': [{'file': 'a.png', 'bytes': 1, 'sha256': '56', 'label': 'a'}]}";

  private static void assertRefused(String text, String part) {
    DemoException error = assertThrows(DemoException.class, () -> Catalog.parse(text));
    assertTrue(error.getMessage(), error.getMessage().contains(part));
    assertTrue(error.getMessage(), error.getMessage().endsWith("make the models anew."));
  }

  @Test
  public void readsWhatTheScriptWrites() {
    Catalog catalog = Catalog.parse(TEXT);
    assertEquals(28, catalog.inputSize);
    assertEquals("b", catalog.labels.get(1));
    assertTrue(Double.isNaN(catalog.dense.accuracy));
    assertEquals(0.875, catalog.pruned.accuracy, 0);
    assertEquals("34", catalog.pruned.file.sha256);
    assertEquals("a.png", catalog.samples.get(0).file.name);
    assertFalse(catalog.trained);
  }

  @Test
  public void refusesEverythingElse() {
    assertRefused("", "cannot be read");
    assertRefused("{}", "cannot be read");
    assertRefused(TEXT.replace("'format': 1", "'format': 2"), "must be of format 1, got 2");
    assertRefused(TEXT.replace("'sha256': '12'", "'other': 0"), "sha256");
    assertRefused(TEXT.replace("'spread': 90.0", "'spread': 0"), "above 0");
    assertRefused(TEXT.replace("['a', 'b']", "[]"), "labels");
  }

  @Test
  public void hashesTellFilesApart() {
    ByteBuffer content = ByteBuffer.wrap("abc".getBytes(StandardCharsets.US_ASCII));
    String hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // of FIPS 180-2
    assertEquals(hash, Sha256.of(content));
    Sha256.check("abc", content, hash);
    String other = hash.replace('b', '0');
    DemoException error = assertThrows(DemoException.class, () -> Sha256.check("x.tflite", content, other));
    assertTrue(error.getMessage(), error.getMessage().startsWith("x.tflite is not the file that was made"));
  }

  @Test
  public void theReportHoldsWhatIsShown() throws JSONException {
    Catalog catalog = Catalog.parse(TEXT);
    Latencies dense = new Latencies(0, 5), pruned = new Latencies(0, 5);
    dense.add(8_000_000);
    pruned.add(2_000_000);
    Agreement agreement = new Agreement();
    agreement.add(new float[] {1, 2}, new float[] {1, 2});
    Answer answer = Answer.of(new float[] {1, 2}, catalog.labels);
    Snapshot found =
        new Snapshot(
            new LatencySummary(dense), new LatencySummary(pruned), answer, answer, agreement, new float[0][]);
    Device device = new Device("Maker Phone", "soc", "Android 14 aarch64", 8, "neon", "0.1.0", "2.16.1");
    JSONObject report =
        new JSONObject(RunReport.of(catalog, new Settings(true, 2), device, found, "2026-01-31"));
    assertEquals("gpu", report.getString("backend"));
    assertEquals(4, report.getDouble("speedup"), 0);
    assertEquals(500, report.getJSONObject("pruned").getDouble("frames_per_second"), 0);
    assertTrue(report.getJSONObject("dense").isNull("test_accuracy"));
    assertEquals("34", report.getJSONObject("pruned").getString("sha256"));
    assertEquals(0, report.getJSONObject("agreement").getDouble("worst_relative_error"), 0);
    assertEquals("neon", report.getJSONObject("device").getString("kernels"));
  }

  @Test
  public void whatIsNotMeasuredYetIsNull() throws JSONException {
    Catalog catalog = Catalog.parse(TEXT);
    LatencySummary none = new LatencySummary(new Latencies(1, 1));
    Answer answer = Answer.of(new float[] {1, 2}, catalog.labels);
    Snapshot found = new Snapshot(none, none, answer, answer, new Agreement(), new float[0][]);
    Device device = new Device("m", "p", "s", 1, "k", "t", "r");
    JSONObject report = new JSONObject(RunReport.of(catalog, new Settings(false, 1), device, found, "2026-01-31"));
    assertTrue(report.isNull("speedup"));
    assertTrue(report.getJSONObject("dense").isNull("median_ms"));
  }
}
