// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.profile;

import io.tfprune.demo.logic.Catalog;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.JsonLists;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** What is measured for a latency profile, as {@code tools/app_profile_plan.py} wrote it. Unchangeable. */
public final class ProfilePlan {
  /** Goes up where the same file comes to mean something else. */
  private static final int FORMAT = 1;

  /** One layer: a file of it, dense, and one, packed, with what the table predicts of each. */
  public static final class Layer {
    public final String name;
    public final String kind;
    public final Catalog.Entry dense;
    public final Catalog.Entry sparse;
    public final double densePredicted;
    public final double sparsePredicted;

    private Layer(JSONObject data) throws JSONException {
      name = data.getString("name");
      kind = data.getString("kind");
      JSONObject denseData = data.getJSONObject("dense"), sparseData = data.getJSONObject("sparse");
      dense = new Catalog.Entry(denseData);
      sparse = new Catalog.Entry(sparseData);
      densePredicted = denseData.getDouble("predicted");
      sparsePredicted = sparseData.getDouble("predicted");
    }
  }

  /** Another operator: a file of one and a file of several, whose difference the call of a model is no part of. */
  public static final class Operator {
    public final String name;
    public final String operator;
    public final int count;
    public final double predicted;
    public final Catalog.Entry one;
    public final Catalog.Entry row;

    private Operator(JSONObject data) throws JSONException {
      name = data.getString("name");
      operator = data.getString("operator");
      count = data.getInt("count");
      predicted = data.getDouble("predicted");
      one = new Catalog.Entry(data.getJSONObject("one"));
      row = new Catalog.Entry(data.getJSONObject("row"));
      if (count < 2) throw new JSONException("a row of " + name + " must have at least 2 operators, got " + count);
    }
  }

  public final String precision;
  /** A layer takes at least this share of its file's time: less is lost in the noise of the call. */
  public final double leastShare;
  /** Names of what operators cost inside of chains of the delegate. */
  public final List<String> chainOperators;
  /** The smallest operator, of which a model's time is hardly more than the call of it. */
  public final Operator call;
  public final List<Layer> layers;
  public final List<Operator> operators;
  private final String table;

  private ProfilePlan(JSONObject data) throws JSONException {
    precision = data.getString("precision");
    leastShare = data.getDouble("least_share");
    table = data.getJSONObject("table").toString();
    call = new Operator(data.getJSONObject("call"));
    chainOperators = JsonLists.of(data.getJSONArray("chain_operators"), JSONArray::getString);
    layers = JsonLists.of(data.getJSONArray("layers"), (all, i) -> new Layer(all.getJSONObject(i)));
    operators = JsonLists.of(data.getJSONArray("operators"), (all, i) -> new Operator(all.getJSONObject(i)));
  }

  /**
   * @throws DemoException it is no such file, or one of another version.
   */
  public static ProfilePlan parse(String text) {
    try {
      JSONObject data = new JSONObject(text);
      int format = data.getInt("format");
      if (format != FORMAT) {
        throw new DemoException(
            "profile.json must be of format " + FORMAT + ", got " + format + ": make the models anew.");
      }
      return new ProfilePlan(data);
    } catch (JSONException error) {
      throw new DemoException("profile.json cannot be read (" + error.getMessage() + "): make the models anew.", error);
    }
  }

  /** The packaged cost table that is scaled: a new copy each time. */
  JSONObject table() throws JSONException {
    return new JSONObject(table);
  }

  /** How many groups of files are timed. */
  public int measurements() {
    return 1 + layers.size() + operators.size();
  }
}
