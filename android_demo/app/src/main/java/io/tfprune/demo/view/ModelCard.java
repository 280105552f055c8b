// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.view;

import android.content.res.Resources;
import android.view.View;
import android.widget.TextView;
import io.tfprune.demo.R;
import io.tfprune.demo.logic.Answer;
import io.tfprune.demo.logic.Catalog;
import io.tfprune.demo.logic.Formats;
import io.tfprune.demo.logic.LatencySummary;

/** What is known of one of the two models: its answer, its times, its file. */
final class ModelCard {
  private final Resources resources;
  private final TextView answer;
  private final TextView share;
  private final TextView median;
  private final TextView p90;
  private final TextView frames;
  private final TextView file;
  private final RealTimeBar bar;

  ModelCard(View root, int title, int color) {
    resources = root.getResources();
    TextView name = (TextView) root.findViewById(R.id.model_name);
    name.setText(title);
    name.setTextColor(color);
    answer = (TextView) root.findViewById(R.id.answer);
    share = (TextView) root.findViewById(R.id.answer_share);
    median = (TextView) root.findViewById(R.id.median);
    p90 = (TextView) root.findViewById(R.id.p90);
    frames = (TextView) root.findViewById(R.id.frames);
    file = (TextView) root.findViewById(R.id.file);
    bar = (RealTimeBar) root.findViewById(R.id.real_time);
    bar.setColor(color);
  }

  void showFile(Catalog.Model model) {
    String size = Formats.bytes(model.file.bytes);
    file.setText(
        Double.isNaN(model.accuracy)
            ? size
            : resources.getString(R.string.size_and_accuracy, size, Formats.percent(model.accuracy)));
  }

  void show(Answer given, LatencySummary times) {
    answer.setText(given.label);
    share.setText(resources.getString(R.string.certain, Formats.percent(given.share)));
    median.setText(times.known() ? Formats.milliseconds(times.median) : resources.getString(R.string.warming_up));
    p90.setText(resources.getString(R.string.p90, Formats.milliseconds(times.p90)));
    frames.setText(Formats.framesPerSecond(times.framesPerSecond()));
    bar.setShare(times.shareOfRealTime());
    bar.setContentDescription(
        resources.getString(R.string.share_of_frame, Formats.percent(times.shareOfRealTime())));
  }
}
