/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * native_sim: credentials from files of the host, so that one binary serves any device.
 */

#include <errno.h>
#include <stdio.h>

#include <nsi_host_trampolines.h>

#include "app.h"

#define HOST_O_RDONLY 0
#define HOST_PATH_MAX 4096

static int open_credential(const char *name)
{
	static char path[HOST_PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s/%s", app_settings.credentials, name);

	if (len < 0 || len >= (int)sizeof(path)) {
		return -1;
	}
	return nsi_host_open(path, HOST_O_RDONLY);
}

int credentials_read(const char *name, uint8_t *buf, size_t size)
{
	int fd = open_credential(name);
	size_t len = 0;
	uint8_t beyond;
	long n;

	if (fd < 0) {
		return -ENOENT;
	}
	do {
		n = nsi_host_read(fd, buf + len, size - len);
		len += n > 0 ? n : 0;
	} while (n > 0 && len < size);
	if (n > 0 && nsi_host_read(fd, &beyond, sizeof(beyond)) > 0) {
		n = -EFBIG;
	} else if (n < 0) {
		n = -ENOENT;
	} else {
		n = len;
	}
	nsi_host_close(fd);
	return n;
}
