/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * native_sim: the settings as command-line options, and the host's randomness and clock.
 */

#include <string.h>
#include <time.h>

#include <zephyr/init.h>
#include <zephyr/sys/util.h>

#include <cmdline.h>
#include <native_rtc.h>
#include <nsi_cmdline_main_if.h>
#include <nsi_host_trampolines.h>
#include <posix_native_task.h>

#include "app.h"

#define HOST_O_RDONLY   0
#define CURRENT_TIME_ID 13
/* Longer command lines are cut off */
#define HOST_ARGUMENTS_MAX 4096

static struct args_struct_t options[] = {
	{
		.option = "server",
		.name = "URI",
		.type = 's',
		.dest = (void *)&app_settings.server,
		.descript = "LwM2M server (" CONFIG_FLOWNEXUS_SERVER ")",
	},
	{
		.option = "server-name",
		.name = "NAME",
		.type = 's',
		.dest = (void *)&app_settings.server_name,
		.descript = "Name or IP address that the server's certificate must carry "
			    "(the host of --server)",
	},
	{
		.option = "certs",
		.name = "DIR",
		.type = 's',
		.dest = (void *)&app_settings.credentials,
		.descript = "Folder of the device's credentials, certs/devices/ENDPOINT",
	},
	{
		.option = "endpoint",
		.name = "NAME",
		.type = 's',
		.dest = (void *)&app_settings.endpoint,
		.descript = "Endpoint name (that of the credentials)",
	},
	ARG_TABLE_ENDMARKER
};

static void add_options(void)
{
	native_add_command_line_opts(options);
}

/* The flash would be flash.bin in the working directory, the same one for all processes. */
static void flash_in_ram(void)
{
	static char option[] = "-flash_in_ram";
	static char *arguments[] = {option};
	char text[HOST_ARGUMENTS_MAX];
	int fd = nsi_host_open("/proc/self/cmdline", HOST_O_RDONLY);
	long len = fd < 0 ? 0 : nsi_host_read(fd, text, sizeof(text) - 1);
	bool named = false;

	/* The arguments, each with a NUL behind it */
	text[len > 0 ? len : 0] = '\0';
	for (const char *arg = text; arg < text + len; arg += strlen(arg) + 1) {
		named = named || strstr(arg, "-flash=") != NULL;
	}
	if (fd >= 0) {
		nsi_host_close(fd);
	}
	if (!named) {
		nsi_register_extra_args(ARRAY_SIZE(arguments), arguments);
	}
}

/* Parsing sets the options that were not given to NULL. */
static void set_defaults(void)
{
	app_settings.server = app_settings.server ?: CONFIG_FLOWNEXUS_SERVER;
	app_settings.server_name = app_settings.server_name ?: CONFIG_FLOWNEXUS_SERVER_NAME;
	app_settings.credentials = app_settings.credentials ?: CONFIG_FLOWNEXUS_CREDENTIALS_DIR;
	app_settings.endpoint = app_settings.endpoint ?: CONFIG_FLOWNEXUS_ENDPOINT;
}

/* Without this all processes would draw the same DTLS randoms; --seed still overrides it. */
static void seed_random(void)
{
	unsigned int seed = 0;
	int fd = nsi_host_open("/dev/urandom", HOST_O_RDONLY);

	if (fd < 0 || nsi_host_read(fd, &seed, sizeof(seed)) != sizeof(seed)) {
		posix_print_error_and_exit("Cannot read /dev/urandom\n");
	}
	nsi_host_close(fd);
	nsi_host_srandom(seed);
}

NATIVE_TASK(add_options, PRE_BOOT_1, 20);
NATIVE_TASK(flash_in_ram, PRE_BOOT_1, 20);
NATIVE_TASK(set_defaults, PRE_BOOT_2, 20);
NATIVE_TASK(seed_random, PRE_BOOT_2, 20);

/* The Device object counts its Current Time from here. */
static int set_clock(void)
{
	uint32_t nsec;
	uint64_t sec;

	native_rtc_gettime(RTC_CLOCK_PSEUDOHOSTREALTIME, &nsec, &sec);
	return lwm2m_set_time(&LWM2M_OBJ(LWM2M_OBJECT_DEVICE_ID, 0, CURRENT_TIME_ID), (time_t)sec);
}

SYS_INIT(set_clock, APPLICATION, 99);
