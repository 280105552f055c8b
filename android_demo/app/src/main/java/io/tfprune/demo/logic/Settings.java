// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

/** What runs the models. Unchangeable. */
public final class Settings {
  public final boolean gpu;
  public final int threads;

  public Settings(boolean gpu, int threads) {
    this.gpu = gpu;
    this.threads = threads;
  }

  @Override
  public String toString() {
    return gpu ? "GPU" : "CPU, " + threads + (threads == 1 ? " thread" : " threads");
  }
}
