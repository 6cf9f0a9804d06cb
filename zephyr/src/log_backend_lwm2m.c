/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A backend of Zephyr's log: makes lines of its messages and has log_send.c keep them.
 *
 * The log of the log must not feed itself. So the modules by which lines are sent (LwM2M, CoAP,
 * DTLS, sockets) are heard up to warnings only, where a message that arrives says nothing; and
 * their lines never cause a message, they go along with others.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log_backend.h>
#include <zephyr/logging/log_ctrl.h>
#include <zephyr/logging/log_msg.h>
#include <zephyr/logging/log_output.h>
#include <zephyr/sys/cbprintf.h>
#include <zephyr/sys/util.h>

#include "log_ring.h"
#include "log_send.h"

static char text[CONFIG_FLOWNEXUS_LOGS_LINE_SIZE];
static size_t text_len;
static int wanted = CONFIG_FLOWNEXUS_LOGS_LEVEL;
static bool filtered;
static bool in_panic;

/* True for a module whose lines may come from sending. */
static bool is_transport(const char *module)
{
	static const char *const prefixes[] = {"net_", "mbedtls", "nrf_modem", "modem_", "nsos"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (strncmp(module, prefixes[i], strlen(prefixes[i])) == 0) {
			return true;
		}
	}
	return false;
}

static int level_of(const char *module)
{
	return is_transport(module) ? MIN(wanted, LOG_LEVEL_WRN) : wanted;
}

/* A line is one line. Longer ones are cut by log_text_cut(), which looks at one byte more. */
static int put_character(int c, void *context)
{
	if (text_len < sizeof(text)) {
		text[text_len++] = c == '\n' || c == '\r' || c == '\0' ? ' ' : (char)c;
	}
	/* A negative one would be an error, and bytes of UTF-8 come as such */
	return (uint8_t)c;
}

static void put_hex(const uint8_t *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		(void)put_character(' ', NULL);
		(void)put_character(digits[data[i] >> 4], NULL);
		(void)put_character(digits[data[i] & 0xf], NULL);
	}
}

static void process(const struct log_backend *const backend, union log_msg_generic *generic)
{
	struct log_msg *msg = &generic->log;
	int16_t source = log_msg_get_source_id(msg);
	const char *module =
		source < 0 ? "" : log_source_name_get(log_msg_get_domain(msg), (uint32_t)source);
	/* printk() has no level */
	int level = log_msg_get_level(msg) == LOG_LEVEL_NONE ? LOG_LEVEL_INF
							     : log_msg_get_level(msg);
	uint64_t uptime =
		log_output_timestamp_to_us(log_msg_get_timestamp(msg)) / USEC_PER_MSEC;
	size_t len;
	uint8_t *bytes;

	if (!filtered) {
		/* Zephyr has enabled the backend by now, for all severities */
		(void)log_level_set(wanted);
	}
	module = module == NULL ? "" : module;
	if (in_panic || level > level_of(module)) {
		return;
	}
	text_len = 0;
	bytes = log_msg_get_package(msg, &len);
	if (len > 0) {
		(void)cbpprintf(put_character, NULL, bytes);
	}
	bytes = log_msg_get_data(msg, &len);
	put_hex(bytes, len);
	if (text_len == sizeof(text)) {
		text_len = log_text_cut(text, text_len, sizeof(text) - 1);
	}
	while (text_len > 0 && text[text_len - 1] == ' ') {
		text_len--;
	}
	if (text_len == 0 && source < 0) {
		/* printk("\n") */
		return;
	}
	log_send_line(uptime, (uint8_t)level, module, text, text_len, !is_transport(module));
}

/* Messages for which Zephyr's own buffer had no room. */
static void dropped(const struct log_backend *const backend, uint32_t count)
{
	if (!in_panic && wanted > LOG_LEVEL_NONE) {
		log_send_dropped(count);
	}
}

/* Nothing can be sent any more, and nothing may wait for a lock. */
static void panic(const struct log_backend *const backend)
{
	in_panic = true;
}

static const struct log_backend_api api = {
	.process = process,
	.dropped = dropped,
	.panic = panic,
};

LOG_BACKEND_DEFINE(log_backend_lwm2m, api, true);

int log_level_set(int level)
{
	if (level < LOG_LEVEL_NONE || level > LOG_LEVEL_DBG) {
		return -EINVAL;
	}
	wanted = level;
	filtered = true;
	/* What nobody wants is not even formatted */
	for (uint32_t source = 0; source < log_src_cnt_get(Z_LOG_LOCAL_DOMAIN_ID); source++) {
		const char *module = log_source_name_get(Z_LOG_LOCAL_DOMAIN_ID, source);

		(void)log_filter_set(&log_backend_lwm2m, Z_LOG_LOCAL_DOMAIN_ID, (int16_t)source,
				     (uint32_t)level_of(module));
	}
	return 0;
}
