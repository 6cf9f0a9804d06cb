/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Device object (3): what this device is. The rest of the object has files of its own: clock.c,
 * restart.c, error_codes.c, memory.c, battery_simulated.c.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/drivers/hwinfo.h>
#include <zephyr/sys/util.h>

#include <zephyr/app_version.h>
#include <zephyr/version.h>

#include "app.h"

#define DEVICE(resource) LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, resource)

/* Resources of the Device object */
#define MANUFACTURER_ID     0
#define MODEL_NUMBER_ID     1
#define SERIAL_NUMBER_ID    2
#define FIRMWARE_VERSION_ID 3
#define DEVICE_TYPE_ID      17
#define HARDWARE_VERSION_ID 18
#define SOFTWARE_VERSION_ID 19

static const char manufacturer[] = "FlowNexus";
static const char model[] = "FlowNexus device";
static const char type[] = CONFIG_BOARD_TARGET;
static const char software_version[] = "Zephyr " KERNEL_VERSION_STRING;
static char serial_number[2 * 16 + 1];

const char *firmware_version(void)
{
#if defined(CONFIG_FLOWNEXUS_FIRMWARE_UPDATE)
	return image_version();
#else
	return APP_VERSION_STRING;
#endif
}

static int set_text(const struct lwm2m_obj_path *path, const char *text)
{
	size_t size = strlen(text) + 1;

	return lwm2m_set_res_buf(path, (void *)text, size, size, LWM2M_RES_DATA_FLAG_RO);
}

int device_object_init(void)
{
	uint8_t id[sizeof(serial_number) / 2];
	ssize_t id_len = hwinfo_get_device_id(id, sizeof(id));
	int ret = 0;

	ret |= set_text(&DEVICE(MANUFACTURER_ID), manufacturer);
	ret |= set_text(&DEVICE(MODEL_NUMBER_ID), model);
	ret |= set_text(&DEVICE(FIRMWARE_VERSION_ID), firmware_version());
	ret |= set_text(&DEVICE(DEVICE_TYPE_ID), type);
	ret |= set_text(&DEVICE(SOFTWARE_VERSION_ID), software_version);
	ret |= resource_absent(&DEVICE(HARDWARE_VERSION_ID));
	if (id_len > 0) {
		bin2hex(id, id_len, serial_number, sizeof(serial_number));
		ret |= set_text(&DEVICE(SERIAL_NUMBER_ID), serial_number);
	} else {
		/* A board without a number of its own, for instance native_sim */
		ret |= resource_absent(&DEVICE(SERIAL_NUMBER_ID));
	}
	return ret == 0 ? 0 : -EINVAL;
}
