// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.lifecycle;

/** Stands in for the class of this name; nobody asks for what is registered. */
public final class ActivityLifecycleMonitorRegistry {
  private ActivityLifecycleMonitorRegistry() {}

  public static void registerInstance(ActivityLifecycleMonitor monitor) {}
}
