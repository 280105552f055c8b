// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.os.Looper;
import android.view.View;
import android.widget.TextView;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.function.BooleanSupplier;
import org.robolectric.Shadows;

/** What somebody who holds the device does and sees. */
final class OnScreen {
  /** What Robolectric takes for a phone, high enough for a whole screen. */
  static final String PHONE = "w411dp-h1110dp-xhdpi";

  static final String PHONE_AT_NIGHT = "w411dp-h1110dp-night-xhdpi";

  /** The folder of pictures of the screens; without it none are kept. */
  private static final String PICTURES = System.getProperty("tfprune.pictures");

  private static final long PATIENCE = 200_000; // milliseconds; machines that run tests are busy
  private static final long STEP = 20;
  private static final long REST = Long.getLong("tfprune.rest", 0);

  private OnScreen() {}

  static void click(Activity activity, int id) {
    View view = activity.findViewById(id);
    assertTrue(view + " must be enabled", view.isEnabled());
    view.performClick();
    settle();
  }

  static String text(Activity activity, int id) {
    return text(activity.findViewById(id));
  }

  static String text(View view) {
    return ((TextView) view).getText().toString();
  }

  static boolean visible(Activity activity, int id) {
    return activity.findViewById(id).getVisibility() == View.VISIBLE;
  }

  /** Lets the main thread do what other threads asked it for. */
  static void settle() {
    Shadows.shadowOf(Looper.getMainLooper()).idle();
  }

  /** Waits for what other threads do. */
  static void await(String what, BooleanSupplier condition) {
    long end = System.currentTimeMillis() + PATIENCE;
    while (true) {
      settle();
      if (condition.getAsBoolean()) return;
      if (System.currentTimeMillis() > end) throw new AssertionError("it did not come: " + what);
      try {
        Thread.sleep(STEP);
      } catch (InterruptedException error) {
        throw new AssertionError(error);
      }
    }
  }

  /** Gives a chart time to fill, where somebody is to look at it. */
  static void rest() {
    long end = System.currentTimeMillis() + (REST);
    await("a while", () -> System.currentTimeMillis() >= end);
  }

  /** Draws what is on the screen, as Android would, into a file. */
  static Bitmap picture(Activity activity, String name) {
    View screen = activity.getWindow().getDecorView();
    Bitmap picture = Bitmap.createBitmap(screen.getWidth(), screen.getHeight(), Bitmap.Config.ARGB_8888);
    screen.draw(new Canvas(picture));
    if (PICTURES != null) {
      try (FileOutputStream stream = new FileOutputStream(new File(PICTURES, name + ".png"))) {
        assertTrue(picture.compress(Bitmap.CompressFormat.PNG, 100, stream));
      } catch (IOException error) {
        throw new AssertionError(error);
      }
    }
    return picture;
  }
}
