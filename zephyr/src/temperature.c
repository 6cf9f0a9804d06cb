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
#if defined(CONFIG_FLOWNEXUS_SERIES)
#include "series.h"
#endif

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define TEMPERATURE(resource) LWM2M_OBJ(IPSO_OBJECT_TEMP_SENSOR_ID, 0, resource)

/* Resources of the Temperature object */
#define MIN_ID       5601
#define MAX_ID       5602
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

#if defined(CONFIG_FLOWNEXUS_SERIES)
static struct series temperatures = {.path = TEMPERATURE(VALUE_ID), .divisor = 100};

/* Lowest and highest, which Zephyr's object keeps only for values that observers are told of. */
static void update_extremes(double value)
{
	double lowest;
	double highest;

	if (lwm2m_get_f64(&TEMPERATURE(MIN_ID), &lowest) == 0 && value < lowest) {
		lwm2m_set_f64(&TEMPERATURE(MIN_ID), value);
	}
	if (lwm2m_get_f64(&TEMPERATURE(MAX_ID), &highest) == 0 && value > highest) {
		lwm2m_set_f64(&TEMPERATURE(MAX_ID), value);
	}
}
#endif

static void sample(struct k_work *work)
{
	int32_t value = measure();

	k_work_schedule(k_work_delayable_from_work(work),
			K_SECONDS(CONFIG_FLOWNEXUS_SAMPLE_SECONDS));
#if defined(CONFIG_FLOWNEXUS_SERIES)
	series_put(&temperatures, value);
	update_extremes(value / 100.0);
#else
	/* Notifies every observer of it */
	lwm2m_set_f64(&TEMPERATURE(VALUE_ID), value / 100.0);
#endif
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
#if defined(CONFIG_FLOWNEXUS_SERIES)
	ret = series_add(&temperatures);
	if (ret < 0) {
		return ret;
	}
#endif
	k_work_schedule(&sample_work, K_NO_WAIT);
	return 0;
}
