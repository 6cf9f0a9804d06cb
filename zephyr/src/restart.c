/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reboot and Factory Reset of the Device object. Neither de-registers: the device starts anew
 * and registers again. The factory reset first forgets what the server has written and the
 * error codes; the credentials stay, for without them the device would be lost.
 */

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/logging/log_ctrl.h>
#include <zephyr/sys/reboot.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define REBOOT_ID        4
#define FACTORY_RESET_ID 5

static void reboot(struct k_work *work)
{
	LOG_PANIC();
	sys_reboot(SYS_REBOOT_COLD);
}

static K_WORK_DELAYABLE_DEFINE(reboot_work, reboot);

void restart_soon(void)
{
	k_work_schedule(&reboot_work, K_SECONDS(1));
}

static int on_reboot(uint16_t obj_inst_id, uint8_t *args, uint16_t args_len)
{
	LOG_INF("Reboot asked for by the server");
	restart_soon();
	return 0;
}

static int on_factory_reset(uint16_t obj_inst_id, uint8_t *args, uint16_t args_len)
{
	LOG_INF("Factory reset asked for by the server");
	stored_texts_forget();
	error_codes_forget();
	restart_soon();
	return 0;
}

int restart_init(void)
{
	int ret = lwm2m_register_exec_callback(&LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, REBOOT_ID),
					       on_reboot);

	if (ret == 0) {
		ret = lwm2m_register_exec_callback(
			&LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, FACTORY_RESET_ID), on_factory_reset);
	}
	return ret;
}
