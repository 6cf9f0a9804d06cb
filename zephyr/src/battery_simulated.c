/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * A simulated battery in the Device object: from 100 % it loses 1 % per minute of uptime down
 * to 10 %, then charges at 5 % per minute. Below 20 % the device reports the error code "low
 * battery power". For a real one replace measure().
 */

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/util.h>

#include "app.h"
#if defined(CONFIG_FLOWNEXUS_SERIES)
#include "series.h"
#endif

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define BATTERY(resource) LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, resource)
#define SOURCE(resource)  LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, resource, 0)

#define POWER_SOURCES_ID 6
#define VOLTAGE_ID       7
#define LEVEL_ID         9
#define STATUS_ID        20

#define LOW_PERCENT            20
#define DISCHARGE_MINUTES      90
#define CHARGE_MINUTES         18
/* A lithium cell: 3.3 V when empty, 4.2 V when full */
#define EMPTY_MILLIVOLTS       3300
#define MILLIVOLTS_PER_PERCENT 9

static uint8_t power_source = LWM2M_DEVICE_PWR_SRC_TYPE_BAT_INT;
static int32_t millivolts;
static uint8_t level;
static uint8_t status;
#if defined(CONFIG_FLOWNEXUS_SERIES)
static struct series levels = {.path = BATTERY(LEVEL_ID)};
#endif

/* Returns the level in percent. */
static uint8_t measure(bool *charging)
{
	int minute = (k_uptime_get() / (60 * MSEC_PER_SEC)) % (DISCHARGE_MINUTES + CHARGE_MINUTES);

	*charging = minute >= DISCHARGE_MINUTES;
	if (*charging) {
		return 100 - DISCHARGE_MINUTES + 5 * (minute - DISCHARGE_MINUTES);
	}
	return 100 - minute;
}

static void sample(struct k_work *work)
{
	bool charging;
	uint8_t percent = measure(&charging);
	bool low = percent < LOW_PERCENT && !charging;

	k_work_schedule(k_work_delayable_from_work(work), K_SECONDS(60));
	if (low && status != LWM2M_DEVICE_BATTERY_STATUS_LOW) {
		LOG_WRN("The simulated battery is low: %u %%", percent);
		(void)lwm2m_device_add_err(LWM2M_DEVICE_ERROR_LOW_POWER);
	}
	/* Each notifies its observers if it has changed */
#if defined(CONFIG_FLOWNEXUS_SERIES)
	series_put(&levels, percent);
#else
	lwm2m_set_u8(&BATTERY(LEVEL_ID), percent);
#endif
	lwm2m_set_s32(&SOURCE(VOLTAGE_ID), EMPTY_MILLIVOLTS + MILLIVOLTS_PER_PERCENT * percent);
	lwm2m_set_u8(&BATTERY(STATUS_ID), charging ? LWM2M_DEVICE_BATTERY_STATUS_CHARGING
					  : low    ? LWM2M_DEVICE_BATTERY_STATUS_LOW
						   : LWM2M_DEVICE_BATTERY_STATUS_NORMAL);
}

static K_WORK_DELAYABLE_DEFINE(sample_work, sample);

int battery_init(void)
{
	int ret = lwm2m_create_res_inst(&SOURCE(POWER_SOURCES_ID));

	ret |= lwm2m_create_res_inst(&SOURCE(VOLTAGE_ID));
	ret |= lwm2m_set_res_buf(&SOURCE(POWER_SOURCES_ID), &power_source, sizeof(power_source),
				 sizeof(power_source), LWM2M_RES_DATA_FLAG_RO);
	ret |= lwm2m_set_res_buf(&SOURCE(VOLTAGE_ID), &millivolts, sizeof(millivolts),
				 sizeof(millivolts), 0);
	ret |= lwm2m_set_res_buf(&BATTERY(LEVEL_ID), &level, sizeof(level), sizeof(level), 0);
	ret |= lwm2m_set_res_buf(&BATTERY(STATUS_ID), &status, sizeof(status), sizeof(status), 0);
#if defined(CONFIG_FLOWNEXUS_SERIES)
	ret |= series_add(&levels);
#endif
	if (ret == 0) {
		LOG_INF("The battery is simulated");
		k_work_schedule(&sample_work, K_NO_WAIT);
	}
	return ret;
}
