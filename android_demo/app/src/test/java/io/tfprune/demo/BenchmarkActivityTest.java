// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.content.Intent;
import android.view.ViewGroup;
import io.tfprune.demo.input.AssetFiles;
import io.tfprune.demo.profile.ProfilePlan;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;

/** The benchmark, used as somebody would; layers are measured for real, in Android's TensorFlow Lite. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, qualifiers = OnScreen.PHONE)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public final class BenchmarkActivityTest {
  /** Where the profile goes that the Python side reads after this. */
  private static final String PROFILE = System.getProperty("tfprune.profile");

  private ActivityController<BenchmarkActivity> controller;
  private Activity activity;

  @Before
  public void open() {
    controller = Robolectric.buildActivity(BenchmarkActivity.class).setup();
    activity = controller.get();
  }

  @After
  public void close() {
    controller.pause().stop().destroy();
    OnScreen.settle();
  }

  @Test
  public void aProfileIsMeasuredWrittenAndShared() throws IOException {
    OnScreen.click(activity, R.id.run);
    assertEquals("Stop", OnScreen.text(activity, R.id.run));
    assertFalse(activity.findViewById(R.id.threads_2).isEnabled());
    OnScreen.await(
        "a profile", () -> OnScreen.visible(activity, R.id.result) || OnScreen.visible(activity, R.id.error));
    assertFalse(OnScreen.text(activity, R.id.error), OnScreen.visible(activity, R.id.error));
    ViewGroup layers = (ViewGroup) activity.findViewById(R.id.layers);
    ProfilePlan plan = ProfilePlan.parse(new AssetFiles(activity.getAssets()).text("profile.json"));
    assertEquals(plan.layers.size(), layers.getChildCount());
    assertEquals("Measure", OnScreen.text(activity, R.id.run));
    OnScreen.picture(activity, "android_benchmark");
    byte[] written = Files.readAllBytes(new File(activity.getExternalFilesDir(null), "profile.json").toPath());
    OnScreen.click(activity, R.id.share);
    Intent send =
        Shadows.shadowOf(activity).getNextStartedActivity().getParcelableExtra(Intent.EXTRA_INTENT, Intent.class);
    assertEquals(new String(written, "UTF-8"), send.getStringExtra(Intent.EXTRA_TEXT));
    if (PROFILE != null) Files.write(Paths.get(PROFILE), written);
  }

  @Test
  public void leavingTheAppEndsTheMeasurementAndSaysSo() {
    OnScreen.click(activity, R.id.run);
    controller.pause().stop();
    OnScreen.settle();
    assertEquals("Measure", OnScreen.text(activity, R.id.run));
    assertTrue(OnScreen.visible(activity, R.id.error));
    assertFalse(OnScreen.visible(activity, R.id.result));
  }
}
