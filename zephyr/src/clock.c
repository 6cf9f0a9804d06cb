/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The time resources of the Device object: Current Time, UTC offset and timezone. Zephyr keeps
 * Current Time as an offset to the uptime: it moves on by itself and is gone with a restart.
 */

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define CURRENT_TIME_ID 13
#define UTC_OFFSET_ID   14
#define TIMEZONE_ID     15

/* The widest offset in use is +14:00 */
#define MAX_OFFSET_MINUTES (14 * 60)

static char utc_offset[sizeof("+HH:MM")] = "+00:00";
static char timezone_name[40] = "Etc/UTC";

static int check_time(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
		      uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	time_t now;

	if (len != sizeof(now)) {
		return -EINVAL;
	}
	memcpy(&now, data, sizeof(now));
	if (now < 0) {
		LOG_WRN("Current Time refused: %lld lies before 1970", (long long)now);
		return -EINVAL;
	}
	LOG_INF("Clock set to %lld (uptime %lld s)", (long long)now,
		(long long)(k_uptime_get() / MSEC_PER_SEC));
	return 0;
}

static bool is_utc_offset(const char *text)
{
	int hours, minutes;

	if (strlen(text) != sizeof("+HH:MM") - 1 || (text[0] != '+' && text[0] != '-') ||
	    isdigit((int)text[1]) == 0 || isdigit((int)text[2]) == 0 || text[3] != ':' ||
	    isdigit((int)text[4]) == 0 || isdigit((int)text[5]) == 0) {
		return false;
	}
	hours = 10 * (text[1] - '0') + text[2] - '0';
	minutes = 10 * (text[4] - '0') + text[5] - '0';
	return minutes < 60 && 60 * hours + minutes <= MAX_OFFSET_MINUTES;
}

static bool is_timezone(const char *text)
{
	const char *c = text;

	while (isalnum((int)*c) != 0 || (*c != '\0' && strchr("/_+-", *c) != NULL)) {
		c++;
	}
	return c != text && *c == '\0';
}

static int check_utc_offset(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id,
			    uint8_t *data, uint16_t len, bool last_block, size_t total_size,
			    size_t offset)
{
	if (!is_utc_offset((const char *)data)) {
		LOG_WRN("UTC offset refused: it reads +HH:MM or -HH:MM");
		return -EINVAL;
	}
	return 0;
}

static int check_timezone(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id,
			  uint8_t *data, uint16_t len, bool last_block, size_t total_size,
			  size_t offset)
{
	if (!is_timezone((const char *)data)) {
		LOG_WRN("Timezone refused: a name of the IANA database, as Europe/Berlin");
		return -EINVAL;
	}
	return 0;
}

int clock_init(void)
{
	static struct stored_text texts[] = {
		{
			.path = LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, UTC_OFFSET_ID),
			.buf = utc_offset,
			.size = sizeof(utc_offset),
		},
		{
			.path = LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, TIMEZONE_ID),
			.buf = timezone_name,
			.size = sizeof(timezone_name),
		},
	};
	int ret = stored_text_init(&texts[0]);

	ret |= stored_text_init(&texts[1]);
	ret |= lwm2m_register_validate_callback(&texts[0].path, check_utc_offset);
	ret |= lwm2m_register_validate_callback(&texts[1].path, check_timezone);
	ret |= lwm2m_register_validate_callback(
		&LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, CURRENT_TIME_ID), check_time);
	if (IS_ENABLED(CONFIG_LWM2M_QUEUE_MODE_ENABLED)) {
		/* An observed clock, notified every ten seconds, would never let it sleep */
		(void)lwm2m_update_device_service_period(CONFIG_FLOWNEXUS_SAMPLE_SECONDS *
							 MSEC_PER_SEC);
	}
	return ret == 0 ? 0 : -EINVAL;
}
