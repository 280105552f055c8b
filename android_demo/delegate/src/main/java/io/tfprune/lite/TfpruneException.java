// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

/**
 * What this device or this build of the app cannot do: no native library for its processor, no GPU, no half precision, a
 * cache directory that cannot be written. The message says what is wrong and what to do.
 */
public final class TfpruneException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  TfpruneException(String message) {
    super(message);
  }

  TfpruneException(String message, Throwable cause) {
    super(message, cause);
  }
}
