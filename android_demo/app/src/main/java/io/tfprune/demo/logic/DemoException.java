// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

/** Something that the person holding the device is told of; the message is a sentence that can be shown as it is. */
public final class DemoException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public DemoException(String message) {
    super(message);
  }

  public DemoException(String message, Throwable cause) {
    super(message, cause);
  }

  /** What to show for any error: its own sentence, and where it has none, what kind of error it is. */
  public static String sentence(Throwable error) {
    String message = error.getMessage();
    return message == null || message.isEmpty() ? error.getClass().getSimpleName() : message;
  }
}
