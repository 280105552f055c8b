// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.input;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.net.Uri;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.GreyImage;
import java.io.IOException;
import java.io.InputStream;

/** Between Android's images and those of the models. */
public final class Images {
  /** Images of the gallery are read at this size or up to twice as large: models see far fewer pixels. */
  private static final int READ_PIXELS = 512;

  private Images() {}

  public static GreyImage grey(Bitmap image) {
    int width = image.getWidth(), height = image.getHeight();
    int[] pixels = new int[width * height];
    image.getPixels(pixels, 0, width, 0, 0, width, height);
    return GreyImage.ofArgb(pixels, width, height);
  }

  public static Bitmap bitmap(GreyImage image) {
    return Bitmap.createBitmap(image.toArgb(), image.width(), image.height(), Bitmap.Config.ARGB_8888);
  }

  /**
   * An image of the gallery.
   *
   * @throws DemoException it cannot be read.
   */
  public static Bitmap read(ContentResolver resolver, Uri address) {
    BitmapFactory.Options options = new BitmapFactory.Options();
    options.inJustDecodeBounds = true;
    decode(resolver, address, options);
    options.inJustDecodeBounds = false;
    int shorter = Math.min(options.outWidth, options.outHeight);
    options.inSampleSize = Math.max(1, Integer.highestOneBit(Math.max(1, shorter / READ_PIXELS)));
    Bitmap image = decode(resolver, address, options);
    if (image == null) throw new DemoException("This file is no image that the device can read: " + address + ".");
    return image;
  }

  private static Bitmap decode(ContentResolver resolver, Uri address, BitmapFactory.Options options) {
    try (InputStream stream = resolver.openInputStream(address)) {
      if (stream == null) throw new DemoException("The image cannot be opened: " + address + ".");
      return BitmapFactory.decodeStream(stream, null, options);
    } catch (IOException | SecurityException error) {
      throw new DemoException("The image cannot be opened: " + DemoException.sentence(error) + ".", error);
    }
  }
}
