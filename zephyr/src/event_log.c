/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Event Log object (20) as docs/device-logs.md has it. Zephyr's own has no place for the
 * private resource by which the server sets the level, so this one stands in for it.
 */

#include <errno.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/sys/util.h>

#include "lwm2m_object.h"
#include "lwm2m_engine.h"

#include "log_message.h"
#include "log_send.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define EVENT_LOG_ID 20
#define CLASS_ID     4010
#define START_ID     4011
#define STOP_ID      4012
#define STATUS_ID    4013
#define DATA_ID      4014
#define FORMAT_ID    4015
/* Ours, from the range for private use */
#define LEVEL_ID     26241

#define RESOURCE_COUNT 7
/* Those that are no Execute */
#define VALUE_COUNT    5

#define GENERAL        0
#define STATUS_WAITING BIT(1)
#define STATUS_STOPPED BIT(0)

static struct lwm2m_engine_obj object;
static struct lwm2m_engine_obj_field fields[RESOURCE_COUNT] = {
	OBJ_FIELD_DATA(CLASS_ID, RW_OPT, S32),
	OBJ_FIELD_EXECUTE_OPT(START_ID),
	OBJ_FIELD_EXECUTE_OPT(STOP_ID),
	OBJ_FIELD_DATA(STATUS_ID, R_OPT, U8),
	OBJ_FIELD_DATA(DATA_ID, R, OPAQUE),
	OBJ_FIELD_DATA(FORMAT_ID, RW_OPT, S32),
	OBJ_FIELD_DATA(LEVEL_ID, RW_OPT, S32),
};
static struct lwm2m_engine_obj_inst instance;
static struct lwm2m_engine_res resources[RESOURCE_COUNT];
static struct lwm2m_engine_res_inst resource_instances[VALUE_COUNT];

static int32_t class = GENERAL;
static int32_t format = LOG_MESSAGE_FORMAT;
static int32_t level = CONFIG_FLOWNEXUS_LOGS_LEVEL;
static uint8_t status;

static int start(uint16_t obj_inst_id, uint8_t *args, uint16_t args_len)
{
	log_send_keep(true);
	LOG_INF("The log is kept again");
	return 0;
}

static int stop(uint16_t obj_inst_id, uint8_t *args, uint16_t args_len)
{
	log_send_keep(false);
	return 0;
}

static void *read_status(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, size_t *len)
{
	status = (log_send_waiting() ? STATUS_WAITING : 0) |
		 (log_send_keeps() ? 0 : STATUS_STOPPED);
	*len = sizeof(status);
	return &status;
}

static void *read_data(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, size_t *len)
{
	return (void *)log_send_message(len);
}

static int only(int32_t expected, const uint8_t *data, uint16_t len)
{
	int32_t value;

	if (len != sizeof(value)) {
		return -EINVAL;
	}
	memcpy(&value, data, sizeof(value));
	return value == expected ? 0 : -EINVAL;
}

static int check_class(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
		       uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	return only(GENERAL, data, len);
}

static int check_format(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
			uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	return only(LOG_MESSAGE_FORMAT, data, len);
}

static int check_level(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
		       uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	int32_t value;

	if (len != sizeof(value)) {
		return -EINVAL;
	}
	memcpy(&value, data, sizeof(value));
	if (log_level_set(value) < 0) {
		LOG_WRN("Log level refused: it is 0 to 4");
		return -EINVAL;
	}
	LOG_INF("Log level set to %d", value);
	return 0;
}

static struct lwm2m_engine_obj_inst *create(uint16_t obj_inst_id)
{
	int i = 0;
	int j = 0;

	init_res_instance(resource_instances, ARRAY_SIZE(resource_instances));
	INIT_OBJ_RES(CLASS_ID, resources, i, resource_instances, j, 1, false, true, &class,
		     sizeof(class), NULL, NULL, check_class, NULL, NULL);
	INIT_OBJ_RES_EXECUTE(START_ID, resources, i, start);
	INIT_OBJ_RES_EXECUTE(STOP_ID, resources, i, stop);
	INIT_OBJ_RES(STATUS_ID, resources, i, resource_instances, j, 1, false, true, &status,
		     sizeof(status), read_status, NULL, NULL, NULL, NULL);
	INIT_OBJ_RES_OPT(DATA_ID, resources, i, resource_instances, j, 1, false, true, read_data,
			 NULL, NULL, NULL, NULL);
	INIT_OBJ_RES(FORMAT_ID, resources, i, resource_instances, j, 1, false, true, &format,
		     sizeof(format), NULL, NULL, check_format, NULL, NULL);
	INIT_OBJ_RES(LEVEL_ID, resources, i, resource_instances, j, 1, false, true, &level,
		     sizeof(level), NULL, NULL, check_level, NULL, NULL);
	instance.resources = resources;
	instance.resource_count = i;
	return &instance;
}

static int event_log_init(void)
{
	struct lwm2m_engine_obj_inst *created = NULL;

	object.obj_id = EVENT_LOG_ID;
	object.version_major = 1;
	object.version_minor = 0;
	object.is_core = false;
	object.fields = fields;
	object.field_count = ARRAY_SIZE(fields);
	object.max_instance_count = 1U;
	object.create_cb = create;
	lwm2m_register_obj(&object);
	return lwm2m_create_obj_inst(EVENT_LOG_ID, 0, &created);
}

LWM2M_OBJ_INIT(event_log_init);
