// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.engine;

import io.tfprune.demo.logic.DemoException;
import io.tfprune.demo.logic.Settings;
import io.tfprune.demo.logic.Snapshot;
import java.util.concurrent.TimeUnit;

/**
 * Runs both models on the latest input, on a thread of its own, until it is stopped. Inputs that come faster than they
 * are classified are left out, as a camera's frames are. All methods may be called by any thread.
 */
public final class ComparisonLoop {
  /** Opens the models; called on the loop's thread. */
  public interface Opener {
    Pair open(Settings settings);
  }

  /** Is told on the loop's thread. */
  public interface Listener {
    void onSnapshot(Snapshot snapshot);

    /** The loop ends with this. */
    void onError(String sentence);
  }

  /** Between two snapshots. */
  private static final long INTERVAL = TimeUnit.MILLISECONDS.toNanos(100);

  private final Opener opener;
  private final Settings settings;
  private final Listener listener;
  private final Thread thread = new Thread(this::work, "tfprune-comparison");
  private float[] next; // guarded by this, as what follows
  private boolean stopped;

  public ComparisonLoop(Opener opener, Settings settings, Listener listener) {
    this.opener = opener;
    this.settings = settings;
    this.listener = listener;
  }

  public void start() {
    thread.start();
  }

  /** What is classified from now on. */
  public synchronized void setInput(float[] values) {
    next = values;
    notifyAll();
  }

  /** Ends the loop after the run that it is at. Opening models on a GPU takes seconds: nobody waits for it. */
  public synchronized void stop() {
    stopped = true;
    notifyAll();
  }

  private void work() {
    try (Pair pair = opener.open(settings)) {
      if (!take(pair, true)) return;
      long told = System.nanoTime();
      do {
        pair.run();
        if (System.nanoTime() - told >= INTERVAL) {
          listener.onSnapshot(pair.snapshot());
          told = System.nanoTime();
        }
      } while (take(pair, false));
    } catch (RuntimeException | LinkageError error) {
      listener.onError(DemoException.sentence(error));
    }
  }

  /** Hands over a new input if there is one, or waits for it; false once the loop is to end. */
  private boolean take(Pair pair, boolean wait) {
    float[] taken;
    synchronized (this) {
      while (wait && next == null && !stopped) {
        try {
          wait();
        } catch (InterruptedException error) {
          return false;
        }
      }
      taken = next;
      next = null;
      if (stopped) return false;
    }
    if (taken != null) pair.setInput(taken);
    return true;
  }
}
