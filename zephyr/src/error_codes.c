/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Error Code of the Device object over a restart. Zephyr's object keeps, stores and resets the
 * list; but it looks for stored codes while the system starts, when nobody has opened the
 * settings storage yet. So it is opened before.
 */

#include <zephyr/init.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/settings/settings.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

/* Before the LwM2M engine, which starts at the default priority */
#define OPEN_PRIORITY 10

static int open_storage(void)
{
	int ret = 0;

	if (IS_ENABLED(CONFIG_SETTINGS)) {
		ret = settings_subsys_init();
	}
	if (ret != 0) {
		LOG_ERR("The settings storage cannot be opened (%d)", ret);
	}
	return ret;
}

BUILD_ASSERT(OPEN_PRIORITY < CONFIG_KERNEL_INIT_PRIORITY_DEFAULT);
SYS_INIT(open_storage, APPLICATION, OPEN_PRIORITY);

void error_codes_forget(void)
{
	if (IS_ENABLED(CONFIG_LWM2M_DEVICE_ERROR_CODE_SETTINGS)) {
		(void)settings_delete("lwm2m_obj_dev/err");
	}
}
