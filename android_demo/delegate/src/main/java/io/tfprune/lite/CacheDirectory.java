// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import java.io.File;
import java.io.IOException;

/** Whether a directory can keep files: asked by making one, because permissions do not tell of a full disk. */
final class CacheDirectory {
  private CacheDirectory() {}

  /**
   * Makes the directory where it is missing.
   *
   * @throws TfpruneException it cannot be made or written to.
   */
  static void prepare(File directory) {
    // Another thread may make it at the same time.
    if (!directory.isDirectory() && !directory.mkdirs() && !directory.isDirectory()) {
      throw refused(directory, directory.exists() ? "it is a file" : "it cannot be made", null);
    }
    try {
      File probe = File.createTempFile("tfprune", ".probe", directory);
      if (!probe.delete()) throw refused(directory, "a file in it cannot be removed", null);
    } catch (IOException error) {
      throw refused(directory, "a file in it cannot be written (" + error.getMessage() + ")", error);
    }
  }

  private static TfpruneException refused(File directory, String reason, Throwable cause) {
    return new TfpruneException(
        "TfpruneDelegate: the cache directory must be one that this app can write to, got "
            + directory
            + ": "
            + reason
            + "; use context.getCodeCacheDir(), or leave it out",
        cause);
  }
}
