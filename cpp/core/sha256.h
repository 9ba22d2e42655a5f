// SPDX-License-Identifier: GPL-2.0-or-later
//
// SHA-256 (FIPS 180-4), with the processor's instructions for it where there are any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace egraff {

class Sha256 {
  public:
    void add(const void *data, size_t size);

    // The digest of all that was added, as 64 hexadecimal digits; nothing may be added afterwards.
    std::string hexadecimal();

  private:
    static constexpr size_t BLOCK = 64;

    std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    std::array<uint8_t, BLOCK> rest_{}; // what does not fill a block yet
    size_t n_rest_ = 0;
    uint64_t n_bytes_ = 0;
};

} // namespace egraff
