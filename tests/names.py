"""What the builder is called that most hosts have alone, for those who look at it from outside."""

from darlingbuilder.core.instance import Instance

_OURS = Instance()
UNIT = _OURS.unit
SOCKET = _OURS.socket
PROXY = _OURS.proxy
METRICS_SERVICE = _OURS.metrics_service
METRICS_TIMER = _OURS.metrics_timer
ALIAS = _OURS.alias
OUT_OF_SERVICE = _OURS.out_of_service
UNIT_FILE = _OURS.unit_file
SOCKET_FILE = _OURS.socket_file
PROXY_FILE = _OURS.proxy_file
METRICS_SERVICE_FILE = _OURS.metrics_service_file
METRICS_TIMER_FILE = _OURS.metrics_timer_file
SSH_ALIAS = _OURS.ssh_alias
OUR_MACHINES = _OURS.machines
HOST_ROOTS = _OURS.host_roots
SYSUSERS = _OURS.sysusers
LOCK = _OURS.lock
KEYS_LOCK = _OURS.keys_lock
WALLED = _OURS.walled
WALLED_DATABASE = _OURS.walled_database
