package compute

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Isolation says in plain sentences what keeps tasks apart from the service and from
// one another on this host, and what does not.
func (l *Local) Isolation() []string {
	var say []string
	add := func(format string, args ...any) { say = append(say, fmt.Sprintf(format, args...)) }
	switch ll := l.landlock; {
	case ll.version == 0 && l.ownUsers:
		add("This kernel has no Landlock: tasks are kept from the service's data and from one another by file permissions only.")
	case ll.version == 0:
		add("WARNING: this kernel has no Landlock and tasks run as the service's user: they can read everything that the service can, its keys included.")
	default:
		add("Landlock (version %d): a task writes only its own directory, its node's shared directory, /tmp, /var/tmp and /dev/shm, and cannot read the service's data or another task's directory.", ll.version)
		if !ll.handles(unix.LANDLOCK_ACCESS_FS_TRUNCATE) {
			add("This version of Landlock is old: a task may truncate files that its user may write.")
		}
		if ll.attr.Scoped == 0 && !l.ownUsers {
			add("This version of Landlock does not confine signals: a task can signal every process of the service's user, the service included.")
		}
		if !ll.handles(unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX) {
			add("Landlock on this kernel does not confine connections to sockets in the file system: a task can talk to every daemon that its user may talk to.")
		}
	}
	if l.ownUsers {
		add("Each task slot has a user of its own, from %d on, without privileges; elevated tasks have no more.", l.users.first)
	} else {
		add("Tasks run as the service's user without capabilities (%v). They cannot read the service's memory or environment, but nothing keeps them from slowing it down.", l.noUsers)
	}
	if l.group != nil {
		add("Control groups: a task's whole process tree ends with the task, whatever it has done to detach.")
	} else {
		add("No control groups (%v): process trees are found by session, parents, environment and user; a program that detaches and erases its environment can stay behind.", l.noGroup)
	}
	add("Tasks share the network and the process list of this host: they see one another's command lines in /proc, unless it is mounted with hidepid=2.")
	return say
}
