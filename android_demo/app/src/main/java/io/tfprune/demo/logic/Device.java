// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import org.json.JSONException;
import org.json.JSONObject;

/** What numbers depend on besides the models. */
public final class Device {
  public final String model;
  public final String processor;
  public final String system;
  public final int cores;
  public final String kernels;
  public final String tfprune;
  public final String runtime;

  /**
   * @param kernels the instruction set of tfprune's kernels.
   * @param runtime the version of TensorFlow Lite.
   */
  public Device(
      String model, String processor, String system, int cores, String kernels, String tfprune, String runtime) {
    this.model = model;
    this.processor = processor;
    this.system = system;
    this.cores = cores;
    this.kernels = kernels;
    this.tfprune = tfprune;
    this.runtime = runtime;
  }

  JSONObject toJson() throws JSONException {
    return new JSONObject()
        .put("model", model)
        .put("processor", processor)
        .put("system", system)
        .put("cores", cores)
        .put("kernels", kernels)
        .put("tfprune", tfprune)
        .put("tensorflow_lite", runtime);
  }
}
