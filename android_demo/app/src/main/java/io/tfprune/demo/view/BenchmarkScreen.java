// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.view;

import android.app.Activity;
import android.content.res.Resources;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.ProgressBar;
import android.widget.RadioGroup;
import android.widget.TextView;
import io.tfprune.demo.R;
import io.tfprune.demo.logic.Formats;
import io.tfprune.demo.profile.HeldOut;
import io.tfprune.demo.profile.Measured;

/** The views of the benchmark. Of the main thread. */
public final class BenchmarkScreen {
  private final Resources resources;
  private final TextView error;
  private final TextView step;
  private final TextView result;
  private final TextView command;
  private final ProgressBar progress;
  private final RadioGroup threads;
  private final ViewGroup layers;
  private final Button run;
  private final Button share;
  private final View results;

  public BenchmarkScreen(Activity activity) {
    resources = activity.getResources();
    error = (TextView) activity.findViewById(R.id.error);
    step = (TextView) activity.findViewById(R.id.step);
    result = (TextView) activity.findViewById(R.id.result_text);
    command = (TextView) activity.findViewById(R.id.command);
    progress = (ProgressBar) activity.findViewById(R.id.progress);
    threads = (RadioGroup) activity.findViewById(R.id.threads);
    layers = (ViewGroup) activity.findViewById(R.id.layers);
    run = (Button) activity.findViewById(R.id.run);
    share = (Button) activity.findViewById(R.id.share);
    results = activity.findViewById(R.id.result);
  }

  public void clear() {
    showError(null);
    layers.removeAllViews();
    results.setVisibility(View.GONE);
    progress.setProgress(0);
  }

  public void showRunning(boolean running) {
    run.setText(running ? R.string.stop : R.string.measure);
    run.setActivated(running);
    for (int i = 0; i < threads.getChildCount(); ++i) threads.getChildAt(i).setEnabled(!running);
    if (!running) step.setText(R.string.benchmark_idle);
  }

  public void showStep(int done, int of, String name) {
    progress.setMax(of);
    progress.setProgress(done);
    step.setText(resources.getString(R.string.step, done + 1, of, name));
  }

  public void addLayer(Measured.Layer layer) {
    View row = LayoutInflater.from(layers.getContext()).inflate(R.layout.layer, layers, false);
    ((TextView) row.findViewById(R.id.layer_name)).setText(layer.plan.name);
    String times =
        resources.getString(
            R.string.layer_times, Formats.microseconds(layer.dense), Formats.microseconds(layer.sparse));
    ((TextView) row.findViewById(R.id.layer_times)).setText(times);
    TextView speedup = (TextView) row.findViewById(R.id.layer_speedup);
    speedup.setText(Formats.times(layer.speedup()));
    speedup.setActivated(layer.speedup() > 1);
    layers.addView(row);
  }

  public void showFinished(String path, HeldOut errors) {
    progress.setProgress(progress.getMax());
    result.setText(
        resources.getString(
            R.string.profile_written,
            Formats.wholePercent(errors.quantile(0.5)),
            Formats.wholePercent(errors.quantile(0.9))));
    command.setText(resources.getString(R.string.profile_command, path));
    step.setText(R.string.benchmark_done);
    results.setVisibility(View.VISIBLE);
    share.setEnabled(true);
  }

  /** What went wrong, in a sentence; null takes it away. */
  public void showError(String sentence) {
    error.setText(sentence);
    error.setVisibility(sentence == null ? View.GONE : View.VISIBLE);
  }

  public int threads() {
    int chosen = threads.getCheckedRadioButtonId();
    return chosen == R.id.threads_4 ? 4 : chosen == R.id.threads_2 ? 2 : 1;
  }

  public void onRun(Runnable pressed) {
    run.setOnClickListener(view -> pressed.run());
  }

  public void onShare(Runnable pressed) {
    share.setOnClickListener(view -> pressed.run());
  }
}
