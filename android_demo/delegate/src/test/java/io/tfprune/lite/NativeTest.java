// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Collections;
import org.junit.Test;

public final class NativeTest {
  @Test
  public void aMissingLibraryNamesTheProcessorAndTheAbisThatThereAre() {
    String message = Native.missingLibrary("i686", "no tfprune in java.library.path");
    assertTrue(message.startsWith("tfprune: libtfprune.so cannot be loaded on this processor, i686: no tfprune in"));
    assertTrue(message.contains("the ABIs arm64-v8a, armeabi-v7a and x86_64: check that the app's abiFilters"));
  }

  @Test
  public void anotherVersionOfTheLibraryIsRefused() {
    Native.checkVersion(Native.VERSION);
    TfpruneException refused = assertThrows(TfpruneException.class, () -> Native.checkVersion("0.0.9"));
    assertEquals(
        "tfprune: the classes are of version "
            + Native.VERSION
            + " and libtfprune.so of version 0.0.9: the app packages two versions of tfprune; keep one AAR",
        refused.getMessage());
  }

  @Test
  public void theLibraryIsOfTheSameVersion() {
    Native.load();
    assertEquals(Native.VERSION, Native.fromUtf8(Native.version()));
  }

  @Test
  public void theReasonOfARefusalIsTheLibrarysOwn() {
    Native.load();
    TfpruneException refused =
        assertThrows(TfpruneException.class, () -> Native.create(Collections.singletonMap("treads", "2")));
    assertTrue(refused.getMessage(), refused.getMessage().startsWith("tfprune delegate: option 'treads' does not exist"));
  }

  /** In JNI's own strings these would be other bytes, which Android's checks stop the app for. */
  @Test
  public void textOutsideOfAsciiPassesBothWays() {
    Native.load();
    String name = "\u65e5\u672c \ud83d\ude00 caf\u00e9";
    TfpruneException refused =
        assertThrows(TfpruneException.class, () -> Native.create(Collections.singletonMap("arch", name)));
    assertTrue(refused.getMessage(), refused.getMessage().startsWith("tfprune delegate: arch must be auto"));
  }
}
