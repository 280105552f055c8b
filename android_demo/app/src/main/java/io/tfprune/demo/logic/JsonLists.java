// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;

/** Lists of what arrays hold. */
public final class JsonLists {
  private JsonLists() {}

  /** What one element becomes. */
  public interface Element<T> {
    T at(JSONArray array, int index) throws JSONException;
  }

  /** All elements, in a list that nobody can change. */
  public static <T> List<T> of(JSONArray array, Element<T> element) throws JSONException {
    List<T> found = new ArrayList<>();
    for (int i = 0; i < array.length(); ++i) found.add(element.at(array, i));
    return Collections.unmodifiableList(found);
  }
}
