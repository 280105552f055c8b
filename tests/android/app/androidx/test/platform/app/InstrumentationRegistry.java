// SPDX-License-Identifier: Apache-2.0
package androidx.test.platform.app;

import android.app.Instrumentation;
import android.os.Bundle;

/** Stands in for the class of this name, of which Robolectric calls this much. */
public final class InstrumentationRegistry {
  private static Instrumentation registered;

  private InstrumentationRegistry() {}

  public static void registerInstance(Instrumentation instrumentation, Bundle arguments) {
    registered = instrumentation;
  }

  public static Instrumentation getInstrumentation() {
    return registered;
  }
}
