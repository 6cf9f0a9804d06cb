/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who the device talks to. Zephyr's LwM2M client verifies the server's certificate only where
 * the URI holds a DNS name; with an IP address it would talk to anybody. Here the chain and
 * the name are always verified.
 */

#include <errno.h>
#include <string.h>

#include <mbedtls/x509_crt.h>

#include <zephyr/logging/log.h>
#include <zephyr/net/http/parser_url.h>
#include <zephyr/net/socket.h>
#include <zephyr/net/tls_credentials.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

/* A DNS name has at most 253 characters */
static char server_name[254];

/* Only explains: the flags stay as they are, so Mbed TLS refuses what it found wrong. */
static int explain_verdict(void *data, mbedtls_x509_crt *cert, int depth, uint32_t *flags)
{
	if ((*flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) != 0) {
		LOG_ERR("Server refused: its certificate is not from this device's CA (ca.der)");
	}
	if ((*flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
		LOG_ERR("Server refused: its certificate does not carry the name '%s' (add it with "
			"`scripts/certs server --host %s`, or set the expected server name)",
			server_name, server_name);
	}
	if ((*flags & ~(MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_CN_MISMATCH)) !=
	    0) {
		LOG_ERR("Server refused: certificate flags 0x%x", *flags);
	}
	return 0;
}

static int set_option(int sock, int option, const void *value, size_t len, const char *what)
{
	if (zsock_setsockopt(sock, SOL_TLS, option, value, len) < 0) {
		LOG_ERR("Socket option %s: %d", what, errno);
		return -errno;
	}
	return 0;
}

/* Called for every new socket before it connects. An error keeps it from connecting. */
static int set_socket_options(struct lwm2m_ctx *ctx)
{
	const int verify = TLS_PEER_VERIFY_REQUIRED;
	const struct tls_cert_verify_cb callback = {.cb = explain_verdict};
	int ret = lwm2m_set_default_sockopt(ctx);

	if (ret < 0 || IS_ENABLED(CONFIG_FLOWNEXUS_SECURITY_PSK)) {
		/* With a pre-shared key there is no certificate: the key proves the server */
		return ret;
	}
	ret = set_option(ctx->sock_fd, TLS_PEER_VERIFY, &verify, sizeof(verify), "TLS_PEER_VERIFY");
	if (ret == 0) {
		ret = set_option(ctx->sock_fd, TLS_HOSTNAME, server_name, strlen(server_name),
				 "TLS_HOSTNAME");
	}
	if (ret == 0) {
		ret = set_option(ctx->sock_fd, TLS_CERT_VERIFY_CALLBACK, &callback,
				 sizeof(callback), "TLS_CERT_VERIFY_CALLBACK");
	}
	return ret;
}

int server_check_init(struct lwm2m_ctx *ctx)
{
	static const char scheme[] = "coaps://";
	const char *uri = app_settings.server;
	const char *name = app_settings.server_name;
	size_t len = strlen(name);
	struct http_parser_url url;

	http_parser_url_init(&url);
	if (strncmp(uri, scheme, sizeof(scheme) - 1) != 0 ||
	    http_parser_parse_url(uri, strlen(uri), 0, &url) != 0) {
		LOG_ERR("The server's URI must read coaps://HOST[:PORT], not '%s'", uri);
		return -EINVAL;
	}
	if (len == 0) {
		name = uri + url.field_data[UF_HOST].off;
		len = url.field_data[UF_HOST].len;
	}
	if (len >= sizeof(server_name)) {
		LOG_ERR("The server's name is longer than %zu characters", sizeof(server_name) - 1);
		return -EINVAL;
	}
	memcpy(server_name, name, len);
	server_name[len] = '\0';

	ctx->tls_tag = 1;
	ctx->set_socketoptions = set_socket_options;
#if defined(CONFIG_FLOWNEXUS_FIRMWARE_UPDATE)
	/* Packages come from the same server: it must prove itself by the same name, whatever
	 * address the package's URI has
	 */
	lwm2m_pull_context_set_sockopt_callback(set_socket_options);
#endif
	return 0;
}
