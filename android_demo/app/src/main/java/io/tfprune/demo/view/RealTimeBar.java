// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.view;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Paint;
import android.util.AttributeSet;
import android.view.View;
import io.tfprune.demo.R;

/** How much of the 33 ms of a video's frame a model takes. */
public final class RealTimeBar extends View {
  private final Paint paint = new Paint(Paint.ANTI_ALIAS_FLAG);
  private final int track;
  private final int late;
  private int color;
  private double share;

  public RealTimeBar(Context context, AttributeSet attributes) {
    super(context, attributes);
    track = context.getColor(R.color.outline);
    late = context.getColor(R.color.error_text);
    color = context.getColor(R.color.pruned);
  }

  /** Of what is within the time. */
  public void setColor(int color) {
    this.color = color;
    invalidate();
  }

  /** A share above 1 fills the bar, in another colour; NaN leaves it empty. */
  public void setShare(double share) {
    this.share = Double.isNaN(share) ? 0 : share;
    invalidate();
  }

  @Override
  protected void onDraw(Canvas canvas) {
    super.onDraw(canvas);
    float radius = getHeight() / 2f;
    paint.setColor(track);
    canvas.drawRoundRect(0, 0, getWidth(), getHeight(), radius, radius, paint);
    if (share == 0) return;
    paint.setColor(share > 1 ? late : color);
    float width = (float) Math.max(getHeight(), getWidth() * Math.min(1, share));
    canvas.drawRoundRect(0, 0, width, getHeight(), radius, radius, paint);
  }
}
