"""Numbers of the firmware object, and times and tries that are no settings."""

from datetime import timedelta

# LwM2M Core 1.1, E.6
PACKAGE, URI, EXECUTE, STATE, RESULT, PKG_VERSION, PROTOCOLS, METHODS = 0, 1, 2, 3, 5, 7, 8, 9
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = 0, 1, 2, 3
SUCCESS = 1
COAP, COAPS = 0, 1
VERSION = "/3/0/3"

# bytes a second: a transfer slower than that on average is not waited for
SLOWEST = 50
# beside what the speed says
TRANSFER_SLACK = timedelta(minutes=5)
# bytes a second at which a device copies an image while it installs it
INSTALL_SPEED = 10 * 1024
# a device that is still in State 2 this long after the execute did not take it
EXECUTE_TIME = timedelta(seconds=60)
EXECUTES = 3
# a device that has just registered may tell its Result a little later
SETTLE = timedelta(seconds=15)
# registrations within the hold time that begin it anew
RENEWALS = 5
# reads without an answer in one step
SILENT = 3
# writes that reset, in one step
RESETS = 4
UNDO_TRIES = 2
# seconds after which one that waits for a sleeping device is looked at, although its waking up is told
ASLEEP = 300
MAX_EXPIRY = timedelta(days=29)
DAY = timedelta(days=1)
