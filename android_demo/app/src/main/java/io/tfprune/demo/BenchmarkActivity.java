// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo;

import android.app.Activity;
import android.os.Bundle;
import android.view.WindowManager;
import io.tfprune.demo.engine.LayerTimer;
import io.tfprune.demo.engine.ProfileRun;
import io.tfprune.demo.input.AssetFiles;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Settings;
import io.tfprune.demo.profile.HeldOut;
import io.tfprune.demo.profile.Measured;
import io.tfprune.demo.profile.ProfilePlan;
import io.tfprune.demo.profile.ProfileTable;
import io.tfprune.demo.view.BenchmarkScreen;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Measures layers on this device and writes the latency profile that {@code tfprune map} reads. */
public final class BenchmarkActivity extends Activity {
  private static final String FILE = "profile.json";
  private static final long WARM_UP = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long SAMPLE = TimeUnit.MILLISECONDS.toNanos(1);
  private static final long ENOUGH = TimeUnit.MILLISECONDS.toNanos(60);

  /** One: a measurement that was stopped ends its layer before the next begins, which would share the cores with it. */
  private final ExecutorService worker = Executors.newSingleThreadExecutor();

  private BenchmarkScreen screen;
  private Work work; // null while nothing is measured
  private String profile; // null until one is written

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    setContentView(R.layout.benchmark);
    screen = new BenchmarkScreen(this);
    findViewById(R.id.back).setOnClickListener(view -> finish());
    screen.onRun(this::startOrStop);
    screen.onShare(() -> Sharing.share(this, FILE, profile));
  }

  private void startOrStop() {
    if (work != null) {
      stop();
      return;
    }
    screen.clear();
    screen.showRunning(true);
    // A screen that goes dark slows the device down.
    getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
    work = new Work(screen.threads());
    worker.execute(work);
  }

  private void stop() {
    if (work != null) work.stopped = true;
    work = null;
    screen.showRunning(false);
    getWindow().clearFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON);
  }

  @Override
  protected void onStop() {
    // Android slows down what is not in sight: times would say nothing.
    if (work != null) screen.showError(getString(R.string.benchmark_left));
    stop();
    super.onStop();
  }

  @Override
  protected void onDestroy() {
    worker.shutdown();
    super.onDestroy();
  }

  /** One measurement, on a thread of its own; what it says later than it is stopped is not listened to. */
  private final class Work implements Runnable, ProfileRun.Listener {
    private final int threads;
    private volatile boolean stopped;

    private Work(int threads) {
      this.threads = threads;
    }

    @Override
    public void run() {
      if (stopped) return;
      try {
        AssetFiles files = new AssetFiles(getAssets());
        LayerTimer timer = new LayerTimer(new Settings(false, threads), getCodeCacheDir(), WARM_UP, SAMPLE, ENOUGH);
        Measured found = new ProfileRun(files, timer, this).run(ProfilePlan.parse(files.text(FILE)));
        if (found == null) return;
        String text =
            ProfileTable.of(
                found,
                DeviceFacts.device(),
                threads,
                DeviceFacts.library(BenchmarkActivity.this),
                DeviceFacts.today());
        File written = write(text);
        tell(() -> finished(text, written, HeldOut.ofLayers(found.layers())));
      } catch (RuntimeException | LinkageError error) {
        tell(
            () -> {
              stop();
              screen.showError(DemoException.sentence(error));
            });
      }
    }

    @Override
    public void onStep(int done, int of, String name) {
      tell(() -> screen.showStep(done, of, name));
    }

    @Override
    public void onLayer(Measured.Layer layer) {
      tell(() -> screen.addLayer(layer));
    }

    @Override
    public boolean stopped() {
      return stopped;
    }

    private void tell(Runnable what) {
      runOnUiThread(
          () -> {
            if (work == this) what.run();
          });
    }
  }

  private void finished(String text, File written, HeldOut errors) {
    profile = text;
    stop();
    screen.showFinished(written.getPath(), errors);
  }

  /** As a whole or not at all: where a computer can fetch it, if there is such a place. */
  private File write(String text) {
    File shared = getExternalFilesDir(null), folder = shared == null ? getFilesDir() : shared;
    File target = new File(folder, FILE), temporary = new File(folder, FILE + ".tmp");
    try (FileOutputStream stream = new FileOutputStream(temporary)) {
      stream.write(text.getBytes(StandardCharsets.UTF_8));
      stream.getFD().sync();
    } catch (IOException error) {
      throw new DemoException("The profile cannot be written: " + DemoException.sentence(error) + ".", error);
    }
    if (!temporary.renameTo(target)) throw new DemoException("The profile cannot be written to " + target + ".");
    return target;
  }
}
