// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_OPS_PROCESS_STATE_H_
#define TFPRUNE_OPS_PROCESS_STATE_H_

#include "tflite_ops/ops/shared_state.h"

namespace tfprune {

// The state of all ops that no delegate made: it begins with the first of them and ends with the last. Null without
// memory; otherwise LeaveProcessState must follow.
SharedState* EnterProcessState();
void LeaveProcessState();

}  // namespace tfprune

#endif  // TFPRUNE_OPS_PROCESS_STATE_H_
