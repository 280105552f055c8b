// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.input;

import android.content.Context;
import android.graphics.ImageFormat;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Size;
import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.GreyImage;
import java.util.Collections;
import java.util.function.IntSupplier;

/**
 * Frames of the camera on the back, or of another where there is none, as grey squares, until it is closed. Opened and
 * closed by the main thread.
 */
public final class CameraFrames implements AutoCloseable {
  /** Is told on the camera's thread. */
  public interface Listener {
    void onFrame(GreyImage square);

    /** There are no more frames after this. */
    void onError(String sentence);
  }

  private static final int WANTED_PIXELS = 480; // of the shorter side: more is only work
  private static final int FRAMES_IN_FLIGHT = 2;
  private static final int FULL_TURN = 360;

  private final Listener listener;
  private final HandlerThread thread = new HandlerThread("tfprune-camera");
  private final Handler handler;
  private final IntSupplier screenTurn;
  private final int mounted; // degrees by which the sensor is turned
  private final boolean front;
  private final ImageReader reader;
  private CameraDevice camera; // of the camera's thread, as what follows
  private boolean closed;

  /**
   * @param screenTurn degrees by which the screen is turned from its natural position; asked on the camera's thread.
   * @throws DemoException there is no camera that can be used, and why.
   */
  public CameraFrames(Context context, IntSupplier screenTurn, Listener listener) {
    this.listener = listener;
    this.screenTurn = screenTurn;
    CameraManager manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
    try {
      String id = onTheBack(manager);
      CameraCharacteristics facts = manager.getCameraCharacteristics(id);
      Integer orientation = facts.get(CameraCharacteristics.SENSOR_ORIENTATION);
      mounted = orientation == null ? 0 : orientation;
      Integer facing = facts.get(CameraCharacteristics.LENS_FACING);
      front = facing != null && facing == CameraCharacteristics.LENS_FACING_FRONT;
      Size size = frameSize(facts);
      reader = ImageReader.newInstance(size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, FRAMES_IN_FLIGHT);
      thread.start();
      handler = new Handler(thread.getLooper());
      reader.setOnImageAvailableListener(this::take, handler);
      open(manager, id);
    } catch (CameraAccessException | SecurityException | IllegalArgumentException error) {
      throw new DemoException("The camera cannot be opened: " + DemoException.sentence(error) + ".", error);
    }
  }

  private void open(CameraManager manager, String id) throws CameraAccessException {
    boolean opening = false;
    try {
      manager.openCamera(id, new Opened(), handler);
      opening = true;
    } finally {
      if (!opening) {
        reader.close();
        thread.quitSafely();
      }
    }
  }

  private static String onTheBack(CameraManager manager) throws CameraAccessException {
    String[] ids = manager.getCameraIdList();
    for (String id : ids) {
      Integer facing = manager.getCameraCharacteristics(id).get(CameraCharacteristics.LENS_FACING);
      if (facing != null && facing == CameraCharacteristics.LENS_FACING_BACK) return id;
    }
    if (ids.length == 0) {
      throw new DemoException("This device has no camera: choose a bundled image or one of the gallery.");
    }
    return ids[0];
  }

  /** The smallest size that is large enough, or the largest there is. */
  private static Size frameSize(CameraCharacteristics facts) {
    StreamConfigurationMap map = facts.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
    Size[] sizes = map == null ? null : map.getOutputSizes(ImageFormat.YUV_420_888);
    if (sizes == null || sizes.length == 0) {
      throw new DemoException("This camera gives no frames that the app can read: choose an image instead.");
    }
    Size best = sizes[0];
    for (Size size : sizes) {
      boolean enough = shorter(size) >= WANTED_PIXELS, bestIsEnough = shorter(best) >= WANTED_PIXELS;
      if (enough ? !bestIsEnough || area(size) < area(best) : !bestIsEnough && area(size) > area(best)) best = size;
    }
    return best;
  }

  private static int shorter(Size size) {
    return Math.min(size.getWidth(), size.getHeight());
  }

  private static long area(Size size) {
    return (long) size.getWidth() * size.getHeight();
  }

  private void take(ImageReader source) {
    GreyImage square;
    try (Image frame = source.acquireLatestImage()) {
      if (frame == null || closed) return;
      Image.Plane light = frame.getPlanes()[0];
      square =
          GreyImage.ofPlane(
              light.getBuffer(), frame.getWidth(), frame.getHeight(), light.getRowStride(), light.getPixelStride());
    }
    listener.onFrame(square.centreSquare().turned(turn(mounted, screenTurn.getAsInt(), front)));
  }

  /** Degrees by which a frame is to be turned. A camera on the front turns against the screen's own direction. */
  private static int turn(int mounted, int screenTurn, boolean front) {
    return (mounted + (front ? screenTurn : FULL_TURN - screenTurn)) % FULL_TURN;
  }

  private final class Opened extends CameraDevice.StateCallback {
    @Override
    public void onOpened(CameraDevice opened) {
      camera = opened;
      if (closed) {
        release();
        return;
      }
      try {
        startFrames(opened);
      } catch (CameraAccessException | IllegalStateException error) {
        fail("The camera gives no frames: " + DemoException.sentence(error) + ".");
      }
    }

    @Override
    public void onDisconnected(CameraDevice device) {
      camera = device;
      release();
      fail("Another app has taken the camera: close it, and choose the camera again.");
    }

    @Override
    public void onError(CameraDevice device, int code) {
      camera = device;
      release();
      fail("The camera has failed (error " + code + "): choose an image, or the camera again.");
    }
  }

  // The list of surfaces is what API 24 has.
  @SuppressWarnings("deprecation")
  private void startFrames(CameraDevice opened) throws CameraAccessException {
    CaptureRequest.Builder request = opened.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
    request.addTarget(reader.getSurface());
    CameraCaptureSession.StateCallback callback =
        new CameraCaptureSession.StateCallback() {
          @Override
          public void onConfigured(CameraCaptureSession session) {
            try {
              if (!closed) session.setRepeatingRequest(request.build(), null, handler);
            } catch (CameraAccessException | IllegalStateException error) {
              fail("The camera gives no frames: " + DemoException.sentence(error) + ".");
            }
          }

          @Override
          public void onConfigureFailed(CameraCaptureSession session) {
            fail("The camera cannot give frames of this size.");
          }
        };
    opened.createCaptureSession(Collections.singletonList(reader.getSurface()), callback, handler);
  }

  private void fail(String sentence) {
    if (!closed) listener.onError(sentence);
  }

  @Override
  public void close() {
    handler.post(
        () -> {
          closed = true;
          // One that is still being opened can only be closed when it is open.
          if (camera != null) release();
        });
  }

  private void release() {
    camera.close();
    reader.close();
    thread.quitSafely();
  }
}
