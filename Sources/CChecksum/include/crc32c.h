// CRC-32C (Castagnoli; RFC 3720 appendix B.4) by the instruction that x86-64 and ARM processors have for it.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

// Processors without the instruction: four bits at a time.
static inline uint32_t fx_crc32c_plain(uint32_t state, const unsigned char *bytes, size_t count) {
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    while (count--) {
        state ^= *bytes++;
        state = (state >> 4) ^ table[state & 15];
        state = (state >> 4) ^ table[state & 15];
    }
    return state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2")))
static inline uint32_t fx_crc32c_fast(uint32_t state, const unsigned char *bytes, size_t count) {
    uint64_t wide = state, word;
    for (; count >= 8; bytes += 8, count -= 8) {
        memcpy(&word, bytes, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    state = (uint32_t)wide;
    for (; count > 0; bytes++, count--) state = __builtin_ia32_crc32qi(state, *bytes);
    return state;
}
static inline int fx_crc32c_is_fast(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__)
__attribute__((target("crc")))
static inline uint32_t fx_crc32c_fast(uint32_t state, const unsigned char *bytes, size_t count) {
    uint64_t word;
    for (; count >= 8; bytes += 8, count -= 8) {
        memcpy(&word, bytes, 8);
        state = __builtin_arm_crc32cd(state, word);
    }
    for (; count > 0; bytes++, count--) state = __builtin_arm_crc32cb(state, *bytes);
    return state;
}
// HWCAP_CRC32 of <asm/hwcap.h>.
static inline int fx_crc32c_is_fast(void) { return (getauxval(AT_HWCAP) & (1 << 7)) != 0; }
#else
static inline uint32_t fx_crc32c_fast(uint32_t state, const unsigned char *bytes, size_t count) {
    return fx_crc32c_plain(state, bytes, count);
}
static inline int fx_crc32c_is_fast(void) { return 0; }
#endif

// The checksum of `count` more bytes after those whose checksum is `sum`; 0 is that of none.
static inline uint32_t fx_crc32c(uint32_t sum, const void *bytes, size_t count) {
    uint32_t state = ~sum;
    return ~(fx_crc32c_is_fast() ? fx_crc32c_fast(state, bytes, count) : fx_crc32c_plain(state, bytes, count));
}
