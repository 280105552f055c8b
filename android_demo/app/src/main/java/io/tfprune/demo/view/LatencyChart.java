// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.view;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.DashPathEffect;
import android.graphics.Paint;
import android.graphics.Path;
import android.util.AttributeSet;
import android.util.TypedValue;
import android.view.View;
import io.tfprune.demo.R;
import io.tfprune.demo.logic.Formats;
import io.tfprune.demo.logic.LatencySummary;
import java.util.Arrays;

/** The times of both models over the last while, and the time of a video's frame where it is in sight. */
public final class LatencyChart extends View {
  private static final int GRID_LINES = 4;
  private static final int FILL_ALPHA = 28;
  private static final int MOST_POINTS = 120;

  private final Paint grid = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final Paint text = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final Paint line = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final Paint fill = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final Paint limit = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final Path path = new Path();
  private final int[] colors;
  private float[][] points = {};

  public LatencyChart(Context context, AttributeSet attributes) {
    super(context, attributes);
    colors = new int[] {context.getColor(R.color.dense), context.getColor(R.color.pruned)};
    grid.setColor(context.getColor(R.color.outline));
    grid.setStrokeWidth(pixels(1));
    text.setColor(context.getColor(R.color.text_secondary));
    text.setTextSize(TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 11, getResources().getDisplayMetrics()));
    line.setStyle(Paint.Style.STROKE);
    line.setStrokeWidth(pixels(2));
    line.setStrokeJoin(Paint.Join.ROUND);
    line.setStrokeCap(Paint.Cap.ROUND);
    limit.setColor(context.getColor(R.color.error_text));
    limit.setStyle(Paint.Style.STROKE);
    limit.setStrokeWidth(pixels(1));
    limit.setPathEffect(new DashPathEffect(new float[] {pixels(4), pixels(4)}, 0));
  }

  /** Milliseconds of the dense and of the pruned model, the oldest first. */
  public void setPoints(float[][] points) {
    this.points = points;
    setContentDescription(description());
    invalidate();
  }

  private String description() {
    if (points.length == 0) return getResources().getString(R.string.chart_empty);
    float[] last = points[points.length - 1];
    return getResources()
        .getString(R.string.chart_description, Formats.milliseconds(last[0]), Formats.milliseconds(last[1]));
  }

  @Override
  protected void onDraw(Canvas canvas) {
    super.onDraw(canvas);
    double top = top();
    float left = widestLabel(top) + pixels(8), right = getWidth() - pixels(2);
    float above = text.getTextSize(), below = getHeight() - pixels(4);
    drawGrid(canvas, top, left, right, above, below);
    if (points.length == 0) {
      String hint = getResources().getString(R.string.chart_empty);
      canvas.drawText(hint, (left + right - text.measureText(hint)) / 2, (above + below) / 2, text);
    }
    if (top >= LatencySummary.REAL_TIME) {
      float y = (float) (below - (below - above) * LatencySummary.REAL_TIME / top);
      canvas.drawLine(left, y, right, y, limit);
    }
    for (int model = 0; model < colors.length; ++model) drawModel(canvas, model, top, left, right, above, below);
  }

  private float widestLabel(double top) {
    float widest = 0;
    for (int i = 0; i <= GRID_LINES; ++i) {
      widest = Math.max(widest, text.measureText(Formats.axis(top * i / GRID_LINES)));
    }
    return widest;
  }

  private void drawGrid(Canvas canvas, double top, float left, float right, float above, float below) {
    for (int i = 0; i <= GRID_LINES; ++i) {
      float y = below - (below - above) * i / GRID_LINES;
      canvas.drawLine(left, y, right, y, grid);
      String label = Formats.axis(top * i / GRID_LINES);
      canvas.drawText(label, left - pixels(8) - text.measureText(label), y + text.getTextSize() / 3, text);
    }
  }

  private void drawModel(Canvas canvas, int model, double top, float left, float right, float above, float below) {
    if (points.length < 2) return;
    float step = (right - left) / (MOST_POINTS - 1);
    // The newest point is at the right edge.
    float first = right - step * (points.length - 1);
    path.rewind();
    for (int i = 0; i < points.length; ++i) {
      float x = first + step * i, y = (float) (below - (below - above) * Math.min(1, points[i][model] / top));
      if (i == 0) path.moveTo(x, y);
      else path.lineTo(x, y);
    }
    line.setColor(colors[model]);
    canvas.drawPath(path, line);
    path.lineTo(right, below);
    path.lineTo(first, below);
    path.close();
    fill.setColor(colors[model]);
    fill.setAlpha(FILL_ALPHA);
    canvas.drawPath(path, fill);
  }

  /** The upper end of the scale: a round number above nearly all points, so that one hiccup flattens nothing. */
  private double top() {
    double most = 0;
    float[] values = new float[points.length];
    for (int model = 0; model < colors.length; ++model) {
      for (int i = 0; i < points.length; ++i) values[i] = points[i][model];
      Arrays.sort(values);
      if (values.length > 0) most = Math.max(most, values[(int) (0.98 * (values.length - 1))]);
    }
    if (most == 0) return 1;
    double size = Math.pow(10, Math.floor(Math.log10(most)));
    for (double round : new double[] {1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8}) {
      if (most * 1.1 <= round * size) return round * size;
    }
    return 12 * size;
  }

  private float pixels(float density) {
    return TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_DIP, density, getResources().getDisplayMetrics());
  }
}
