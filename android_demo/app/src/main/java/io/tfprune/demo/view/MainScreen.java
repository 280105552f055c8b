// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.view;

import android.app.Activity;
import android.content.res.Resources;
import android.graphics.Bitmap;
import android.graphics.drawable.BitmapDrawable;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.ImageView;
import android.widget.RadioGroup;
import android.widget.Switch;
import android.widget.TextView;
import io.tfprune.demo.R;
import io.tfprune.demo.logic.Agreement;
import io.tfprune.demo.logic.Catalog;
import io.tfprune.demo.logic.Formats;
import io.tfprune.demo.logic.Settings;
import io.tfprune.demo.logic.Snapshot;
import java.util.function.IntConsumer;

/** The views of the first screen: shows what it is told, and says what is chosen. Of the main thread. */
public final class MainScreen {
  private final Resources resources;
  private final ModelCard dense;
  private final ModelCard pruned;
  private final LatencyChart chart;
  private final TextView subtitle;
  private final RadioGroup sources;
  private final ViewGroup strip;
  private final ImageView image;
  private final TextView imageLabel;
  private final TextView speedup;
  private final TextView agreement;
  private final TextView error;
  private final Switch gpu;
  private final RadioGroup threads;
  private final Button run;
  private final Button share;
  private Catalog catalog;

  public MainScreen(Activity activity) {
    resources = activity.getResources();
    int denseColor = activity.getColor(R.color.dense), prunedColor = activity.getColor(R.color.pruned);
    dense = new ModelCard(activity.findViewById(R.id.dense), R.string.dense, denseColor);
    pruned = new ModelCard(activity.findViewById(R.id.pruned), R.string.pruned, prunedColor);
    chart = (LatencyChart) activity.findViewById(R.id.chart);
    subtitle = (TextView) activity.findViewById(R.id.subtitle);
    sources = (RadioGroup) activity.findViewById(R.id.sources);
    strip = (ViewGroup) activity.findViewById(R.id.samples);
    image = (ImageView) activity.findViewById(R.id.image);
    imageLabel = (TextView) activity.findViewById(R.id.image_label);
    speedup = (TextView) activity.findViewById(R.id.speedup);
    agreement = (TextView) activity.findViewById(R.id.agreement);
    error = (TextView) activity.findViewById(R.id.error);
    gpu = (Switch) activity.findViewById(R.id.gpu);
    threads = (RadioGroup) activity.findViewById(R.id.threads);
    run = (Button) activity.findViewById(R.id.run);
    share = (Button) activity.findViewById(R.id.share);
    image.setClipToOutline(true);
  }

  /** What the app carries. */
  public void showCatalog(Catalog catalog) {
    this.catalog = catalog;
    subtitle.setText(catalog.trained ? catalog.name : resources.getString(R.string.untrained, catalog.name));
    dense.showFile(catalog.dense);
    pruned.showFile(catalog.pruned);
  }

  /** Adds a small picture of a bundled image to the strip. */
  public void addSample(Bitmap picture, String label, int number, IntConsumer chosen) {
    ImageView small = (ImageView) LayoutInflater.from(strip.getContext()).inflate(R.layout.sample, strip, false);
    small.setImageDrawable(pixelated(picture));
    small.setContentDescription(label);
    small.setClipToOutline(true);
    small.setOnClickListener(view -> chosen.accept(number));
    strip.addView(small);
  }

  /** What the models see, and what is known of it. */
  public void showImage(Bitmap seen, String label) {
    image.setImageDrawable(pixelated(seen));
    imageLabel.setText(label);
  }

  /** Pixels as they are: what is shown is what the models get. */
  private BitmapDrawable pixelated(Bitmap picture) {
    BitmapDrawable drawable = new BitmapDrawable(resources, picture);
    drawable.setFilterBitmap(false);
    return drawable;
  }

  public void show(Snapshot found) {
    dense.show(found.denseAnswer, found.dense);
    pruned.show(found.prunedAnswer, found.pruned);
    chart.setPoints(found.points);
    double smaller = (double) catalog.dense.file.bytes / catalog.pruned.file.bytes;
    speedup.setText(resources.getString(R.string.speedup, Formats.times(found.speedup()), Formats.times(smaller)));
    speedup.setVisibility(View.VISIBLE);
    agreement.setText(sentence(found.agreement));
    share.setEnabled(true);
  }

  private String sentence(Agreement found) {
    return resources.getString(
        R.string.agreement,
        Formats.count(found.sameClass()),
        resources.getQuantityString(R.plurals.images, (int) found.inputs(), Formats.count(found.inputs())),
        Formats.error(found.worst()));
  }

  public void showRunning(boolean running) {
    run.setText(running ? R.string.stop : R.string.start);
    run.setActivated(running);
  }

  /** What went wrong, in a sentence; null takes it away. */
  public void showError(String sentence) {
    error.setText(sentence);
    error.setVisibility(sentence == null ? View.GONE : View.VISIBLE);
  }

  /** What is chosen. */
  public Settings settings() {
    int chosen = threads.getCheckedRadioButtonId();
    return new Settings(gpu.isChecked(), chosen == R.id.threads_4 ? 4 : chosen == R.id.threads_2 ? 2 : 1);
  }

  /** Called when another setting is chosen. */
  public void onSettings(Runnable changed) {
    gpu.setOnCheckedChangeListener((button, checked) -> changed.run());
    threads.setOnCheckedChangeListener((group, id) -> changed.run());
  }

  public void chooseBundled() {
    sources.check(R.id.source_samples);
  }

  public void chooseCpu() {
    gpu.setChecked(false);
  }

  public void onRun(Runnable pressed) {
    run.setOnClickListener(view -> pressed.run());
  }

  public void onShare(Runnable pressed) {
    share.setOnClickListener(view -> pressed.run());
  }

  /** Nothing can be run. */
  public void disable() {
    run.setEnabled(false);
  }
}
