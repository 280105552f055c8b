// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import android.app.Activity;
import android.content.Intent;

/** Hands a text to another app. */
final class Sharing {
  private Sharing() {}

  static void share(Activity activity, String title, String text) {
    Intent send =
        new Intent(Intent.ACTION_SEND)
            .setType("text/plain")
            .putExtra(Intent.EXTRA_SUBJECT, title)
            .putExtra(Intent.EXTRA_TEXT, text);
    activity.startActivity(Intent.createChooser(send, title));
  }
}
