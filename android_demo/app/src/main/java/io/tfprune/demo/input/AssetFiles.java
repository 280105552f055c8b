// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.input;

import android.content.res.AssetManager;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import io.tfprune.demo.logic.Catalog;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Sha256;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** The files that come with the app, each checked by its hash. */
public final class AssetFiles {
  /** Of what {@code tools/make_app_models.py} writes. */
  private static final String FOLDER = "models";

  private static final int CHUNK_BYTES = 1 << 16;

  private final AssetManager assets;

  public AssetFiles(AssetManager assets) {
    this.assets = assets;
  }

  /** The models and images of the first screen. */
  public Catalog catalog() {
    return Catalog.parse(text("models.json"));
  }

  /** A text, which nothing is there to check by. */
  public String text(String name) {
    return new String(bytes(name), StandardCharsets.UTF_8);
  }

  /**
   * A file's content, in memory that TensorFlow Lite can read.
   *
   * @throws DemoException it is missing, or not the one that was made.
   */
  public ByteBuffer content(Catalog.Entry entry) {
    byte[] bytes = bytes(entry.name);
    ByteBuffer content = ByteBuffer.allocateDirect(bytes.length).order(ByteOrder.nativeOrder()).put(bytes);
    content.rewind();
    Sha256.check(entry.name, content, entry.sha256);
    return content;
  }

  public Bitmap image(Catalog.Entry entry) {
    byte[] bytes = bytes(entry.name);
    Sha256.check(entry.name, ByteBuffer.wrap(bytes), entry.sha256);
    Bitmap image = BitmapFactory.decodeByteArray(bytes, 0, bytes.length);
    if (image == null) throw new DemoException(entry.name + " is no image that this device can read.");
    return image;
  }

  private byte[] bytes(String name) {
    try (InputStream stream = assets.open(FOLDER + "/" + name)) {
      ByteArrayOutputStream content = new ByteArrayOutputStream();
      byte[] chunk = new byte[CHUNK_BYTES];
      for (int length = stream.read(chunk); length >= 0; length = stream.read(chunk)) content.write(chunk, 0, length);
      return content.toByteArray();
    } catch (IOException error) {
      throw new DemoException(
          "The app has no file " + FOLDER + "/" + name + ": run tools/make_app_models.py and build the app anew.",
          error);
    }
  }
}
