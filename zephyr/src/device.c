/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Device object (3): what this device is, and Reboot.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/drivers/hwinfo.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/sys/util.h>

#include <zephyr/app_version.h>
#include <zephyr/version.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define DEVICE(resource) LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, resource)

/* Resources of the Device object */
#define MANUFACTURER_ID     0
#define MODEL_NUMBER_ID     1
#define SERIAL_NUMBER_ID    2
#define FIRMWARE_VERSION_ID 3
#define REBOOT_ID           4
#define UTC_OFFSET_ID       14
#define TIMEZONE_ID         15
#define DEVICE_TYPE_ID      17
#define HARDWARE_VERSION_ID 18
#define SOFTWARE_VERSION_ID 19

static const char manufacturer[] = "FlowNexus";
static const char model[] = "FlowNexus device";
static const char type[] = CONFIG_BOARD_TARGET;
static const char firmware_version[] = APP_VERSION_STRING;
static const char software_version[] = "Zephyr " KERNEL_VERSION_STRING;
static char serial_number[2 * 16 + 1];

static void reboot(struct k_work *work)
{
	sys_reboot(SYS_REBOOT_COLD);
}

static K_WORK_DELAYABLE_DEFINE(reboot_work, reboot);

static int on_reboot(uint16_t obj_inst_id, uint8_t *args, uint16_t args_len)
{
	LOG_INF("Reboot asked for by the server");
	/* Leaves the time to answer */
	k_work_schedule(&reboot_work, K_SECONDS(1));
	return 0;
}

static int set_text(const struct lwm2m_obj_path *path, const char *text)
{
	size_t size = strlen(text) + 1;

	return lwm2m_set_res_buf(path, (void *)text, size, size, LWM2M_RES_DATA_FLAG_RO);
}

/* Zephyr's object has every text of the specification, as an empty one. */
static int remove_text(uint16_t resource)
{
	return lwm2m_delete_res_inst(&LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, resource, 0));
}

int device_object_init(void)
{
	uint8_t id[sizeof(serial_number) / 2];
	ssize_t id_len = hwinfo_get_device_id(id, sizeof(id));
	int ret = 0;

	ret |= set_text(&DEVICE(MANUFACTURER_ID), manufacturer);
	ret |= set_text(&DEVICE(MODEL_NUMBER_ID), model);
	ret |= set_text(&DEVICE(FIRMWARE_VERSION_ID), firmware_version);
	ret |= set_text(&DEVICE(DEVICE_TYPE_ID), type);
	ret |= set_text(&DEVICE(SOFTWARE_VERSION_ID), software_version);
	ret |= remove_text(UTC_OFFSET_ID);
	ret |= remove_text(TIMEZONE_ID);
	ret |= remove_text(HARDWARE_VERSION_ID);
	if (id_len > 0) {
		bin2hex(id, id_len, serial_number, sizeof(serial_number));
		ret |= set_text(&DEVICE(SERIAL_NUMBER_ID), serial_number);
	} else {
		/* A board without a number of its own, for instance native_sim */
		ret |= remove_text(SERIAL_NUMBER_ID);
	}
	ret |= lwm2m_register_exec_callback(&DEVICE(REBOOT_ID), on_reboot);
	return ret == 0 ? 0 : -EINVAL;
}
