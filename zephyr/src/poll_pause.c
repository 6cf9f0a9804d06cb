/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * While a notification waits for its acknowledgement and the next one is already due, the LwM2M
 * engine of Zephyr (up to 4.2 at least) polls its socket with a timeout of 0 in a loop: the CPU
 * never rests, and on native_sim, where time advances only when the CPU rests, the device hangs
 * for good. A server that was restarted is enough. So no poll returns without having waited for
 * a moment; CMakeLists.txt has the linker put this function in front of the system's.
 */

#include <zephyr/sys/fdtable.h>

#define PAUSE_MS 1

int __real_z_impl_zvfs_poll(struct zvfs_pollfd *fds, int nfds, int poll_timeout);
int __wrap_z_impl_zvfs_poll(struct zvfs_pollfd *fds, int nfds, int poll_timeout);

int __wrap_z_impl_zvfs_poll(struct zvfs_pollfd *fds, int nfds, int poll_timeout)
{
	return __real_z_impl_zvfs_poll(fds, nfds, poll_timeout == 0 ? PAUSE_MS : poll_timeout);
}
