/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Security object (0): the device's credentials as `scripts/certs device ENDPOINT` writes
 * them, and the endpoint name that belongs to them.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/x509_crt.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/util.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

/* Resources of the Security object */
#define SERVER_URI_ID        0
#define SECURITY_MODE_ID     2
#define CLIENT_IDENTITY_ID   3
#define SERVER_PUBLIC_KEY_ID 4
#define SECRET_KEY_ID        5
#define SHORT_SERVER_ID      10

enum security_mode {
	SECURITY_MODE_PSK = 0,
	SECURITY_MODE_CERTIFICATE = 2,
};

static uint8_t buffer[CONFIG_LWM2M_SECURITY_KEY_SIZE];

/* Reads one credential into the buffer, with a line in the log if that fails. */
static int read_credential(const char *name)
{
	int len = credentials_read(name, buffer, sizeof(buffer));

	if (len == -EFBIG) {
		LOG_ERR("%s is longer than %zu bytes: raise CONFIG_LWM2M_SECURITY_KEY_SIZE", name,
			sizeof(buffer));
	} else if (len <= 0) {
		LOG_ERR("No %s in '%s': name the folder that `scripts/certs device ENDPOINT` wrote "
			"(on native_sim with --certs)",
			name, app_settings.credentials);
		len = len < 0 ? len : -ENODATA;
	}
	return len;
}

/* Takes the endpoint's name from the settings; if none is set, the credential's own. */
static int set_endpoint(char *endpoint, const void *own, size_t own_len)
{
	const char *wanted = app_settings.endpoint;
	size_t len = wanted[0] != '\0' ? strlen(wanted) : own_len;

	if (len == 0 || len >= ENDPOINT_SIZE) {
		LOG_ERR("An endpoint name has 1 to %d bytes, not %zu", ENDPOINT_SIZE - 1, len);
		return -EINVAL;
	}
	memcpy(endpoint, wanted[0] != '\0' ? wanted : own, len);
	endpoint[len] = '\0';
	return 0;
}

static int set_resource(uint16_t res_id, int len)
{
	return lwm2m_set_opaque(&LWM2M_OBJ(LWM2M_OBJECT_SECURITY_ID, 0, res_id), buffer, len);
}

#if defined(CONFIG_FLOWNEXUS_SECURITY_X509)

static int endpoint_from_certificate(char *endpoint, size_t cert_len)
{
	const mbedtls_asn1_named_data *cn = NULL;
	mbedtls_x509_crt cert;
	int ret;

	mbedtls_x509_crt_init(&cert);
	ret = mbedtls_x509_crt_parse_der(&cert, buffer, cert_len);
	if (ret == 0) {
		cn = mbedtls_asn1_find_named_data(&cert.subject, MBEDTLS_OID_AT_CN,
						  MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN));
	}
	if (cn == NULL) {
		LOG_ERR("cert.der is not a certificate with a common name (-0x%04x)", -ret);
		ret = -EBADMSG;
		goto out;
	}

	ret = set_endpoint(endpoint, cn->val.p, cn->val.len);
	if (ret == 0 &&
	    (strlen(endpoint) != cn->val.len || memcmp(endpoint, cn->val.p, cn->val.len) != 0)) {
		LOG_ERR("Endpoint '%s', but the certificate is that of '%.*s': the server would "
			"refuse it",
			endpoint, (int)cn->val.len, (const char *)cn->val.p);
		ret = -EINVAL;
	}
out:
	mbedtls_x509_crt_free(&cert);
	return ret;
}

static int load_credentials(char *endpoint)
{
	int ret = read_credential("cert.der");

	if (ret > 0) {
		int len = ret;

		ret = endpoint_from_certificate(endpoint, len);
		if (ret == 0) {
			ret = set_resource(CLIENT_IDENTITY_ID, len);
		}
	}
	if (ret == 0) {
		ret = read_credential("key.der");
	}
	if (ret > 0) {
		ret = set_resource(SECRET_KEY_ID, ret);
		mbedtls_platform_zeroize(buffer, sizeof(buffer));
	}
	if (ret == 0) {
		ret = read_credential("ca.der");
	}
	if (ret > 0) {
		/* For Zephyr's client this resource holds the CA, not the server's own key */
		ret = set_resource(SERVER_PUBLIC_KEY_ID, ret);
	}
	return ret;
}

#else /* CONFIG_FLOWNEXUS_SECURITY_PSK */

/* Both files are text, maybe with a newline at the end. */
static int read_line(const char *name)
{
	int len = read_credential(name);

	while (len > 0 && isspace(buffer[len - 1]) != 0) {
		len--;
	}
	return len;
}

static int load_credentials(char *endpoint)
{
	uint8_t key[CONFIG_MBEDTLS_PSK_MAX_LEN];
	int ret = read_line("psk.identity");

	if (ret >= 0) {
		int len = ret;

		ret = set_endpoint(endpoint, buffer, len);
		if (ret == 0) {
			ret = set_resource(CLIENT_IDENTITY_ID, len);
		}
	}
	if (ret == 0) {
		ret = read_line("psk.key");
	}
	if (ret >= 0) {
		size_t len = hex2bin((const char *)buffer, ret, key, sizeof(key));

		if (len == 0) {
			LOG_ERR("psk.key must be a key of at most %zu bytes in hexadecimal",
				sizeof(key));
			ret = -EBADMSG;
		} else {
			ret = lwm2m_set_opaque(
				&LWM2M_OBJ(LWM2M_OBJECT_SECURITY_ID, 0, SECRET_KEY_ID), (char *)key,
				len);
		}
		mbedtls_platform_zeroize(key, sizeof(key));
		mbedtls_platform_zeroize(buffer, sizeof(buffer));
	}
	return ret;
}

#endif /* CONFIG_FLOWNEXUS_SECURITY_X509 */

int security_init(struct lwm2m_ctx *ctx, char *endpoint)
{
	const bool x509 = IS_ENABLED(CONFIG_FLOWNEXUS_SECURITY_X509);
	int ret;

	ret = server_check_init(ctx);
	if (ret < 0) {
		return ret;
	}
	ret = load_credentials(endpoint);
	if (ret < 0) {
		return ret;
	}

	ret = lwm2m_set_string(&LWM2M_OBJ(LWM2M_OBJECT_SECURITY_ID, 0, SERVER_URI_ID),
			       app_settings.server);
	if (ret < 0) {
		LOG_ERR("The server's URI is too long: %s", app_settings.server);
		return ret;
	}
	lwm2m_set_u8(&LWM2M_OBJ(LWM2M_OBJECT_SECURITY_ID, 0, SECURITY_MODE_ID),
		     x509 ? SECURITY_MODE_CERTIFICATE : SECURITY_MODE_PSK);
	/* Ties the Security object to the Server object (1) */
	lwm2m_set_u16(&LWM2M_OBJ(LWM2M_OBJECT_SECURITY_ID, 0, SHORT_SERVER_ID),
		      CONFIG_LWM2M_SERVER_DEFAULT_SSID);
	lwm2m_set_u16(&LWM2M_OBJ(LWM2M_OBJECT_SERVER_ID, 0, 0), CONFIG_LWM2M_SERVER_DEFAULT_SSID);
	return 0;
}
