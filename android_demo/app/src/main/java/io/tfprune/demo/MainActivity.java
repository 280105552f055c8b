// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import android.Manifest;
import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.net.Uri;
import android.os.Bundle;
import io.tfprune.demo.engine.ComparisonLoop;
import io.tfprune.demo.engine.Pair;
import io.tfprune.demo.input.AssetFiles;
import io.tfprune.demo.input.CameraFrames;
import io.tfprune.demo.input.Images;
import io.tfprune.demo.logic.Catalog;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.GreyImage;
import io.tfprune.demo.logic.RunReport;
import io.tfprune.demo.logic.Settings;
import io.tfprune.demo.logic.Snapshot;
import io.tfprune.demo.view.MainScreen;
import io.tfprune.lite.TfpruneGpu;

/** Classifies images with the dense and the pruned model, side by side. */
public final class MainActivity extends Activity {
  private static final int GALLERY = 1;
  private static final int CAMERA = 2;
  private static final int QUARTER_TURN = 90;

  private AssetFiles files;
  private Catalog catalog; // null where the app carries no models
  private MainScreen screen;
  private ComparisonLoop loop; // null while nothing runs
  private int loops; // that there were
  private CameraFrames camera; // null while another source is chosen, or the app is not in sight
  private boolean cameraChosen;
  private boolean permissionAsked; // and not answered yet
  private int pictures; // that were chosen in the gallery, or something else since
  private float[] input;
  private Settings measuredWith;
  private Snapshot last;

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    setContentView(R.layout.main);
    screen = new MainScreen(this);
    files = new AssetFiles(getAssets());
    findViewById(R.id.benchmark).setOnClickListener(view -> startActivity(new Intent(this, BenchmarkActivity.class)));
    try {
      catalog = files.catalog();
      screen.showCatalog(catalog);
      showSamples();
      chooseSample(0);
    } catch (DemoException error) {
      catalog = null;
      screen.showError(error.getMessage());
      screen.disable();
      return;
    }
    screen.onRun(this::startOrStop);
    screen.onShare(this::share);
    screen.onSettings(this::restart);
    for (int source : new int[] {R.id.source_samples, R.id.source_gallery, R.id.source_camera}) {
      findViewById(source).setOnClickListener(view -> chooseSource(source));
    }
  }

  private void showSamples() {
    for (int number = 0; number < catalog.samples.size(); ++number) {
      Catalog.Sample sample = catalog.samples.get(number);
      screen.addSample(files.image(sample.file), sample.label, number, this::chooseSample);
    }
  }

  private void chooseSample(int number) {
    leaveCamera();
    ++pictures;
    screen.chooseBundled();
    Catalog.Sample sample = catalog.samples.get(number);
    // As the training images are: neither cut nor inverted.
    classify(Images.grey(files.image(sample.file)), getString(R.string.shows, sample.label));
  }

  private void chooseSource(int id) {
    screen.showError(null);
    leaveCamera();
    ++pictures;
    if (id == R.id.source_gallery) {
      openGallery();
    } else if (id == R.id.source_camera) {
      cameraChosen = true;
      openCamera();
    }
  }

  private void openGallery() {
    Intent intent = new Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("image/*");
    try {
      startActivityForResult(intent, GALLERY);
    } catch (ActivityNotFoundException error) {
      screen.showError(getString(R.string.no_gallery));
    }
  }

  @Override
  protected void onActivityResult(int request, int result, Intent data) {
    if (request != GALLERY || result != RESULT_OK || data == null || data.getData() == null || catalog == null) return;
    Uri address = data.getData();
    int number = ++pictures;
    // A document may have to be fetched from somewhere first.
    new Thread(() -> readPicture(address, number), "tfprune-picture").start();
  }

  private void readPicture(Uri address, int number) {
    Runnable told;
    try {
      GreyImage seen = forModel(Images.grey(Images.read(getContentResolver(), address)).centreSquare());
      told = () -> classify(seen, getString(R.string.from_gallery));
    } catch (RuntimeException error) { // a provider's own, too
      told = () -> screen.showError(DemoException.sentence(error));
    }
    Runnable last = told;
    runOnUiThread(
        () -> {
          if (number == pictures) last.run();
        });
  }

  private GreyImage forModel(GreyImage square) {
    return square.resized(catalog.inputSize, catalog.inputSize).onDark();
  }

  private void openCamera() {
    if (camera != null) return;
    if (checkSelfPermission(Manifest.permission.CAMERA) != PackageManager.PERMISSION_GRANTED) {
      // A second question would cancel the first.
      if (!permissionAsked) requestPermissions(new String[] {Manifest.permission.CAMERA}, CAMERA);
      permissionAsked = true;
      return;
    }
    try {
      camera = new CameraFrames(this, this::screenTurn, new Frames());
    } catch (DemoException error) {
      cameraChosen = false;
      screen.showError(error.getMessage());
    }
  }

  // The display of the window is what API 24 has. Asked for each frame, on the camera's thread: from one landscape to
  // the other nothing tells an activity.
  @SuppressWarnings("deprecation")
  private int screenTurn() {
    return getWindowManager().getDefaultDisplay().getRotation() * QUARTER_TURN;
  }

  @Override
  public void onRequestPermissionsResult(int request, String[] permissions, int[] results) {
    if (request != CAMERA) return;
    permissionAsked = false;
    // Without results the question was interrupted: it is asked again when the app is back in sight.
    if (!cameraChosen || results.length == 0) return;
    if (results[0] == PackageManager.PERMISSION_GRANTED) {
      openCamera();
    } else {
      cameraChosen = false;
      screen.showError(getString(R.string.camera_refused));
    }
  }

  private final class Frames implements CameraFrames.Listener {
    @Override
    public void onFrame(GreyImage square) {
      GreyImage seen = forModel(square);
      runOnUiThread(
          () -> {
            if (camera != null) classify(seen, getString(R.string.from_camera));
          });
    }

    @Override
    public void onError(String sentence) {
      runOnUiThread(
          () -> {
            leaveCamera();
            screen.showError(sentence);
          });
    }
  }

  private void leaveCamera() {
    cameraChosen = false;
    closeCamera();
  }

  private void closeCamera() {
    if (camera != null) camera.close();
    camera = null;
  }

  private void classify(GreyImage seen, String label) {
    screen.showImage(Images.bitmap(seen), label);
    input = seen.standardised(catalog.inputMean, catalog.inputSpread);
    if (loop != null) loop.setInput(input);
  }

  private void startOrStop() {
    screen.showError(null);
    if (loop == null) start();
    else stop();
  }

  private void start() {
    Settings settings = screen.settings();
    ComparisonLoop started = new ComparisonLoop(this::open, settings, new Told(settings));
    loop = started;
    started.setInput(input);
    started.start();
    screen.showRunning(true);
  }

  private void stop() {
    if (loop != null) loop.stop();
    loop = null;
    screen.showRunning(false);
  }

  /** Times under other settings begin anew. */
  private void restart() {
    if (loop == null) return;
    stop();
    start();
  }

  /** On the loop's thread. */
  private Pair open(Settings settings) {
    if (settings.gpu && !TfpruneGpu.isAvailable(this)) {
      throw new DemoException(getString(R.string.no_gpu, TfpruneGpu.whyUnavailable(this)));
    }
    return new Pair(
        files.content(catalog.dense.file),
        files.content(catalog.pruned.file),
        catalog.labels,
        settings,
        getCodeCacheDir());
  }

  private final class Told implements ComparisonLoop.Listener {
    private final int number = ++loops;
    private final Settings settings;

    private Told(Settings settings) {
      this.settings = settings;
    }

    /** What a loop said before it was stopped may arrive later. */
    private boolean current() {
      return loop != null && number == loops;
    }

    @Override
    public void onSnapshot(Snapshot snapshot) {
      runOnUiThread(
          () -> {
            if (!current()) return;
            last = snapshot;
            measuredWith = settings;
            screen.show(snapshot);
          });
    }

    @Override
    public void onError(String sentence) {
      runOnUiThread(
          () -> {
            if (!current()) return;
            stop();
            screen.showError(sentence);
            if (screen.settings().gpu) screen.chooseCpu();
          });
    }
  }

  private void share() {
    String report = RunReport.of(catalog, measuredWith, DeviceFacts.device(), last, DeviceFacts.today());
    Sharing.share(this, getString(R.string.report_title), report);
  }

  @Override
  protected void onStart() {
    super.onStart();
    if (cameraChosen && camera == null) openCamera();
  }

  @Override
  protected void onStop() {
    // Nothing runs, and nobody's camera is taken, while the app is not in sight.
    closeCamera();
    stop();
    super.onStop();
  }
}
