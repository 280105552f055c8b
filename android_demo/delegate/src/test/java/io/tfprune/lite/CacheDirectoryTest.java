// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class CacheDirectoryTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  @Test
  public void aMissingDirectoryIsMadeAndLeftEmpty() {
    File missing = new File(folder.getRoot(), "a/b");
    CacheDirectory.prepare(missing);
    CacheDirectory.prepare(missing);
    assertTrue(missing.isDirectory());
    assertArrayEquals(new String[0], missing.list());
  }

  @Test
  public void aFileIsRefused() throws IOException {
    File file = folder.newFile("cache");
    assertEquals(
        "TfpruneDelegate: the cache directory must be one that this app can write to, got "
            + file
            + ": it is a file; use context.getCodeCacheDir(), or leave it out",
        refused(file).getMessage());
  }

  @Test
  public void aDirectoryThatCannotBeMadeIsRefused() throws IOException {
    assertTrue(refused(new File(folder.newFile("file"), "below")).getMessage().contains("it cannot be made"));
  }

  /** Nobody can write a file there, root neither. */
  @Test
  public void aDirectoryThatTakesNoFilesIsRefused() {
    TfpruneException refused = refused(new File("/proc"));
    assertTrue(refused.getMessage(), refused.getMessage().contains("got /proc: a file in it cannot be written ("));
    assertTrue(refused.getCause() instanceof IOException);
  }

  private static TfpruneException refused(File directory) {
    return assertThrows(TfpruneException.class, () -> CacheDirectory.prepare(directory));
  }
}
