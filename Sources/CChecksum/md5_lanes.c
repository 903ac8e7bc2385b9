// Compiled by itself and not inlined into Swift, whose optimiser leaves the steps as a loop.
#include "md5_lanes.h"

#include <string.h>

// Plain arithmetic on vectors, of which compilers make what the processor has.
typedef uint32_t fx_md5_vector __attribute__((vector_size(4 * FX_MD5_LANES)));

void fx_md5_lanes_begin(fx_md5_lanes *state) {
    static const uint32_t initial[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    for (int word = 0; word < 4; word++)
        for (int lane = 0; lane < FX_MD5_LANES; lane++) state->words[word][lane] = initial[word];
}

void fx_md5_lanes_add(fx_md5_lanes *state, const void *bytes, size_t stride, size_t blocks) {
    static const uint32_t constants[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
        0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
        0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
        0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
        0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
        0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    };
    static const int shifts[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    fx_md5_vector a, b, c, d;
    memcpy(&a, state->words[0], sizeof a);
    memcpy(&b, state->words[1], sizeof b);
    memcpy(&c, state->words[2], sizeof c);
    memcpy(&d, state->words[3], sizeof d);
    for (size_t block = 0; block < blocks; block++) {
        fx_md5_vector input[16];
        for (int word = 0; word < 16; word++)
            for (int lane = 0; lane < FX_MD5_LANES; lane++) {
                uint32_t value;
                memcpy(&value, (const unsigned char *)bytes + stride * lane + 64 * block + 4 * word, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
                value = __builtin_bswap32(value);
#endif
                input[word][lane] = value;
            }
        const fx_md5_vector before[4] = {a, b, c, d};
#pragma clang loop unroll(full)
        for (int step = 0; step < 64; step++) {
            fx_md5_vector mixed;
            int word;
            if (step < 16) {
                mixed = d ^ (b & (c ^ d));
                word = step;
            } else if (step < 32) {
                mixed = c ^ (d & (b ^ c));
                word = (5 * step + 1) % 16;
            } else if (step < 48) {
                mixed = b ^ c ^ d;
                word = (3 * step + 5) % 16;
            } else {
                mixed = c ^ (b | ~d);
                word = 7 * step % 16;
            }
            const int shift = shifts[step / 16][step % 4];
            const fx_md5_vector sum = a + mixed + input[word] + constants[step];
            a = d;
            d = c;
            c = b;
            b += (sum << shift) | (sum >> (32 - shift));
        }
        a += before[0];
        b += before[1];
        c += before[2];
        d += before[3];
    }
    memcpy(state->words[0], &a, sizeof a);
    memcpy(state->words[1], &b, sizeof b);
    memcpy(state->words[2], &c, sizeof c);
    memcpy(state->words[3], &d, sizeof d);
}

void fx_md5_lanes_end(fx_md5_lanes *state, uint64_t blocks, unsigned char digests[16 * FX_MD5_LANES]) {
    unsigned char last[64] = {0x80};
    const uint64_t bits = blocks * 512;
    for (int byte = 0; byte < 8; byte++) last[56 + byte] = (unsigned char)(bits >> (8 * byte));
    // The same for all.
    fx_md5_lanes_add(state, last, 0, 1);
    for (int lane = 0; lane < FX_MD5_LANES; lane++)
        for (int byte = 0; byte < 16; byte++)
            digests[16 * lane + byte] = (unsigned char)(state->words[byte / 4][lane] >> (8 * (byte % 4)));
}
