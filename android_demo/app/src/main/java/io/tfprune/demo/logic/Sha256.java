// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** Whether a file is the one that was made. */
public final class Sha256 {
  private Sha256() {}

  public static String of(ByteBuffer content) {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException error) {
      throw new AssertionError("every Java has SHA-256", error);
    }
    digest.update(content.duplicate());
    StringBuilder text = new StringBuilder();
    for (byte each : digest.digest()) {
      text.append(Character.forDigit(each >> 4 & 15, 16)).append(Character.forDigit(each & 15, 16));
    }
    return text.toString();
  }

  /**
   * @throws DemoException the content has another hash.
   */
  public static void check(String name, ByteBuffer content, String expected) {
    String found = of(content);
    if (found.equals(expected)) return;
    throw new DemoException(
        name
            + " is not the file that was made for this app: its SHA-256 must be "
            + expected
            + ", got "
            + found
            + ". Run make_app_models.py again and build the app anew.");
  }
}
