// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import java.nio.charset.Charset;
import java.util.Map;

/** The functions of libtfprune.so. Text crosses as UTF-8, because JNI's own strings are in an encoding of Java's. */
final class Native {
  /** Equal to {@code tfprune.__version__}; a test compares the two. */
  static final String VERSION = "0.1.0";

  private static final Charset UTF_8 = Charset.forName("UTF-8");
  private static final int MESSAGE_BYTES = 256;

  private static boolean loaded; // guarded by the class

  private Native() {}

  /**
   * Loads the library where it is not loaded yet.
   *
   * @throws TfpruneException there is none for this processor, or it belongs to other classes.
   */
  static synchronized void load() {
    if (loaded) return;
    try {
      System.loadLibrary("tfprune");
    } catch (UnsatisfiedLinkError error) {
      throw new TfpruneException(missingLibrary(System.getProperty("os.arch"), error.getMessage()), error);
    }
    checkVersion(libraryVersion());
    loaded = true;
  }

  private static String libraryVersion() {
    try {
      return fromUtf8(version());
    } catch (UnsatisfiedLinkError error) {
      throw new TfpruneException(
          "tfprune: the app packages a libtfprune.so without the functions of these classes, such as that of the C API;"
              + " keep the one of the AAR",
          error);
    }
  }

  static String missingLibrary(String processor, String cause) {
    return "tfprune: libtfprune.so cannot be loaded on this processor, "
        + processor
        + ": "
        + cause
        + ". The AAR holds it for the ABIs arm64-v8a, armeabi-v7a and x86_64: check that the app's abiFilters and splits"
        + " keep the one of this device, and that its package holds lib/<ABI>/libtfprune.so";
  }

  static void checkVersion(String found) {
    if (found.equals(VERSION)) return;
    throw new TfpruneException(
        "tfprune: the classes are of version "
            + VERSION
            + " and libtfprune.so of version "
            + found
            + ": the app packages two versions of tfprune; keep one AAR");
  }

  /** Makes a delegate with options of libtfprune's names, and throws its reason where it refuses. */
  static long create(Map<String, String> options) {
    StringBuilder text = new StringBuilder();
    for (Map.Entry<String, String> option : options.entrySet()) {
      text.append(option.getKey()).append('\0').append(option.getValue()).append('\0');
    }
    byte[] message = new byte[MESSAGE_BYTES];
    long handle = create(text.toString().getBytes(UTF_8), message);
    if (handle == 0) throw new TfpruneException(untilZero(message));
    return handle;
  }

  static String fromUtf8(byte[] text) {
    if (text == null) throw new OutOfMemoryError("tfprune: no memory for a text of the native library");
    return new String(text, UTF_8);
  }

  private static String untilZero(byte[] text) {
    int length = 0;
    while (length < text.length && text[length] != 0) ++length;
    return new String(text, 0, length, UTF_8);
  }

  /** Options as names and values in turn, a zero after each. Answers 0 on an error, with the reason in {@code message}. */
  private static native long create(byte[] options, byte[] message);

  static native void destroy(long handle);

  static native byte[] describe(long handle);

  static native byte[] placement(long handle);

  static native byte[] version();

  static native byte[] detectedArch();

  static native boolean hasHalfArithmetic();
}
