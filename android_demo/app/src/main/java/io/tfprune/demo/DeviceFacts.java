// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import android.content.Context;
import android.os.Build;
import io.tfprune.demo.logic.Device;
import io.tfprune.demo.logic.Sha256;
import io.tfprune.lite.TfpruneDelegate;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.text.SimpleDateFormat;
import java.util.Date;
import java.util.Locale;
import java.util.TimeZone;
import org.tensorflow.lite.TensorFlowLite;

/** What Android tells of this device, and the libraries of themselves. */
final class DeviceFacts {
  private static final int DIGITS = 16; // of a hash: enough to tell builds from one another

  private DeviceFacts() {}

  static Device device() {
    return new Device(
        Build.MANUFACTURER + " " + Build.MODEL,
        Build.HARDWARE,
        "Android " + Build.VERSION.RELEASE + " " + System.getProperty("os.arch"),
        Runtime.getRuntime().availableProcessors(),
        TfpruneDelegate.instructionSet(),
        TfpruneDelegate.version(),
        TensorFlowLite.runtimeVersion());
  }

  /** The first digits of the hash of libtfprune.so; null where Android runs it out of the APK, or hides it. */
  static String library(Context context) {
    String folder = context.getApplicationInfo().nativeLibraryDir;
    if (folder == null) return null;
    try (FileInputStream stream = new FileInputStream(new File(folder, "libtfprune.so"))) {
      FileChannel channel = stream.getChannel();
      return Sha256.of(channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size())).substring(0, DIGITS);
    } catch (IOException error) {
      return null;
    }
  }

  /** Year, month and day, wherever the device is. */
  static String today() {
    SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd", Locale.US);
    format.setTimeZone(TimeZone.getTimeZone("UTC"));
    return format.format(new Date());
  }
}
