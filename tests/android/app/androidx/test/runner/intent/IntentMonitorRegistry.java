// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.intent;

/** Stands in for the class of this name; nobody asks for what is registered. */
public final class IntentMonitorRegistry {
  private IntentMonitorRegistry() {}

  public static void registerInstance(IntentMonitor monitor) {}
}
