// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.content.ContextWrapper;
import android.content.pm.ApplicationInfo;
import org.junit.Test;

public final class TfpruneGpuTest {
  private static final Context APP =
      new ContextWrapper(null) {
        @Override
        public ApplicationInfo getApplicationInfo() {
          ApplicationInfo info = new ApplicationInfo();
          info.targetSdkVersion = 34;
          return info;
        }
      };

  @Test
  public void theAnswersAgreeWithOneAnother() {
    boolean available = TfpruneGpu.isAvailable(APP);
    assertEquals(available, TfpruneGpu.device(APP) != null);
    assertEquals(available, TfpruneGpu.whyUnavailable(APP) == null);
  }

  @Test
  public void aGpuThatIsAvailableCanBeUsed() {
    TfpruneDelegate.Options options = new TfpruneDelegate.Options().setBackend(TfpruneDelegate.Backend.GPU);
    if (TfpruneGpu.isAvailable(APP)) {
      new TfpruneDelegate(options).close();
    } else {
      assertTrue(TfpruneGpu.whyUnavailable(APP).contains("OpenCL"));
    }
  }

  @Test
  public void appsThatSeeNoVendorLibrariesAreToldOfTheManifest() {
    assertEquals("no driver", TfpruneGpu.explain("no driver", 30));
    assertEquals(
        "no driver. An app for API 31 finds the vendor's OpenCL only where its merged manifest has"
            + " <uses-native-library android:name=\"libOpenCL.so\" android:required=\"false\" />, as tfprune's does",
        TfpruneGpu.explain("no driver", 31));
  }

  @Test
  public void noContextIsRefused() {
    assertThrows(IllegalArgumentException.class, () -> TfpruneGpu.isAvailable(null));
  }
}
