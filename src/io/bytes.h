/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers in file formats: little-endian, at any address.
 *
 * All targets of Basin are little-endian, so a copy is the whole conversion,
 * and tensors are used where they lie in the file's memory. A big-endian
 * machine stops here at compile time instead of reading nonsense later.
 */
#ifndef BASIN_IO_BYTES_H
#define BASIN_IO_BYTES_H

#include "base/compiler.h"
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Basin reads and writes its files on little-endian machines only"
#endif

#define BASIN__BYTES_GET(name, type)                                                               \
    BASIN_INLINE type basin__get_##name(const void *from) {                                        \
        type value;                                                                                \
        memcpy(&value, from, sizeof(value));                                                       \
        return value;                                                                              \
    }
BASIN__BYTES_GET(u16, uint16_t)
BASIN__BYTES_GET(u32, uint32_t)
BASIN__BYTES_GET(u64, uint64_t)
BASIN__BYTES_GET(i32, int32_t)
BASIN__BYTES_GET(i64, int64_t)
BASIN__BYTES_GET(f32, float)
BASIN__BYTES_GET(f64, double)
#undef BASIN__BYTES_GET

#define BASIN__BYTES_PUT(name, type)                                                               \
    BASIN_INLINE void basin__put_##name(void *to, type value) { memcpy(to, &value, sizeof(value)); }
BASIN__BYTES_PUT(u16, uint16_t)
BASIN__BYTES_PUT(u32, uint32_t)
BASIN__BYTES_PUT(u64, uint64_t)
#undef BASIN__BYTES_PUT

#endif
