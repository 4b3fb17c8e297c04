#!/usr/bin/env bash
# A real Slurm of one node, this machine, to try the profile `slurm` on: munged, slurmctld and slurmd with their
# configuration, keys, state and logs in one folder. It needs no systemd and no database.
#
#   workflow/slurm/one_node.sh install        the Debian packages it needs; as root
#   workflow/slurm/one_node.sh start FOLDER   prints what the shell needs to use it: eval "$(... start FOLDER)"
#   workflow/slurm/one_node.sh stop FOLDER    cancels its jobs and stops it; the folder stays
set -eEuo pipefail

readonly PACKAGES="slurmctld slurmd slurm-client munge"

usage() {
	sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

fail() {
	echo "$1" >&2
	exit 1
}

find_programs() {
	PATH=$PATH:/usr/sbin:/sbin
	local program
	for program in munged slurmctld slurmd srun sbatch scontrol scancel; do
		command -v "$program" >/dev/null || fail "$program is missing; on Debian and Ubuntu: $0 install"
	done
}

install_packages() {
	command -v apt-get >/dev/null || fail "Slurm is installed by apt-get alone here; install $PACKAGES by other means"
	[ "$(id -u)" = 0 ] || fail "as root: apt-get install --no-install-recommends $PACKAGES"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	# shellcheck disable=SC2086
	apt-get -qq install -y --no-install-recommends $PACKAGES >&2
}

free_ports() {
	python3 -c 'import socket
ends = [socket.socket() for _ in range(2)]
for end in ends: end.bind(("", 0))
print(*(end.getsockname()[1] for end in ends))'
}

write_configuration() {
	local cores memory_mb ports
	cores=$(nproc)
	memory_mb=$(awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
	read -r -a ports <<<"$(free_ports)"
	cat >"$folder/slurm.conf" <<-END
		ClusterName=one_node
		SlurmctldHost=$node(127.0.0.1)
		SlurmctldPort=${ports[0]}
		SlurmdPort=${ports[1]}
		SlurmUser=$(id -un)
		SlurmdUser=$(id -un)
		AuthType=auth/munge
		AuthInfo=socket=$folder/munge.socket
		CryptoType=crypto/munge
		StateSaveLocation=$folder/state
		SlurmdSpoolDir=$folder/spool
		SlurmctldPidFile=$folder/slurmctld.pid
		SlurmdPidFile=$folder/slurmd.pid
		SlurmctldLogFile=$folder/slurmctld.log
		SlurmdLogFile=$folder/slurmd.log
		# Containers and ordinary users have no control groups, and there is no database.
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		JobAcctGatherType=jobacct_gather/none
		AccountingStorageType=accounting_storage/none
		# One line for each finished job, with its name, state and comment.
		JobCompType=jobcomp/filetxt
		JobCompLoc=$folder/finished
		MpiDefault=none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core_Memory
		DefMemPerCPU=500
		ReturnToService=2
		# squeue tells what became of a job for ten minutes after its end.
		MinJobAge=600
		NodeName=$node NodeAddr=127.0.0.1 CPUs=$cores SocketsPerBoard=1 CoresPerSocket=$cores ThreadsPerCore=1 RealMemory=$((memory_mb * 9 / 10))
		PartitionName=main Nodes=$node Default=YES
	END
}

# Slurm starts the steps of a job without SLURM_CONF: an srun that sets it comes first in PATH.
write_srun() {
	printf '#!/bin/sh\nexport SLURM_CONF=%q\nexec %q "$@"\n' "$folder/slurm.conf" "$(command -v srun)" >"$folder/bin/srun"
	chmod +x "$folder/bin/srun"
}

start() {
	trap give_up ERR
	mkdir -p "$folder"/{state,spool,bin}
	chmod 755 "$folder"
	if [ ! -s "$folder/munge.key" ]; then
		(umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
	fi
	write_srun
	write_configuration
	start_daemon munged --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
		--pid-file="$folder/munged.pid" --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" \
		--num-threads=2 --force
	start_daemon slurmctld
	start_daemon slurmd
	local second
	for second in $(seq 60); do
		if [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; then
			printf 'export SLURM_CONF=%q\nexport PATH=%q:$PATH\n' "$SLURM_CONF" "$folder/bin"
			return
		fi
		sleep 0.5
	done
	echo "the node was not ready after 30 s" >&2
	give_up
}

# Keeps what a daemon says before it has a log.
start_daemon() {
	"$@" >"$folder/$1.out" 2>&1
}

# What the daemons said comes last: it is the reason.
give_up() {
	trap - ERR
	local service state
	state=$(timeout 5 sinfo --noheader --format='the node is %T: %E' 2>/dev/null || true)
	[ -z "$state" ] || echo "$state" >&2
	for service in munged slurmctld slurmd; do
		is_running "$service" || echo "$service does not run: $(said_by "$service")" >&2
	done
	stop
	exit 1
}

is_running() {
	[ -s "$folder/$1.pid" ] && kill -0 "$(cat "$folder/$1.pid")" 2>/dev/null
}

# The errors of a daemon, or the end of its log.
said_by() {
	local said
	said=$(cat "$folder/$1.log" "$folder/$1.out" 2>/dev/null || true)
	{ grep -iE 'fatal|error' <<<"$said" || echo "${said:-it says nothing}"; } | tail -n 3 | paste -sd ';' -
}

stop() {
	scancel --user="$(id -un)" 2>/dev/null || true
	local service
	for service in slurmd slurmctld munged; do
		[ -s "$folder/$service.pid" ] || continue
		kill "$(cat "$folder/$service.pid")" 2>/dev/null || true
	done
}

case "${1-}" in
install) install_packages ;;
start | stop)
	[ $# = 2 ] || usage
	find_programs
	folder=$(realpath -m "$2")
	[[ "$folder" =~ ^[A-Za-z0-9_./-]+$ ]] || fail "$folder: Slurm's configuration takes letters, digits and _./- alone"
	node=$(hostname -s)
	export SLURM_CONF=$folder/slurm.conf
	"$1"
	;;
*) usage ;;
esac
