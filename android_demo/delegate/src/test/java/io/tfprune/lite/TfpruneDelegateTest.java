// SPDX-License-Identifier: Apache-2.0
package io.tfprune.lite;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.tfprune.lite.TfpruneDelegate.Backend;
import io.tfprune.lite.TfpruneDelegate.Options;
import io.tfprune.lite.TfpruneDelegate.Precision;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.tensorflow.lite.Delegate;

public final class TfpruneDelegateTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  @Test
  public void anInterpreterGetsItAsADelegate() {
    try (TfpruneDelegate delegate = new TfpruneDelegate()) {
      Delegate seen = delegate;
      assertNotEquals(0, seen.getNativeHandle());
      assertEquals(seen.getNativeHandle(), delegate.getNativeHandle());
      assertTrue(delegate.layers().isEmpty());
      assertTrue(delegate.placement().nodes().isEmpty());
    }
  }

  @Test
  public void aClosedDelegateSaysSo() {
    TfpruneDelegate delegate = new TfpruneDelegate();
    delegate.close();
    delegate.close();
    assertEquals(
        "TfpruneDelegate: a closed delegate cannot serve an interpreter; make a new one, and close it after its"
            + " interpreters",
        assertThrows(IllegalStateException.class, delegate::getNativeHandle).getMessage());
    assertTrue(assertThrows(IllegalStateException.class, delegate::layers).getMessage().contains("describe its layers"));
    assertTrue(assertThrows(IllegalStateException.class, delegate::tuningProblem).getMessage().contains("with tuning"));
    assertTrue(assertThrows(IllegalStateException.class, delegate::placement).getMessage().contains("operators run"));
  }

  @Test
  public void everyOptionThatThisMachineHasIsTaken() {
    File cache = new File(folder.getRoot(), "caf\u00e9");
    Options options = new Options().setBackend(Backend.AUTO).setNumThreads(Options.MAX_THREADS).setProfiling(true);
    options.setPrecision(Precision.FLOAT32).setCacheDirectory(cache).setTuning(true);
    new TfpruneDelegate(options).close();
    assertTrue(new File(cache, "tfprune_programs").isDirectory());
  }

  @Test
  public void optionsReachTheLibraryByItsNames() {
    Map<String, String> cpu = new Options().setNumThreads(3).setCacheDirectory(folder.getRoot()).toNative();
    assertEquals("{backend=cpu, precision=f32, threads=3}", cpu.toString());
    Options gpu = new Options().setBackend(Backend.GPU).setPrecision(Precision.FLOAT16).setProfiling(true);
    gpu.setCacheDirectory(folder.getRoot()).setTuning(true);
    String root = folder.getRoot().getAbsolutePath();
    assertEquals(
        "{backend=gpu, precision=f16, profile=1, tune=1, tune_cache="
            + root
            + "/tfprune_tuning.txt, program_cache="
            + root
            + "/tfprune_programs}",
        gpu.toNative().toString());
  }

  @Test
  public void threadsOutOfRangeAreRefused() {
    for (int threads : new int[] {Integer.MIN_VALUE, -1, 0, Options.MAX_THREADS + 1, Integer.MAX_VALUE}) {
      assertEquals(
          "TfpruneDelegate: the number of threads must be from 1 to 64, got "
              + threads
              + "; leave it out to use the interpreter's",
          assertThrows(IllegalArgumentException.class, () -> new Options().setNumThreads(threads)).getMessage());
    }
  }

  @Test
  public void nullsAreRefused() {
    Options options = new Options();
    assertRefused("the backend must not be null", () -> options.setBackend(null));
    assertRefused("the precision must not be null", () -> options.setPrecision(null));
    assertRefused("the cache directory must not be null", () -> options.setCacheDirectory(null));
    assertRefused("the options must not be null", () -> new TfpruneDelegate(null));
  }

  @Test
  public void tuningNeedsADirectory() {
    assertRefused("call setCacheDirectory", () -> new TfpruneDelegate(new Options().setTuning(true)));
  }

  @Test
  public void aCacheDirectoryThatCannotBeWrittenIsRefused() {
    Options options = new Options().setCacheDirectory(new File("/proc/tfprune"));
    TfpruneException refused = assertThrows(TfpruneException.class, () -> new TfpruneDelegate(options));
    assertTrue(refused.getMessage(), refused.getMessage().contains("got /proc/tfprune: it cannot be made"));
  }

  @Test
  public void halfPrecisionOnTheCpuNeedsItsArithmetic() {
    Options options = new Options().setPrecision(Precision.FLOAT16);
    if (TfpruneDelegate.supportsFloat16()) {
      new TfpruneDelegate(options).close();
    } else {
      TfpruneException refused = assertThrows(TfpruneException.class, () -> new TfpruneDelegate(options));
      assertTrue(refused.getMessage(), refused.getMessage().contains("precision f16 needs a processor with Armv8.2"));
    }
  }

  @Test
  public void aGpuIsUsedOrTheReasonGiven() {
    try (TfpruneDelegate delegate = new TfpruneDelegate(new Options().setBackend(Backend.AUTO))) {
      TfprunePlacement placement = delegate.placement();
      assertTrue((placement.device() == null) != (placement.problem() == null));
    }
  }

  @Test
  public void itNamesItsVersionAndInstructionSet() {
    assertTrue(TfpruneDelegate.version().matches("\\d+\\.\\d+\\.\\d+.*"));
    assertFalse(TfpruneDelegate.instructionSet().isEmpty());
  }

  @Test
  public void threadsMakeAndCloseDelegatesAtTheSameTime() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(4);
    List<Future<Boolean>> all = new ArrayList<>();
    try (TfpruneDelegate shared = new TfpruneDelegate()) {
      for (int i = 0; i < 4; ++i) all.add(threads.submit(manyRounds(shared, 500)));
      for (Future<Boolean> rounds : all) assertTrue(rounds.get());
    } finally {
      threads.shutdown();
    }
  }

  private static Callable<Boolean> manyRounds(TfpruneDelegate shared, int rounds) {
    return () -> {
      for (int i = 0; i < rounds; ++i) {
        TfpruneDelegate own = new TfpruneDelegate();
        if (own.getNativeHandle() == shared.getNativeHandle() || !shared.layers().isEmpty()) return false;
        own.close();
      }
      return true;
    };
  }

  /** A delegate is thousands of bytes: were it kept, these rounds would take tens of megabytes. */
  @Test
  public void closingFreesEverything() throws Exception {
    makeAndClose(10000); // what Java compiles and loads is there from now on
    long before = residentBytes();
    makeAndClose(10000);
    long grown = residentBytes() - before;
    assertTrue("10000 delegates left " + grown + " bytes", grown < 4 << 20);
  }

  private static void makeAndClose(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      try (TfpruneDelegate delegate = new TfpruneDelegate()) {
        delegate.layers();
      }
      assertThrows(TfpruneException.class, () -> Native.create(java.util.Collections.singletonMap("arch", "mmx")));
    }
  }

  private static long residentBytes() throws Exception {
    String statm = new String(Files.readAllBytes(Paths.get("/proc/self/statm")), "UTF-8");
    return Long.parseLong(statm.split(" ")[1]) * 4096;
  }

  private static void assertRefused(String words, org.junit.function.ThrowingRunnable run) {
    String message = assertThrows(IllegalArgumentException.class, run).getMessage();
    assertTrue(message, message.startsWith("TfpruneDelegate: ") && message.contains(words));
  }
}
