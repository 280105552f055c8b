// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.lifecycle;

/** Stands in for the class of this name, of which Robolectric calls this much. */
public enum Stage {
  PRE_ON_CREATE,
  CREATED,
  STARTED,
  RESUMED,
  PAUSED,
  STOPPED,
  RESTARTED,
  DESTROYED
}
