/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * native_sim with a boot loader: a restart ends the process with a status of its own. What
 * starts it again, native_sim_boot.py, may have another image by then.
 */

#include <zephyr/sys/reboot.h>

#include <posix_board_if.h>

#define RESET_STATUS 75

void sys_arch_reboot(int type)
{
	posix_exit(RESET_STATUS);
}
