// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** What {@code tools/make_app_models.py} wrote: the two models, their labels and input, and images to try them on. */
public final class Catalog {
  /** Goes up where the same file comes to mean something else. */
  private static final int FORMAT = 1;

  /** A file and its hash. */
  public static final class Entry {
    public final String name;
    public final long bytes;
    public final String sha256;

    public Entry(JSONObject data) throws JSONException {
      name = data.getString("file");
      bytes = data.getLong("bytes");
      sha256 = data.getString("sha256");
    }
  }

  /** One of the two models; {@code accuracy} on the test images is NaN where nobody measured it. */
  public static final class Model {
    public final Entry file;
    public final double accuracy;

    private Model(JSONObject data) throws JSONException {
      file = new Entry(data);
      accuracy = data.isNull("accuracy") ? Double.NaN : data.getDouble("accuracy");
    }
  }

  /** An image, and what it shows. */
  public static final class Sample {
    public final Entry file;
    public final String label;

    private Sample(JSONObject data) throws JSONException {
      file = new Entry(data);
      label = data.getString("label");
    }
  }

  public final String name;
  public final String tfprune;
  public final boolean trained;
  public final int inputSize;
  public final float inputMean;
  public final float inputSpread;
  public final List<String> labels;
  public final List<Sample> samples;
  public final Model dense;
  public final Model pruned;

  private Catalog(JSONObject data) throws JSONException {
    name = data.getString("name");
    tfprune = data.getString("tfprune");
    trained = data.getBoolean("trained");
    JSONObject input = data.getJSONObject("input");
    inputSize = input.getInt("size");
    inputMean = (float) input.getDouble("mean");
    inputSpread = (float) input.getDouble("spread");
    dense = new Model(data.getJSONObject("dense"));
    pruned = new Model(data.getJSONObject("pruned"));
    labels = JsonLists.of(data.getJSONArray("labels"), JSONArray::getString);
    samples = JsonLists.of(data.getJSONArray("samples"), (all, i) -> new Sample(all.getJSONObject(i)));
  }

  private void check() {
    if (samples.isEmpty() || labels.isEmpty() || inputSize < 1 || !(inputSpread > 0)) {
      throw new DemoException(
          "models.json must name images, labels and a size and spread above 0: make the models anew.");
    }
  }

  /**
   * @throws DemoException it is no such file, or one of another version.
   */
  public static Catalog parse(String text) {
    try {
      JSONObject data = new JSONObject(text);
      int format = data.getInt("format");
      if (format != FORMAT) {
        throw new DemoException(
            "models.json must be of format " + FORMAT + ", got " + format + ": make the models anew.");
      }
      Catalog catalog = new Catalog(data);
      catalog.check();
      return catalog;
    } catch (JSONException error) {
      throw new DemoException("models.json cannot be read (" + error.getMessage() + "): make the models anew.", error);
    }
  }
}
