// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.Manifest;
import android.app.Activity;
import android.content.Context;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.ImageFormat;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraManager;
import android.net.Uri;
import android.util.Size;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Switch;
import io.tfprune.demo.input.AssetFiles;
import io.tfprune.demo.logic.Catalog;
import io.tfprune.demo.logic.DemoException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import org.json.JSONException;
import org.json.JSONObject;
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
import org.robolectric.shadow.api.Shadow;
import org.robolectric.shadows.ShadowActivity;
import org.robolectric.shadows.ShadowCameraCharacteristics;
import org.robolectric.shadows.ShadowCameraManager;
import org.robolectric.shadows.StreamConfigurationMapBuilder;

/** The first screen, used as somebody would; the models run for real, in Android's TensorFlow Lite. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34, qualifiers = OnScreen.PHONE)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
public final class MainActivityTest {
  private ActivityController<MainActivity> controller;
  private Activity activity;

  @Before
  public void open() {
    controller = Robolectric.buildActivity(MainActivity.class).setup();
    activity = controller.get();
  }

  @After
  public void close() {
    controller.pause().stop().destroy();
    OnScreen.settle();
  }

  private String inCard(int card, int id) {
    return OnScreen.text(activity.findViewById(card).findViewById(id));
  }

  private void startAndMeasure() {
    OnScreen.click(activity, R.id.run);
    assertEquals("Stop", OnScreen.text(activity, R.id.run));
    OnScreen.await(
        "times of both models",
        () -> inCard(R.id.dense, R.id.median).endsWith(" ms") && inCard(R.id.pruned, R.id.median).endsWith(" ms"));
  }

  @Test
  public void bothModelsRunAndAgreeOnEveryImage() {
    assertFalse(activity.findViewById(R.id.share).isEnabled());
    assertEquals("It shows: T-shirt", OnScreen.text(activity, R.id.image_label));
    startAndMeasure();
    ViewGroup samples = (ViewGroup) activity.findViewById(R.id.samples);
    assertEquals(10, samples.getChildCount());
    for (int i = 1; i < samples.getChildCount(); ++i) {
      String images = (i + 1) + " of " + (i + 1) + " images";
      samples.getChildAt(i).performClick();
      OnScreen.await(images, () -> OnScreen.text(activity, R.id.agreement).contains("Same class for " + images));
    }
    assertEquals("It shows: Ankle boot", OnScreen.text(activity, R.id.image_label));
    assertEquals(inCard(R.id.dense, R.id.answer), inCard(R.id.pruned, R.id.answer));
    assertTrue(OnScreen.text(activity, R.id.speedup).matches("[\\d.]+× faster, [\\d.]+× smaller"));
    assertTrue(inCard(R.id.pruned, R.id.frames).endsWith(" frames/s"));
    OnScreen.await("two lines in the chart", () -> inChart(R.color.dense) && inChart(R.color.pruned));
    OnScreen.rest();
    OnScreen.picture(activity, "android_classify");
  }

  private static boolean isLoop(Thread thread) {
    return thread.getName().equals("tfprune-comparison");
  }

  private boolean inChart(int color) {
    View chart = activity.findViewById(R.id.chart);
    Bitmap picture = Bitmap.createBitmap(chart.getWidth(), chart.getHeight(), Bitmap.Config.ARGB_8888);
    chart.draw(new Canvas(picture));
    int[] pixels = new int[chart.getWidth() * chart.getHeight()];
    picture.getPixels(pixels, 0, chart.getWidth(), 0, 0, chart.getWidth(), chart.getHeight());
    int wanted = activity.getColor(color);
    return Arrays.stream(pixels).anyMatch(pixel -> pixel == wanted);
  }

  @Test
  @Config(qualifiers = OnScreen.PHONE_AT_NIGHT)
  public void theScreenIsDarkAtNight() {
    startAndMeasure();
    OnScreen.rest();
    Bitmap picture = OnScreen.picture(activity, "android_night");
    assertTrue(Color.luminance(picture.getPixel(5, 5)) < 0.05);
  }

  @Test
  public void otherThreadsStartTheMeasurementAnew() {
    startAndMeasure();
    ((ViewGroup) activity.findViewById(R.id.samples)).getChildAt(3).performClick();
    OnScreen.await("two images", () -> OnScreen.text(activity, R.id.agreement).contains("2 of 2 images;"));
    OnScreen.click(activity, R.id.threads_2);
    assertEquals("Stop", OnScreen.text(activity, R.id.run));
    OnScreen.await("one image", () -> OnScreen.text(activity, R.id.agreement).contains("1 of 1 image;"));
    OnScreen.click(activity, R.id.run);
    assertEquals("Start", OnScreen.text(activity, R.id.run));
  }

  @Test
  public void nothingRunsOutOfSight() {
    startAndMeasure();
    controller.pause().stop();
    OnScreen.settle();
    assertEquals("Start", OnScreen.text(activity, R.id.run));
    OnScreen.await(
        "the end of the loop",
        () -> Thread.getAllStackTraces().keySet().stream().noneMatch(MainActivityTest::isLoop));
    controller.start().resume();
    startAndMeasure();
  }

  @Test
  public void withoutAGpuASentenceSaysWhyAndTheCpuIsChosen() {
    Switch gpu = (Switch) activity.findViewById(R.id.gpu);
    gpu.setChecked(true);
    OnScreen.click(activity, R.id.run);
    OnScreen.await("an error", () -> OnScreen.visible(activity, R.id.error));
    String sentence = OnScreen.text(activity, R.id.error);
    assertTrue(sentence, sentence.startsWith("There is no GPU that can be used; the CPU is chosen again. "));
    assertTrue(sentence, sentence.contains("OpenCL"));
    assertFalse(gpu.isChecked());
    OnScreen.picture(activity, "android_no_gpu");
    startAndMeasure();
    assertFalse(OnScreen.visible(activity, R.id.error));
  }

  @Test
  public void theReportSaysWhatWasMeasured() throws JSONException {
    startAndMeasure();
    OnScreen.click(activity, R.id.share);
    Intent chooser = Shadows.shadowOf(activity).getNextStartedActivity();
    assertEquals(Intent.ACTION_CHOOSER, chooser.getAction());
    Intent send = chooser.getParcelableExtra(Intent.EXTRA_INTENT, Intent.class);
    JSONObject report = new JSONObject(send.getStringExtra(Intent.EXTRA_TEXT));
    assertEquals("cpu", report.getString("backend"));
    assertEquals(1, report.getInt("num_threads"));
    assertTrue(report.getJSONObject("pruned").getDouble("median_ms") > 0);
    assertTrue(report.getJSONObject("dense").getLong("runs") > 0);
    assertEquals(1, report.getJSONObject("agreement").getInt("same_class"));
    assertTrue(report.getJSONObject("agreement").getDouble("worst_relative_error") < 1e-4);
    assertNotNull(report.getJSONObject("device").getString("kernels"));
  }

  @Test
  public void anImageOfTheGalleryIsClassified() {
    OnScreen.click(activity, R.id.source_gallery);
    Intent asked = Shadows.shadowOf(activity).getNextStartedActivity();
    assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.getAction());
    Uri address = Uri.parse("content://gallery/1");
    Bitmap picture = Bitmap.createBitmap(640, 480, Bitmap.Config.ARGB_8888);
    picture.eraseColor(Color.WHITE);
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    picture.compress(Bitmap.CompressFormat.PNG, 100, png);
    Shadows.shadowOf(activity.getContentResolver())
        .registerInputStreamSupplier(address, () -> new ByteArrayInputStream(png.toByteArray()));
    Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, new Intent().setData(address));
    OnScreen.await(
        "the image",
        () -> "An image of the gallery, as the models see it".equals(OnScreen.text(activity, R.id.image_label)));
    startAndMeasure();
  }

  @Test
  public void aFileThatIsNoImageIsRefusedInASentence() {
    OnScreen.click(activity, R.id.source_gallery);
    Intent asked = Shadows.shadowOf(activity).getNextStartedActivity();
    Uri address = Uri.parse("content://gallery/2");
    Shadows.shadowOf(activity.getContentResolver())
        .registerInputStreamSupplier(address, () -> new ByteArrayInputStream(new byte[] {1, 2, 3}));
    Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, new Intent().setData(address));
    OnScreen.await("an error", () -> OnScreen.visible(activity, R.id.error));
    assertEquals(
        "This file is no image that the device can read: content://gallery/2.", OnScreen.text(activity, R.id.error));
  }

  @Test
  public void anErrorOfTheGalleryIsASentenceAndAnImageThatComesTooLateIsDropped() {
    Uri address = Uri.parse("content://gallery/3");
    Shadows.shadowOf(activity.getContentResolver())
        .registerInputStreamSupplier(
            address,
            () -> {
              throw new IllegalStateException("the cloud is away");
            });
    OnScreen.click(activity, R.id.source_gallery);
    Intent asked = Shadows.shadowOf(activity).getNextStartedActivity();
    Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, new Intent().setData(address));
    OnScreen.await("an error", () -> OnScreen.visible(activity, R.id.error));
    assertEquals("the cloud is away", OnScreen.text(activity, R.id.error));
    CountDownLatch fetched = new CountDownLatch(1), read = new CountDownLatch(1);
    Shadows.shadowOf(activity.getContentResolver())
        .registerInputStreamSupplier(
            address,
            () -> {
              fetched.countDown();
              try {
                read.await();
              } catch (InterruptedException error) {
                throw new IllegalStateException(error);
              }
              return new ByteArrayInputStream(new byte[0]);
            });
    OnScreen.click(activity, R.id.source_gallery);
    asked = Shadows.shadowOf(activity).getNextStartedActivity();
    Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, new Intent().setData(address));
    OnScreen.await("the thread", () -> fetched.getCount() == 0);
    OnScreen.click(activity, R.id.source_gallery);
    read.countDown();
    OnScreen.await("the end of the thread", () -> !isReadingAPicture());
    assertFalse(OnScreen.visible(activity, R.id.error));
  }

  private static boolean isReadingAPicture() {
    return Thread.getAllStackTraces().keySet().stream().anyMatch(each -> each.getName().equals("tfprune-picture"));
  }

  @Test
  public void theCameraIsAskedForAndARefusalIsExplained() {
    Shadows.shadowOf(activity.getApplication()).denyPermissions(Manifest.permission.CAMERA);
    OnScreen.click(activity, R.id.source_camera);
    assertEquals(
        Manifest.permission.CAMERA, Shadows.shadowOf(activity).getLastRequestedPermission().requestedPermissions[0]);
    int code = Shadows.shadowOf(activity).getLastRequestedPermission().requestCode;
    activity.onRequestPermissionsResult(
        code, new String[] {Manifest.permission.CAMERA}, new int[] {PackageManager.PERMISSION_DENIED});
    assertEquals(activity.getString(R.string.camera_refused), OnScreen.text(activity, R.id.error));
  }

  @Test
  public void anInterruptedQuestionForTheCameraIsAskedAgain() {
    addCamera();
    Shadows.shadowOf(activity.getApplication()).denyPermissions(Manifest.permission.CAMERA);
    OnScreen.click(activity, R.id.source_camera);
    ShadowActivity.PermissionsRequest first = Shadows.shadowOf(activity).getLastRequestedPermission();
    controller.pause().stop().start().resume();
    assertSame("one question at a time", first, Shadows.shadowOf(activity).getLastRequestedPermission());
    activity.onRequestPermissionsResult(first.requestCode, new String[0], new int[0]);
    assertFalse(OnScreen.visible(activity, R.id.error));
    controller.pause().stop().start().resume();
    assertNotSame(first, Shadows.shadowOf(activity).getLastRequestedPermission());
    Shadows.shadowOf(activity.getApplication()).grantPermissions(Manifest.permission.CAMERA);
    activity.onRequestPermissionsResult(
        first.requestCode,
        new String[] {Manifest.permission.CAMERA},
        new int[] {PackageManager.PERMISSION_GRANTED});
    assertFalse(OnScreen.text(activity, R.id.error), OnScreen.visible(activity, R.id.error));
    cameras().triggerDisconnect();
    OnScreen.await("an error", () -> OnScreen.visible(activity, R.id.error));
  }

  private void addCamera() {
    CameraCharacteristics facts = ShadowCameraCharacteristics.newCameraCharacteristics();
    ShadowCameraCharacteristics known = Shadow.extract(facts);
    known.set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_BACK);
    known.set(CameraCharacteristics.SENSOR_ORIENTATION, 90);
    known.set(
        CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP,
        StreamConfigurationMapBuilder.newBuilder()
            .addOutputSize(ImageFormat.YUV_420_888, new Size(640, 480))
            .build());
    cameras().addCamera("0", facts);
  }

  private ShadowCameraManager cameras() {
    return Shadows.shadowOf((CameraManager) activity.getSystemService(Context.CAMERA_SERVICE));
  }

  @Test
  public void theCameraIsOpenedAndItsLossIsExplained() {
    addCamera();
    Shadows.shadowOf(activity.getApplication()).grantPermissions(Manifest.permission.CAMERA);
    OnScreen.click(activity, R.id.source_camera);
    assertFalse(OnScreen.text(activity, R.id.error), OnScreen.visible(activity, R.id.error));
    cameras().triggerDisconnect();
    OnScreen.await("an error", () -> OnScreen.visible(activity, R.id.error));
    assertEquals(
        "Another app has taken the camera: close it, and choose the camera again.",
        OnScreen.text(activity, R.id.error));
    OnScreen.click(activity, R.id.source_camera);
    assertFalse(OnScreen.visible(activity, R.id.error));
  }

  @Test
  public void aDeviceWithoutACameraSaysSo() {
    Shadows.shadowOf(activity.getApplication()).grantPermissions(Manifest.permission.CAMERA);
    OnScreen.click(activity, R.id.source_camera);
    assertEquals(
        "This device has no camera: choose a bundled image or one of the gallery.",
        OnScreen.text(activity, R.id.error));
  }

  @Test
  public void aModelWithAnotherHashIsNotRun() throws JSONException {
    AssetFiles files = new AssetFiles(activity.getAssets());
    Catalog.Entry right = files.catalog().dense.file;
    files.content(right);
    JSONObject other = new JSONObject().put("file", right.name).put("bytes", right.bytes).put("sha256", "00");
    DemoException error = assertThrows(DemoException.class, () -> files.content(new Catalog.Entry(other)));
    assertTrue(error.getMessage(), error.getMessage().contains("its SHA-256 must be 00, got " + right.sha256));
  }

  @Test
  public void aMissingModelIsNamed() throws JSONException {
    JSONObject none = new JSONObject().put("file", "none.tflite").put("bytes", 0).put("sha256", "");
    AssetFiles files = new AssetFiles(activity.getAssets());
    DemoException error = assertThrows(DemoException.class, () -> files.content(new Catalog.Entry(none)));
    assertEquals(
        "The app has no file models/none.tflite: run tools/make_app_models.py and build the app anew.",
        error.getMessage());
  }
}
