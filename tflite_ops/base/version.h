// SPDX-License-Identifier: Apache-2.0
#ifndef TFPRUNE_BASE_VERSION_H_
#define TFPRUNE_BASE_VERSION_H_

// Equal to tfprune.__version__; a test compares the two.
#define TFPRUNE_VERSION "0.1.0"

#endif  // TFPRUNE_BASE_VERSION_H_
