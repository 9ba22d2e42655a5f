// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace egraff {

namespace {

// The names K, W, a to h and the sums are those of FIPS 180-4, section 6.2.
alignas(16) constexpr uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

uint32_t big_endian(const uint8_t *bytes) {
    return uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 | uint32_t(bytes[2]) << 8 | bytes[3];
}

void compress_anywhere(uint32_t *state, const uint8_t *data, size_t n_blocks) {
    for (; n_blocks > 0; --n_blocks, data += 64) {
        uint32_t W[64];
        for (int t = 0; t < 16; ++t) {
            W[t] = big_endian(data + 4 * t);
        }
        for (int t = 16; t < 64; ++t) {
            const uint32_t x = W[t - 15], y = W[t - 2];
            W[t] = W[t - 16] + W[t - 7] + (std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3) +
                   (std::rotr(y, 17) ^ std::rotr(y, 19) ^ y >> 10);
        }
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
        uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
        for (int t = 0; t < 64; ++t) {
            const uint32_t T1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                ((e & f) ^ (~e & g)) + K[t] + W[t];
            const uint32_t T2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) +
                                ((a & b) ^ (a & c) ^ (b & c));
            h = g, g = f, f = e, e = d + T1, d = c, c = b, b = a, a = T1 + T2;
        }
        const uint32_t now[8] = {a, b, c, d, e, f, g, h};
        for (int k = 0; k < 8; ++k) {
            state[k] += now[k];
        }
    }
}

#if defined(__x86_64__)

// Two rounds per instruction. It wants the state as (a b e f) and (c d g h), the first word
// highest.
__attribute__((target("sha,sse4.1"))) void compress_sha_ni(uint32_t *state, const uint8_t *data,
                                                           size_t n_blocks) {
    const __m128i swap_bytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    auto *words = reinterpret_cast<__m128i *>(state);
    const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(words), 0xB1);
    const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(words + 1), 0x1B);
    __m128i abef = _mm_alignr_epi8(badc, hgfe, 8), cdgh = _mm_blend_epi16(hgfe, badc, 0xF0);
    for (; n_blocks > 0; --n_blocks, data += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i W[4];
        for (int k = 0; k < 4; ++k) {
            const auto *source = reinterpret_cast<const __m128i *>(data) + k;
            W[k] = _mm_shuffle_epi8(_mm_loadu_si128(source), swap_bytes);
        }
        for (int t = 0; t < 16; ++t) { // four rounds each
            __m128i &first = W[t % 4];
            const __m128i second = W[(t + 1) % 4], third = W[(t + 2) % 4], last = W[(t + 3) % 4];
            const __m128i *constants = reinterpret_cast<const __m128i *>(K) + t;
            const __m128i sum = _mm_add_epi32(first, _mm_load_si128(constants));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
            const __m128i W_7 = _mm_alignr_epi8(last, third, 4);
            first = _mm_add_epi32(_mm_sha256msg1_epu32(first, second), W_7);
            first = _mm_sha256msg2_epu32(first, last);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128(words, _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(words + 1, _mm_alignr_epi8(dchg, feba, 8));
}

#endif

using Compress = void (*)(uint32_t *, const uint8_t *, size_t);

Compress choose() {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1")) {
        return compress_sha_ni;
    }
#endif
    return compress_anywhere;
}

void compress(uint32_t *state, const uint8_t *data, size_t n_blocks) {
    static const Compress chosen = choose();
    chosen(state, data, n_blocks);
}

} // namespace

void Sha256::add(const void *data, size_t size) {
    const auto *bytes = static_cast<const uint8_t *>(data);
    n_bytes_ += size;
    if (n_rest_ > 0) {
        const size_t taken = std::min(size, BLOCK - n_rest_);
        std::memcpy(rest_.data() + n_rest_, bytes, taken);
        n_rest_ += taken, bytes += taken, size -= taken;
        if (n_rest_ < BLOCK) {
            return;
        }
        compress(state_.data(), rest_.data(), 1);
    }
    compress(state_.data(), bytes, size / BLOCK);
    n_rest_ = size % BLOCK;
    if (n_rest_ > 0) {
        std::memcpy(rest_.data(), bytes + size - n_rest_, n_rest_);
    }
}

std::string Sha256::hexadecimal() {
    const uint64_t n_bits = 8 * n_bytes_;
    const uint8_t one = 0x80, zeros[BLOCK] = {};
    add(&one, 1);
    const size_t before_length = BLOCK - 8;
    add(zeros, (before_length + BLOCK - n_rest_) % BLOCK);
    uint8_t length[8];
    for (int k = 0; k < 8; ++k) {
        length[k] = uint8_t(n_bits >> (56 - 8 * k));
    }
    add(length, sizeof length);
    std::string text;
    for (const uint32_t word : state_) {
        for (int shift = 28; shift >= 0; shift -= 4) {
            text += "0123456789abcdef"[word >> shift & 15];
        }
    }
    return text;
}

} // namespace egraff
