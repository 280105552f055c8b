// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_STATUS_H_
#define TFPRUNE_BASE_STATUS_H_

#include <stdarg.h>
#include <stdio.h>

namespace tfprune {

// Success, or the reason of a failure as one sentence. The library never prints, throws or aborts: a Status travels up
// to the delegate glue, which hands the message to the interpreter's error reporter.
struct Status {
  char message[240] = {0};

  bool ok() const { return message[0] == '\0'; }
};

__attribute__((format(printf, 1, 2))) inline Status Error(const char* format, ...) {
  Status status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(status.message, sizeof(status.message), format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace tfprune

#define TFPRUNE_RETURN_IF_ERROR(expression)         \
  do {                                              \
    const ::tfprune::Status status_ = (expression); \
    if (!status_.ok()) return status_;              \
  } while (false)

#endif  // TFPRUNE_BASE_STATUS_H_
