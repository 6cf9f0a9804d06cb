/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Texts that the server may write. Where the board has a settings storage (CONFIG_SETTINGS)
 * they outlast a reboot, until the factory reset.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/settings/settings.h>
#include <zephyr/sys/util.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

#define KEY_SIZE sizeof("flownexus/65535/65535/65535")

static sys_slist_t texts = SYS_SLIST_STATIC_INIT(&texts);

static void make_key(const struct stored_text *text, char *key)
{
	snprintf(key, KEY_SIZE, "flownexus/%u/%u/%u", text->path.obj_id, text->path.obj_inst_id,
		 text->path.res_id);
}

static int load(const char *key, size_t len, settings_read_cb read_cb, void *cb_arg, void *param)
{
	struct stored_text *text = param;

	if (len < text->size) {
		ssize_t n = read_cb(cb_arg, text->buf, len);

		text->buf[n > 0 ? n : 0] = '\0';
	}
	return 0;
}

/* The callback does not say which object was written, but where the text now is. */
static int save(uint16_t obj_inst_id, uint16_t res_id, uint16_t res_inst_id, uint8_t *data,
		uint16_t len, bool last_block, size_t total_size, size_t offset)
{
	struct stored_text *text;
	char key[KEY_SIZE] = "";
	int ret = 0;

	SYS_SLIST_FOR_EACH_CONTAINER(&texts, text, node) {
		if ((uint8_t *)text->buf != data) {
			continue;
		}
		LOG_INF("/%u/%u/%u is now '%s'", text->path.obj_id, obj_inst_id, res_id, text->buf);
		if (IS_ENABLED(CONFIG_SETTINGS)) {
			make_key(text, key);
			ret = settings_save_one(key, text->buf, strlen(text->buf));
		}
		if (ret < 0) {
			LOG_ERR("%s is not stored (%d)", key, ret);
		}
	}
	return ret;
}

int stored_text_init(struct stored_text *text)
{
	char key[KEY_SIZE];
	int ret = 0;

	if (IS_ENABLED(CONFIG_SETTINGS)) {
		make_key(text, key);
		ret = settings_subsys_init();
		if (ret == 0) {
			ret = settings_load_subtree_direct(key, load, text);
		}
	}
	if (ret < 0) {
		LOG_ERR("The settings storage cannot be read (%d)", ret);
		return ret;
	}
	sys_slist_append(&texts, &text->node);
	ret = lwm2m_set_res_buf(&text->path, text->buf, text->size, strlen(text->buf) + 1, 0);
	return ret < 0 ? ret : lwm2m_register_post_write_callback(&text->path, save);
}

void stored_texts_forget(void)
{
	struct stored_text *text;
	char key[KEY_SIZE];

	SYS_SLIST_FOR_EACH_CONTAINER(&texts, text, node) {
		if (IS_ENABLED(CONFIG_SETTINGS)) {
			make_key(text, key);
			(void)settings_delete(key);
		}
	}
}
