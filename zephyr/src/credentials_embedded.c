/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Credentials compiled into the image from CONFIG_FLOWNEXUS_CREDENTIALS_DIR.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/sys/util.h>

#include "app.h"

#if defined(CONFIG_FLOWNEXUS_SECURITY_X509)
static const uint8_t certificate[] = {
#include <flownexus/cert.der.inc>
};
static const uint8_t key[] = {
#include <flownexus/key.der.inc>
};
static const uint8_t ca[] = {
#include <flownexus/ca.der.inc>
};
#else
static const uint8_t psk_identity[] = {
#include <flownexus/psk.identity.inc>
};
static const uint8_t psk_key[] = {
#include <flownexus/psk.key.inc>
};
#endif

static const struct {
	const char *name;
	const uint8_t *data;
	size_t len;
} credentials[] = {
#if defined(CONFIG_FLOWNEXUS_SECURITY_X509)
	{"cert.der", certificate, sizeof(certificate)},
	{"key.der", key, sizeof(key)},
	{"ca.der", ca, sizeof(ca)},
#else
	{"psk.identity", psk_identity, sizeof(psk_identity)},
	{"psk.key", psk_key, sizeof(psk_key)},
#endif
};

int credentials_read(const char *name, uint8_t *buf, size_t size)
{
	ARRAY_FOR_EACH_PTR(credentials, credential) {
		if (strcmp(credential->name, name) != 0) {
			continue;
		}
		if (credential->len > size) {
			return -EFBIG;
		}
		memcpy(buf, credential->data, credential->len);
		return credential->len;
	}
	return -ENOENT;
}
