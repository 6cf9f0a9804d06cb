/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * MCUboot images in the flash: the one that runs (slot 0) and the one that is being received
 * (slot 1). A package goes to slot 1 as it is, block by block; once it is complete its header,
 * its size and its SHA-256 are checked. Its signature is for the boot loader to verify.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bootutil/image.h>

#include <zephyr/dfu/flash_img.h>
#include <zephyr/dfu/mcuboot.h>
#include <zephyr/logging/log.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/byteorder.h>
#include <zephyr/sys/util.h>

#include <zephyr/app_version.h>

#include "app.h"

LOG_MODULE_DECLARE(flownexus, CONFIG_FLOWNEXUS_LOG_LEVEL);

/* What cannot be checked here: only the boot loader can decrypt or unpack it */
#define FLAGS_UNCHECKED                                                                            \
	(ENCRYPTIONFLAGS | IMAGE_F_COMPRESSED_LZMA1 | IMAGE_F_COMPRESSED_LZMA2 |                   \
	 IMAGE_F_COMPRESSED_ARM_THUMB_FLT | IMAGE_F_NON_BOOTABLE)

static struct flash_img_context writer;
static struct image_header header;
static size_t written;

static size_t room(uint8_t slot, const struct flash_area *area)
{
	return boot_get_trailer_status_offset(area->fa_size) - boot_get_image_start_offset(slot);
}

/* Length of what the SHA-256 covers: header, program and protected TLVs. */
static uint64_t hashed_size(const struct image_header *head)
{
	return (uint64_t)sys_le16_to_cpu(head->ih_hdr_size) + sys_le32_to_cpu(head->ih_img_size) +
	       sys_le16_to_cpu(head->ih_protect_tlv_size);
}

/* -ENOEXEC: no image that this device can take; -ENOSPC: too large for its slot. */
static int check_header(const struct image_header *head, size_t space)
{
	if (sys_le32_to_cpu(head->ih_magic) != IMAGE_MAGIC ||
	    sys_le16_to_cpu(head->ih_hdr_size) < IMAGE_HEADER_SIZE) {
		return -ENOEXEC;
	}
	if ((sys_le32_to_cpu(head->ih_flags) & FLAGS_UNCHECKED) != 0) {
		return -ENOEXEC;
	}
	return hashed_size(head) + sizeof(struct image_tlv_info) > space ? -ENOSPC : 0;
}

/* Reads header, size and SHA-256 of the image in a slot; see struct image_info. */
static int inspect(uint8_t slot, const struct flash_area *area, struct image_info *info)
{
	const size_t start = boot_get_image_start_offset(slot);
	const size_t space = room(slot, area);
	struct image_tlv_info tlvs;
	struct image_tlv tlv;
	struct image_header head;
	int ret = flash_area_read(area, start, &head, sizeof(head));

	if (ret == 0) {
		ret = check_header(&head, space);
	}
	if (ret < 0) {
		return ret;
	}
	info->hashed = hashed_size(&head);
	ret = flash_area_read(area, start + info->hashed, &tlvs, sizeof(tlvs));
	if (ret < 0) {
		return ret;
	}
	info->size = info->hashed + sys_le16_to_cpu(tlvs.it_tlv_tot);
	if (sys_le16_to_cpu(tlvs.it_magic) != IMAGE_TLV_INFO_MAGIC || info->size > space) {
		return -EBADMSG;
	}
	snprintf(info->version, sizeof(info->version), "%u.%u.%u", head.ih_ver.iv_major,
		 head.ih_ver.iv_minor, sys_le16_to_cpu(head.ih_ver.iv_revision));
	if (head.ih_ver.iv_build_num != 0) {
		size_t len = strlen(info->version);

		snprintf(info->version + len, sizeof(info->version) - len, "+%u",
			 sys_le32_to_cpu(head.ih_ver.iv_build_num));
	}

	for (size_t at = info->hashed + sizeof(tlvs); at + sizeof(tlv) <= info->size;
	     at += sizeof(tlv) + sys_le16_to_cpu(tlv.it_len)) {
		ret = flash_area_read(area, start + at, &tlv, sizeof(tlv));
		if (ret < 0) {
			return ret;
		}
		if (sys_le16_to_cpu(tlv.it_type) == IMAGE_TLV_SHA256 &&
		    sys_le16_to_cpu(tlv.it_len) == sizeof(info->sha256)) {
			return flash_area_read(area, start + at + sizeof(tlv), info->sha256,
					       sizeof(info->sha256));
		}
	}
	/* Signed with another hash, which this device does not know */
	return -ENOEXEC;
}

static int inspect_slot(uint8_t slot, struct image_info *info)
{
	const struct flash_area *area;
	int ret = flash_area_open(slot, &area);

	if (ret == 0) {
		ret = inspect(slot, area, info);
		flash_area_close(area);
	}
	return ret;
}

int image_running(struct image_info *info)
{
	return inspect_slot(boot_fetch_active_slot(), info);
}

const char *image_version(void)
{
	static struct image_info running;

	if (running.version[0] == '\0' && image_running(&running) < 0) {
		/* Started without a boot loader: nothing but the build knows */
		snprintf(running.version, sizeof(running.version), "%s", APP_VERSION_STRING);
	}
	return running.version;
}

int image_begin(size_t total)
{
	int ret;

	image_abort();
	memset(&writer, 0, sizeof(writer));
	memset(&header, 0, sizeof(header));
	written = 0;
	ret = flash_img_init(&writer);
	if (ret < 0) {
		return -EIO;
	}
	if (total > room(flash_img_get_upload_slot(), writer.flash_area)) {
		LOG_ERR("A package of %zu bytes, but slot 1 has room for %zu", total,
			room(flash_img_get_upload_slot(), writer.flash_area));
		image_abort();
		return -ENOSPC;
	}
	return 0;
}

void image_abort(void)
{
	if (writer.flash_area != NULL) {
		flash_area_close(writer.flash_area);
		writer.flash_area = NULL;
	}
}

/* The header may come in pieces, if the blocks are small. */
static int collect_header(const uint8_t *data, size_t len, size_t space)
{
	size_t missing = written < sizeof(header) ? sizeof(header) - written : 0;
	int ret;

	if (missing == 0) {
		return 0;
	}
	memcpy((uint8_t *)&header + written, data, MIN(len, missing));
	if (len < missing) {
		return 0;
	}
	ret = check_header(&header, space);
	if (ret == -ENOEXEC) {
		LOG_ERR("The package is not an MCUboot image that this device can take");
	} else if (ret == -ENOSPC) {
		LOG_ERR("The image is too large for slot 1 (%zu bytes)", space);
	}
	return ret;
}

int image_write(const uint8_t *data, size_t len, size_t offset)
{
	size_t space;
	int ret;

	if (writer.flash_area == NULL || offset != written) {
		LOG_ERR("Block at %zu, but %zu bytes have come so far", offset, written);
		return -EBADMSG;
	}
	space = room(flash_img_get_upload_slot(), writer.flash_area);
	if (len > space - written) {
		LOG_ERR("The package does not fit into slot 1 (%zu bytes)", space);
		return -ENOSPC;
	}
	ret = collect_header(data, len, space);
	if (ret == 0) {
		ret = flash_img_buffered_write(&writer, data, len, false);
		if (ret < 0) {
			LOG_ERR("Slot 1 cannot be written (%d)", ret);
			ret = -EIO;
		}
	}
	written += len;
	return ret;
}

int image_finish(struct image_info *info)
{
	const uint8_t slot = flash_img_get_upload_slot();
	struct flash_img_check check = {.match = info->sha256};
	int ret;

	if (writer.flash_area == NULL || written < sizeof(header)) {
		LOG_ERR("The package is not an MCUboot image: it has %zu bytes", written);
		return -ENOEXEC;
	}
	ret = flash_img_buffered_write(&writer, NULL, 0, true);
	if (ret < 0) {
		LOG_ERR("Slot 1 cannot be written (%d)", ret);
		return -EIO;
	}
	ret = inspect_slot(slot, info);
	if (ret == 0 && info->size != written) {
		LOG_ERR("The image has %zu bytes, but %zu have come", info->size, written);
		return -EBADMSG;
	}
	if (ret == 0) {
		check.clen = info->hashed;
		ret = flash_img_check(&writer, &check, slot);
		if (ret == -EILSEQ) {
			LOG_ERR("The SHA-256 of the image is not the one that it carries");
			return -EBADMSG;
		}
	} else if (ret == -ENOEXEC) {
		LOG_ERR("The image carries no SHA-256");
	} else {
		/* Its TLVs are not where the header says */
		LOG_ERR("The image is incomplete or damaged");
		return -EBADMSG;
	}
	return ret;
}
