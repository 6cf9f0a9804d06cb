/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One Temperature object (3303/0). The sensor is simulated: a room that wanders around 21 °C.
 * For a real one replace measure().
 */

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/random/random.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define TEMPERATURE(resource) LWM2M_OBJ(IPSO_OBJECT_TEMP_SENSOR_ID, 0, resource)

/* Resources of the Temperature object */
#define MIN_RANGE_ID 5603
#define MAX_RANGE_ID 5604
#define VALUE_ID     5700
#define UNIT_ID      5701

#define MEAN_CENTIDEGREES 2100
#define STEP_CENTIDEGREES 15
#define MIN_DEGREES       -40.0
#define MAX_DEGREES       85.0

/* Degrees Celsius, in hundredths. */
static int32_t measure(void)
{
	static int32_t value = MEAN_CENTIDEGREES;

	value += (MEAN_CENTIDEGREES - value) / 50;
	value += (int32_t)(sys_rand32_get() % (2 * STEP_CENTIDEGREES + 1)) - STEP_CENTIDEGREES;
	return value;
}

static void sample(struct k_work *work)
{
	k_work_schedule(k_work_delayable_from_work(work),
			K_SECONDS(CONFIG_FLOWNEXUS_SAMPLE_SECONDS));
	/* Notifies every observer of it */
	lwm2m_set_f64(&TEMPERATURE(VALUE_ID), measure() / 100.0);
}

static K_WORK_DELAYABLE_DEFINE(sample_work, sample);

int temperature_init(void)
{
	int ret = lwm2m_create_object_inst(&LWM2M_OBJ(IPSO_OBJECT_TEMP_SENSOR_ID, 0));

	if (ret < 0) {
		return ret;
	}
	lwm2m_set_string(&TEMPERATURE(UNIT_ID), "Cel");
	lwm2m_set_f64(&TEMPERATURE(MIN_RANGE_ID), MIN_DEGREES);
	lwm2m_set_f64(&TEMPERATURE(MAX_RANGE_ID), MAX_DEGREES);
	k_work_schedule(&sample_work, K_NO_WAIT);
	return 0;
}
