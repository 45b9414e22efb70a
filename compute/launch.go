package compute

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A launch is everything about a process that is to be started.
type launch struct {
	program   string
	argv, env []string
	dir       string
	files     [3]uintptr
	// uid is the user and group to become; 0 keeps ours, without capabilities.
	uid int
	// leaf is the control group to start in; nil means none.
	leaf *leaf
	// ruleset is a Landlock ruleset, or -1.
	ruleset int
}

type started struct {
	pid int
	err error
}

// start starts the process and returns its number. Nobody but us waits for it.
func (l *launch) start() (int, error) {
	done := make(chan started, 1)
	go l.confined(done)
	s := <-done
	return s.pid, s.err
}

// confined gives its thread up for good: what the thread loses here, its children
// do not have either, and no other goroutine may ever run on it. The runtime ends a
// thread whose goroutine ends while locked to it. For the same reason the child must
// not be told to die with its parent: its parent is this thread.
func (l *launch) confined(done chan<- started) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread stands for the process in /proc and cannot end. Keep it
		// busy while another one does the work.
		other := make(chan started, 1)
		go l.confined(other)
		done <- <-other
		runtime.UnlockOSThread()
		return
	}
	if err := l.restrict(); err != nil {
		done <- started{err: err}
		return
	}
	sys := syscall.SysProcAttr{
		// A session of its own: no terminal of ours, and one group to signal.
		Setsid: true,
	}
	if l.uid != 0 {
		sys.Credential = &syscall.Credential{Uid: uint32(l.uid), Gid: uint32(l.uid)}
	}
	if l.leaf != nil {
		sys.UseCgroupFD, sys.CgroupFD = true, l.leaf.fd
	}
	pid, err := syscall.ForkExec(l.program, l.argv, &syscall.ProcAttr{Dir: l.dir, Env: l.env, Files: l.files[:], Sys: &sys})
	done <- started{pid, err}
}

// restrict takes from this thread what the task must not have.
func (l *launch) restrict() error {
	if l.uid == 0 {
		if err := dropCapabilities(); err != nil {
			return err
		}
	}
	if _, _, errno := unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("giving up new privileges: %w", errno)
	}
	if l.ruleset >= 0 {
		if _, _, errno := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(l.ruleset), 0, 0); errno != 0 {
			return fmt.Errorf("entering Landlock: %w", errno)
		}
	}
	return nil
}

// secureBits make the root user one like any other, for good: being it, becoming it
// or ceasing to be it gives no capability.
const secureBits = 1<<0 | 1<<1 | // no root, locked
	1<<2 | 1<<3 | // no fix-up on a change of user, locked
	1<<6 | 1<<7 // no raising of ambient capabilities, locked

// dropCapabilities empties the capability sets of this thread.
func dropCapabilities() error {
	// Needs a capability itself; who has none has nothing to lock either, and no new
	// privileges come later in any case.
	unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_SECUREBITS, secureBits, 0, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	return nil
}
