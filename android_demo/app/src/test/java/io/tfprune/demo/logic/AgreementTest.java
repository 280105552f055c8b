// SPDX-License-Identifier: Apache-2.0
package io.tfprune.demo.logic;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import org.junit.Test;

public final class AgreementTest {
  @Test
  public void countsSameClassesAndKeepsTheWorstError() {
    Agreement agreement = new Agreement();
    agreement.add(new float[] {1, 4, -2}, new float[] {1, 4, -2});
    agreement.add(new float[] {1, 4, -2}, new float[] {1, 3, -2});
    agreement.add(new float[] {3, 4, 0}, new float[] {4, 3, 0});
    agreement.add(new float[] {1, 4, -2}, new float[] {1, 4, -2});
    assertEquals(4, agreement.inputs());
    assertEquals(3, agreement.sameClass());
    assertEquals(0.25, agreement.worst(), 1e-12);
  }

  @Test
  public void notANumberIsWorseThanEveryNumber() {
    Agreement agreement = new Agreement();
    agreement.add(new float[] {1, 2}, new float[] {Float.NaN, 2});
    agreement.add(new float[] {1, 2}, new float[] {1, 2});
    assertTrue(Double.isNaN(agreement.worst()));
  }

  @Test
  public void zerosAgree() {
    assertEquals(0, Agreement.relativeError(new float[2], new float[2]), 0);
    assertEquals(Double.POSITIVE_INFINITY, Agreement.relativeError(new float[2], new float[] {1, 0}), 0);
  }

  @Test
  public void otherCountsOfClassesAreRefused() {
    assertThrows(DemoException.class, () -> new Agreement().add(new float[2], new float[3]));
  }

  @Test
  public void aCopyStaysAsItIs() {
    Agreement agreement = new Agreement();
    Agreement copy = agreement.copy();
    agreement.add(new float[] {1}, new float[] {2});
    assertEquals(0, copy.inputs());
    assertEquals(1, agreement.copy().worst(), 0);
  }

  @Test
  public void anAnswerIsTheLargestShareOfASoftmax() {
    Answer answer = Answer.of(new float[] {0, (float) Math.log(3), 0}, Arrays.asList("a", "b", "c"));
    assertEquals("b", answer.label);
    assertEquals(0.6, answer.share, 1e-7);
    assertEquals(1, Answer.of(new float[] {1000, 0}, Arrays.asList("a", "b")).share, 1e-12);
    assertThrows(DemoException.class, () -> Answer.of(new float[2], Collections.singletonList("a")));
  }
}
