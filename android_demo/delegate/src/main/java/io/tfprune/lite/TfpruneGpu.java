// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import android.content.Context;

/** Whether this device has a GPU that {@link TfpruneDelegate.Backend#GPU} can use. Asked once and remembered. */
public final class TfpruneGpu {
  /** The first version of Android, 12, that hides native libraries which an app's manifest does not name. */
  private static final int HIDES_LIBRARIES = 31;

  private static TfprunePlacement found; // guarded by the class

  private TfpruneGpu() {}

  /**
   * @throws TfpruneException there is no native library for this processor.
   */
  public static boolean isAvailable(Context context) {
    return probe(context).device() != null;
  }

  /** Name and driver of the GPU; null where there is none. */
  public static String device(Context context) {
    return probe(context).device();
  }

  /** Why there is no GPU that can be used, in a sentence, and what to do; null where there is one. */
  public static String whyUnavailable(Context context) {
    String problem = probe(context).problem();
    if (problem == null) return null;
    return explain(problem, context.getApplicationInfo().targetSdkVersion);
  }

  static String explain(String problem, int targetSdkVersion) {
    if (targetSdkVersion < HIDES_LIBRARIES) return problem;
    return problem
        + ". An app for API "
        + targetSdkVersion
        + " finds the vendor's OpenCL only where its merged manifest has <uses-native-library"
        + " android:name=\"libOpenCL.so\" android:required=\"false\" />, as tfprune's does";
  }

  private static synchronized TfprunePlacement probe(Context context) {
    if (context == null) throw new IllegalArgumentException("TfpruneGpu: the context must not be null");
    if (found == null) {
      TfpruneDelegate.Options options = new TfpruneDelegate.Options().setBackend(TfpruneDelegate.Backend.AUTO);
      try (TfpruneDelegate delegate = new TfpruneDelegate(options)) {
        found = delegate.placement();
      }
    }
    return found;
  }
}
