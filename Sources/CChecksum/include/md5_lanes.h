// MD5 (RFC 1321) of eight messages at the same time, one in each lane of a vector: with the vectors of 128 bits that every
// x86-64 and ARM processor has four times as fast as one after another.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define FX_MD5_LANES 8

// The state of all lanes: A, B, C, D, each of every lane.
typedef struct fx_md5_lanes {
    uint32_t words[4][FX_MD5_LANES];
} fx_md5_lanes;

void fx_md5_lanes_begin(fx_md5_lanes *state);
// Adds `blocks` times 64 bytes to every lane; those of a lane begin `stride` bytes behind those of the lane before.
void fx_md5_lanes_add(fx_md5_lanes *state, const void *bytes, size_t stride, size_t blocks);
// Ends all lanes, which have `blocks` times 64 bytes each, and writes the digests one behind the other, 16 bytes each.
void fx_md5_lanes_end(fx_md5_lanes *state, uint64_t blocks, unsigned char digests[16 * FX_MD5_LANES]);
