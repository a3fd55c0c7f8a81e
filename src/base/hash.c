// SPDX-License-Identifier: Apache-2.0
//
// Hashes, random bytes and UTF-8: libsodium's work, and a scan.
#include "base/path.h"

#include "base/alloc.h"

#include <sodium.h>

void fn_sha256(unsigned char digest[32], const void *bytes, size_t n) {
    crypto_hash_sha256(digest, bytes, n);
}

void fn_hex(char *dst, const unsigned char *bytes, size_t n) {
    sodium_bin2hex(dst, 2 * n + 1, bytes, n);
}

void fn_sha256_hex(char hex[65], const void *bytes, size_t n) {
    unsigned char digest[32];
    fn_sha256(digest, bytes, n);
    fn_hex(hex, digest, sizeof digest);
}

void fn_random(void *dst, size_t n) {
    randombytes_buf(dst, n);
}

int fn_utf8_valid(const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        unsigned c = s[i];
        size_t more;
        unsigned value, least;
        if (c >= 0x01 && c < 0x80) {
            i++;
            continue;
        } else if ((c & 0xE0) == 0xC0) {
            more = 1, value = c & 0x1F, least = 0x80;
        } else if ((c & 0xF0) == 0xE0) {
            more = 2, value = c & 0x0F, least = 0x800;
        } else if ((c & 0xF8) == 0xF0) {
            more = 3, value = c & 0x07, least = 0x10000;
        } else {
            return 0;
        }
        if (more >= n - i)
            return 0;
        for (size_t k = 1; k <= more; k++) {
            if ((s[i + k] & 0xC0) != 0x80)
                return 0;
            value = value << 6 | (s[i + k] & 0x3F);
        }
        if (value < least || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
            return 0;
        i += more + 1;
    }
    return 1;
}
