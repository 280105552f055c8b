// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.intent;

/** Stands in for the class of this name: no answers to intents are prepared. */
public final class IntentStubberRegistry {
  private IntentStubberRegistry() {}

  public static boolean isLoaded() {
    return false;
  }

  public static IntentStubber getInstance() {
    throw new IllegalStateException("no answers to intents are prepared");
  }
}
