/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * One Light Control object (3311/0): the board's led0 where the devicetree has one, else a
 * simulated lamp; every change is logged. A pin knows only lit and dark: the dimmer is kept, and
 * 0 % is dark.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define LIGHT(resource) LWM2M_OBJ(IPSO_OBJECT_LIGHT_CONTROL_ID, 0, resource)

/* Resources of the Light Control object */
#define UNIT_ID             5701
#define COLOUR_ID           5706
#define APPLICATION_TYPE_ID 5750
#define CUMULATIVE_POWER_ID 5805
#define POWER_FACTOR_ID     5820
#define ON_OFF_ID           5850
#define DIMMER_ID           5851
#define ON_TIME_ID          5852

#define MAX_PERCENT 100

static bool on;
static uint8_t percent = MAX_PERCENT;
/* Seconds that it was on before it was last switched on, and the uptime of that moment */
static int32_t on_seconds;
static int64_t on_since;
static int32_t on_time;
static char application_type[40] = "LED";

#if DT_NODE_HAS_PROP(DT_ALIAS(led0), gpios)

static const struct gpio_dt_spec led = GPIO_DT_SPEC_GET(DT_ALIAS(led0), gpios);

static int lamp_init(void)
{
	if (!gpio_is_ready_dt(&led)) {
		return -ENODEV;
	}
	LOG_INF("Light: led0, %s pin %u", led.port->name, led.pin);
	return gpio_pin_configure_dt(&led, GPIO_OUTPUT_INACTIVE);
}

static int lamp_set(bool lit)
{
	return gpio_pin_set_dt(&led, lit);
}

#else

static int lamp_init(void)
{
	LOG_INF("Light: simulated, this board's devicetree has no led0");
	return 0;
}

static int lamp_set(bool lit)
{
	return 0;
}

#endif

static int32_t on_time_now(void)
{
	return on_seconds + (on ? (k_uptime_get() - on_since) / MSEC_PER_SEC : 0);
}

static int show(void)
{
	bool lit = on && percent > 0;
	int ret = lamp_set(lit);

	if (ret < 0) {
		LOG_ERR("The light does not obey (%d)", ret);
		(void)lwm2m_device_add_err(LWM2M_DEVICE_ERROR_PERIPHERAL_FAILURE);
		return ret;
	}
	LOG_INF("Light: %s, dimmer %u %% (%s)", on ? "on" : "off", percent, lit ? "lit" : "dark");
	return 0;
}

static int on_off_written(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id,
			  uint8_t *data, uint16_t len, bool last_block, size_t total_size,
			  size_t offset)
{
	bool wanted = *(bool *)data;

	if (wanted != on) {
		on_seconds = on_time_now();
		on_since = k_uptime_get();
		on = wanted;
	}
	return show();
}

static int dimmer_written(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id,
			  uint8_t *data, uint16_t len, bool last_block, size_t total_size,
			  size_t offset)
{
	percent = *data;
	return show();
}

static int check_dimmer(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
			uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	if (*data > MAX_PERCENT) {
		LOG_WRN("Dimmer refused: %u is not within 0 to 100 %%", *data);
		return -EINVAL;
	}
	return 0;
}

static void *on_time_read(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, size_t *len)
{
	on_time = on_time_now();
	*len = sizeof(on_time);
	return &on_time;
}

/* Only a reset to 0 is defined for it. */
static int check_on_time(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
			 uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	int32_t seconds;

	memcpy(&seconds, data, sizeof(seconds));
	return seconds == 0 ? 0 : -EINVAL;
}

static int on_time_reset(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
			 uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	on_seconds = 0;
	on_since = k_uptime_get();
	return 0;
}

int light_init(void)
{
	static struct stored_text application = {
		.path = LWM2M_OBJ(IPSO_OBJECT_LIGHT_CONTROL_ID, 0, APPLICATION_TYPE_ID),
		.buf = application_type,
		.size = sizeof(application_type),
	};
	int ret = lamp_init();

	if (ret < 0) {
		LOG_ERR("led0 is not usable (%d)", ret);
		(void)lwm2m_device_add_err(LWM2M_DEVICE_ERROR_PERIPHERAL_FAILURE);
	}
	ret = lwm2m_create_object_inst(&LWM2M_OBJ(IPSO_OBJECT_LIGHT_CONTROL_ID, 0));
	if (ret < 0) {
		return ret;
	}
	/* A pin has no colour and measures no power */
	ret |= resource_absent(&LIGHT(UNIT_ID));
	ret |= resource_absent(&LIGHT(COLOUR_ID));
	ret |= resource_absent(&LIGHT(CUMULATIVE_POWER_ID));
	ret |= resource_absent(&LIGHT(POWER_FACTOR_ID));
	ret |= stored_text_init(&application);
	ret |= lwm2m_set_u8(&LIGHT(DIMMER_ID), percent);
	ret |= lwm2m_register_post_write_callback(&LIGHT(ON_OFF_ID), on_off_written);
	ret |= lwm2m_register_validate_callback(&LIGHT(DIMMER_ID), check_dimmer);
	ret |= lwm2m_register_post_write_callback(&LIGHT(DIMMER_ID), dimmer_written);
	ret |= lwm2m_register_read_callback(&LIGHT(ON_TIME_ID), on_time_read);
	ret |= lwm2m_register_validate_callback(&LIGHT(ON_TIME_ID), check_on_time);
	ret |= lwm2m_register_post_write_callback(&LIGHT(ON_TIME_ID), on_time_reset);
	return ret;
}
