/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Firmware Update (object 5): a package is pushed to 5/0/0 or fetched from the URI in 5/0/1,
 * lands in slot 1 (src/image.c), and on Update the boot loader is asked to try it. The new image
 * is confirmed when it has registered; one that cannot is restarted, and the boot loader takes
 * the old one back. What came of it is told after the reboot.
 *
 * The writes of 5/0/0 and 5/0/1 are handled here and not by Zephyr's object: that one takes an
 * empty package for a complete one, waits for ever for the rest of a push, and tells every
 * failed fetch as a lost connection.
 */

#include <errno.h>
#include <string.h>

#include <lwm2m_pull_context.h>

#include <zephyr/dfu/mcuboot.h>
#include <zephyr/fatal.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/logging/log_ctrl.h>
#include <zephyr/settings/settings.h>
#include <zephyr/sys/reboot.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define FIRMWARE(resource) LWM2M_OBJ(LWM2M_OBJECT_FIRMWARE_ID, 0, resource)

/* Resources of the Firmware Update object */
#define PACKAGE_ID         0
#define PACKAGE_URI_ID     1
#define STATE_ID           3
#define RESULT_ID          5
#define PACKAGE_NAME_ID    6
#define PACKAGE_VERSION_ID 7
#define PROTOCOLS_ID       8

#define PROTOCOL_COAPS 1

/* SHA-256 of the image that an update was asked for, until the next package or a reset */
#define REQUESTED_KEY "flownexus/update"

static uint8_t block[CONFIG_LWM2M_COAP_BLOCK_SIZE];
static uint8_t protocols = PROTOCOL_COAPS;

/* The package that is coming in, and where from; Zephyr copies this many bytes of the URI */
static char pulled[LWM2M_PACKAGE_URI_LEN];
static bool pulling;
static bool pull_cancelled;
static bool complete;
static int failure;
static struct image_info received;

static void on_silence(struct k_work *work);
static void on_unconfirmed(struct k_work *work);

static K_WORK_DELAYABLE_DEFINE(silence_work, on_silence);
static K_WORK_DELAYABLE_DEFINE(unconfirmed_work, on_unconfirmed);

static uint8_t get_state(void)
{
	uint8_t state = STATE_IDLE;

	(void)lwm2m_get_u8(&FIRMWARE(STATE_ID), &state);
	return state;
}

/* The result first: whoever sees the state asks for it. */
static void set_state(uint8_t state, uint8_t result)
{
	lwm2m_set_u8(&FIRMWARE(RESULT_ID), result);
	lwm2m_set_u8(&FIRMWARE(STATE_ID), state);
}

static void forget_requested(void)
{
	(void)settings_delete(REQUESTED_KEY);
}

/* State 0 and Result 0, as after the factory. */
static void reset(void)
{
	(void)k_work_cancel_delayable(&silence_work);
	image_abort();
	forget_requested();
	set_state(STATE_IDLE, RESULT_DEFAULT);
	LOG_INF("Update: reset by the server");
}

/* Update Result of a package that could not be taken, for an errno of image_*(). */
static uint8_t result_of(int error)
{
	switch (error) {
	case -ENOSPC:
		return RESULT_NO_STORAGE;
	case -EBADMSG:
		return RESULT_INTEGRITY_FAILED;
	case -ENOEXEC:
		return RESULT_UNSUP_FW;
	default:
		return RESULT_UPDATE_FAILED;
	}
}

/* Update Result of a fetch that ended without a package. */
static uint8_t result_of_pull(int error)
{
	switch (error) {
	case -ENOTSUP: /* not a URI */
	case -ENOENT:  /* no such host */
		return RESULT_INVALID_URI;
	case -EPROTONOSUPPORT:
		return RESULT_UNSUP_PROTO;
	case -ENOMEM:
	case -ENOBUFS:
	case -ENFILE:
		return RESULT_OUT_OF_MEM;
	default:
		/* Not reached, not trusted, refused or silent: Zephyr does not tell them apart */
		return RESULT_CONNECTION_LOST;
	}
}

static void transfer_failed(uint8_t result)
{
	(void)k_work_cancel_delayable(&silence_work);
	image_abort();
	LOG_ERR("Update: no package (Result %u)", result);
	set_state(STATE_IDLE, result);
}

static void transfer_begins(void)
{
	complete = false;
	failure = 0;
	forget_requested();
	set_state(STATE_DOWNLOADING, RESULT_DEFAULT);
}

static void transfer_complete(void)
{
	(void)k_work_cancel_delayable(&silence_work);
	LOG_INF("Update: image %s complete, %zu bytes", received.version, received.size);
	set_state(STATE_DOWNLOADED, RESULT_DEFAULT);
}

/* One piece of a package, pushed or fetched, into slot 1. */
static int take(const uint8_t *data, size_t len, bool last, size_t total, size_t offset)
{
	int ret = 0;

	if (offset == 0) {
		LOG_INF("Update: a package of %zu bytes%s", total, total == 0 ? " (unknown)" : "");
		ret = image_begin(total);
	}
	if (ret == 0) {
		ret = image_write(data, len, offset);
	}
	if (ret == 0 && last) {
		ret = image_finish(&received);
		complete = ret == 0;
	}
	return ret;
}

static void on_silence(struct k_work *work)
{
	lwm2m_registry_lock();
	if (get_state() == STATE_DOWNLOADING && !pulling) {
		LOG_ERR("Update: the rest of the package has not come");
		set_state(STATE_IDLE, RESULT_CONNECTION_LOST);
	}
	lwm2m_registry_unlock();
}

static void *block_buffer(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, size_t *len)
{
	*len = sizeof(block);
	return block;
}

/* 5/0/0, called for every block. */
static int package_written(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id,
			   uint8_t *data, uint16_t len, bool last_block, size_t total_size,
			   size_t offset)
{
	uint8_t state = get_state();
	bool empty = len == 1 && data[0] == '\0' && offset == 0 && last_block;
	int ret;

	if (empty && !pulling && state != STATE_UPDATING) {
		reset();
		return 0;
	}
	if (pulling || state > STATE_DOWNLOADING || (state == STATE_IDLE && offset > 0)) {
		LOG_WRN("Update: package refused in state %u", state);
		return -EPERM;
	}
	if (offset == 0) {
		transfer_begins();
	}
	k_work_reschedule(&silence_work, K_SECONDS(CONFIG_FLOWNEXUS_PUSH_SILENCE_SECONDS));
	ret = take(data, len, last_block, total_size, offset);
	if (ret < 0) {
		transfer_failed(result_of(ret));
	} else if (complete) {
		transfer_complete();
	}
	/* The answer to the last block is 2.04 also for a damaged image: Update Result tells */
	switch (ret) {
	case -ENOSPC:
		return -EFBIG;
	case -ENOEXEC:
		return -ENOMSG;
	case -EBADMSG:
		return 0;
	default:
		return ret;
	}
}

static int pull_block(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
		      uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	failure = pull_cancelled ? -ECANCELED : take(data, len, last_block, total_size, offset);
	return failure;
}

static void pull_ended(uint16_t obj_inst_id, int error)
{
	pulling = false;
	if (pull_cancelled) {
		reset();
	} else if (failure < 0) {
		transfer_failed(result_of(failure));
	} else if (error < 0) {
		LOG_ERR("Update: the package could not be fetched (%d)", error);
		transfer_failed(result_of_pull(error));
	} else if (!complete) {
		/* Not a single byte */
		transfer_failed(RESULT_UNSUP_FW);
	} else {
		transfer_complete();
	}
}

static void pull(const char *uri)
{
	static const char scheme[] = "coaps://";
	static const struct requesting_object request = {
		.is_firmware_uri = true,
		.result_cb = pull_ended,
		.write_cb = pull_block,
	};
	transfer_begins();
	if (strncmp(uri, scheme, sizeof(scheme) - 1) != 0) {
		LOG_ERR("Update: packages come over coaps:// only, not from %s", uri);
		transfer_failed(RESULT_UNSUP_PROTO);
	} else if (strlen(uri) >= sizeof(pulled)) {
		LOG_ERR("Update: the URI is longer than %zu characters", sizeof(pulled) - 1);
		transfer_failed(RESULT_INVALID_URI);
	} else {
		strcpy(pulled, uri);
		pulling = true;
		pull_cancelled = false;
		(void)lwm2m_pull_context_start_transfer(pulled, request, K_NO_WAIT);
	}
}

/* 5/0/1 */
static int uri_written(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
		       uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	uint8_t state = get_state();

	if (state == STATE_UPDATING) {
		return -EPERM;
	}
	if (len == 0 || data[0] == '\0') {
		if (pulling) {
			/* A fetch can only end at its next block */
			pull_cancelled = true;
		} else {
			reset();
		}
		return 0;
	}
	if (pulling && !pull_cancelled && strcmp((const char *)data, pulled) == 0) {
		/* The same again: the answer was lost */
		return 0;
	}
	if (pulling || state != STATE_IDLE) {
		LOG_WRN("Update: URI refused in state %u", state);
		return -EPERM;
	}
	pull((const char *)data);
	return 0;
}

/* 5/0/2: which image is remembered first, so that after the reboot it is known what came of it. */
static int on_update(uint16_t obj_inst_id, uint8_t *args, uint16_t args_len)
{
	int ret = settings_save_one(REQUESTED_KEY, received.sha256, sizeof(received.sha256));

	if (ret == 0) {
		ret = boot_request_upgrade(BOOT_UPGRADE_TEST);
	}
	if (ret < 0) {
		LOG_ERR("Update: the boot loader cannot be asked (%d)", ret);
		forget_requested();
		return -EIO;
	}
	LOG_INF("Update: image %s is tried after the reboot", received.version);
	restart_soon();
	return 0;
}

static int load_requested(const char *key, size_t len, settings_read_cb read_cb, void *cb_arg,
			  void *param)
{
	struct image_info *requested = param;

	if (len == sizeof(requested->sha256) &&
	    read_cb(cb_arg, requested->sha256, len) == (ssize_t)len) {
		/* Marks it as there */
		requested->size = len;
	}
	return 0;
}

/* Update Result after the reboot: did the image that was asked for come to run? */
static void tell_result(void)
{
	struct image_info requested = {0};
	struct image_info running = {0};
	uint8_t result;

	(void)settings_load_subtree_direct(REQUESTED_KEY, load_requested, &requested);
	if (requested.size == 0) {
		return;
	}
	if (image_running(&running) == 0 &&
	    memcmp(running.sha256, requested.sha256, sizeof(running.sha256)) == 0) {
		result = RESULT_SUCCESS;
		LOG_INF("Update: image %s runs", running.version);
	} else {
		result = RESULT_UPDATE_FAILED;
		LOG_ERR("Update: failed, the boot loader refused the image or took it back");
	}
	lwm2m_set_u8(&FIRMWARE(RESULT_ID), result);
}

static void on_unconfirmed(struct k_work *work)
{
	LOG_ERR("Update: no registration within %d s, back to the image before",
		CONFIG_FLOWNEXUS_CONFIRM_SECONDS);
	restart_soon();
}

void firmware_registered(void)
{
	int ret;

	if (boot_is_img_confirmed()) {
		return;
	}
	(void)k_work_cancel_delayable(&unconfirmed_work);
	ret = boot_write_img_confirmed();
	if (ret < 0) {
		LOG_ERR("Update: image %s cannot be confirmed (%d)", image_version(), ret);
	} else {
		LOG_INF("Update: image %s confirmed", image_version());
	}
}

/* A crash restarts the device instead of halting it: that is how a bad image is taken back. */
void k_sys_fatal_error_handler(unsigned int reason, const struct arch_esf *esf)
{
	LOG_PANIC();
	sys_reboot(SYS_REBOOT_COLD);
	CODE_UNREACHABLE;
}

int firmware_init(void)
{
	const char *version = image_version();
	size_t size = strlen(version) + 1;
	int ret = settings_subsys_init();

	ret |= lwm2m_create_res_inst(&LWM2M_OBJ(LWM2M_OBJECT_FIRMWARE_ID, 0, PROTOCOLS_ID, 0));
	ret |= lwm2m_set_res_buf(&LWM2M_OBJ(LWM2M_OBJECT_FIRMWARE_ID, 0, PROTOCOLS_ID, 0),
				 &protocols, sizeof(protocols), sizeof(protocols),
				 LWM2M_RES_DATA_FLAG_RO);
	ret |= lwm2m_set_res_buf(&FIRMWARE(PACKAGE_VERSION_ID), (void *)version, size, size,
				 LWM2M_RES_DATA_FLAG_RO);
	ret |= resource_absent(&FIRMWARE(PACKAGE_NAME_ID));
	ret |= lwm2m_register_pre_write_callback(&FIRMWARE(PACKAGE_ID), block_buffer);
	ret |= lwm2m_register_post_write_callback(&FIRMWARE(PACKAGE_ID), package_written);
	ret |= lwm2m_register_post_write_callback(&FIRMWARE(PACKAGE_URI_ID), uri_written);
	if (ret != 0) {
		return -EINVAL;
	}
	lwm2m_firmware_set_update_cb(on_update);
	tell_result();
	if (!boot_is_img_confirmed()) {
		LOG_INF("Update: image %s is on trial until it has registered", version);
		k_work_schedule(&unconfirmed_work, K_SECONDS(CONFIG_FLOWNEXUS_CONFIRM_SECONDS));
	}
	return 0;
}
