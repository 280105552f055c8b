// SPDX-License-Identifier: Apache-2.0
package androidx.test.runner.lifecycle;

/** Stands in for the class of this name, of which Robolectric calls this much. */
public enum ApplicationStage {
  PRE_ON_CREATE,
  CREATED
}
