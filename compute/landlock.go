package compute

import (
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What Landlock rules may allow, in the groups that we use.
const (
	mayRead = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// mayChange is what a task may do in its own directory, beside reading.
	mayChange = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	mayUseDevice = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// onFiles is what a rule about something that is no directory can say.
	onFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
)

// A landlock is what this kernel's Landlock can do; version 0 means nothing.
type landlock struct {
	version int
	attr    unix.LandlockRulesetAttr
}

// kernelLandlock asks the kernel once.
var kernelLandlock = sync.OnceValue(func() landlock {
	version, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 || int(version) < 1 {
		return landlock{}
	}
	l := landlock{version: int(version)}
	// The first thirteen rights came with version 1.
	l.attr.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	if l.version >= 2 {
		l.attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if l.version >= 3 {
		l.attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if l.version >= 5 {
		l.attr.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if l.version >= 6 {
		l.attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	// Connecting to a socket by its path came late; the kernel is asked for it
	// rather than for its number.
	more := l.attr
	more.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	if fd, err := createRuleset(&more); err == nil {
		unix.Close(fd)
		l.attr = more
	}
	return l
})

// handles reports whether all the rights are ones that the kernel can withhold.
func (l landlock) handles(rights uint64) bool { return l.attr.Handled_access_fs&rights == rights }

func createRuleset(attr *unix.LandlockRulesetAttr) (int, error) {
	// An older kernel takes a longer structure as long as what it does not know is zero.
	fd, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr), 0)
	if errno != 0 {
		return -1, fmt.Errorf("making a Landlock ruleset: %w", errno)
	}
	return int(fd), nil
}

// A rule allows rights on the file or below the directory that fd has open.
type rule struct {
	fd     int
	rights uint64
}

// ruleset makes a Landlock ruleset of rules; the caller closes it.
func (l landlock) ruleset(groups ...[]rule) (int, error) {
	set, err := createRuleset(&l.attr)
	if err != nil {
		return -1, err
	}
	for _, rules := range groups {
		for _, r := range rules {
			attr := unix.LandlockPathBeneathAttr{Allowed_access: r.rights & l.attr.Handled_access_fs, Parent_fd: int32(r.fd)}
			_, _, errno := unix.RawSyscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH,
				uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
			if errno != 0 {
				unix.Close(set)
				return -1, fmt.Errorf("adding a Landlock rule: %w", errno)
			}
		}
	}
	return set, nil
}
