// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.lifecycle;

/** Stands in for the class of this name; nobody asks for what is registered. */
public final class ApplicationLifecycleMonitorRegistry {
  private ApplicationLifecycleMonitorRegistry() {}

  public static void registerInstance(ApplicationLifecycleMonitor monitor) {}
}
