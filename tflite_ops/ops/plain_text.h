// SPDX-License-Identifier: Apache-2.0
// Messages that may quote a path or an option: whoever reads them decodes UTF-8 and splits at line ends and tabs.
#ifndef TFPRUNE_OPS_PLAIN_TEXT_H_
#define TFPRUNE_OPS_PLAIN_TEXT_H_

namespace tfprune {

// Puts a question mark, in place, for each byte of a control character and of what is no whole UTF-8 character: an
// excerpt may end inside one.
void MakePlain(char* text);

}  // namespace tfprune

#endif  // TFPRUNE_OPS_PLAIN_TEXT_H_
