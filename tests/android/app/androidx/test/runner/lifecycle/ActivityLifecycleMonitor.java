// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.lifecycle;

/** Stands in for the interface of this name; nobody asks it anything. */
public interface ActivityLifecycleMonitor {}
