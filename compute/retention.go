package compute

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A directory that must go later is a line in a file that is named by the hour (for
// short times, the minute or second) at which it goes. So a node remembers millions
// of them across restarts without holding any in memory.

// expiry rounds the end of a retention up to a file's name.
func expiry(end time.Time, retention time.Duration) int64 {
	step := int64(3600)
	switch {
	case retention < time.Minute:
		step = 1
	case retention < 24*time.Hour:
		step = 60
	}
	at := end.Add(retention).Unix() + 1
	return (at + step - 1) / step * step
}

// retain notes that the directory of a task must go when its retention is over.
func (a *agent) retain(path string, ended time.Time, retention time.Duration) error {
	at := expiry(ended, retention)
	name := filepath.Join(a.disk, agentDir, "expiry", strconv.FormatInt(at, 10))
	file, err := unix.Open(name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("noting a retention: %w", err)
	}
	_, err = unix.Write(file, []byte(path+" "+strconv.FormatInt(ended.UnixNano(), 10)+"\n"))
	unix.Close(file)
	if err != nil {
		return fmt.Errorf("noting a retention: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.nextExpiry == 0 || at < a.nextExpiry {
		a.armExpiry(at)
	}
	return nil
}

// armExpiry sets the clock for the next file; a.mu is held.
func (a *agent) armExpiry(at int64) {
	if a.closed {
		return
	}
	if a.expiring != nil {
		a.expiring.Stop()
	}
	a.nextExpiry = at
	a.expiring = time.AfterFunc(time.Until(time.Unix(at, 0)), a.expire)
}

// expire removes what is due and sets the clock for the rest.
func (a *agent) expire() {
	dir := filepath.Join(a.disk, agentDir, "expiry")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	now := time.Now().Unix()
	next := int64(0)
	for _, e := range entries {
		at, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil {
			continue
		}
		if at > now {
			if next == 0 || at < next {
				next = at
			}
			continue
		}
		if err := a.expireFile(filepath.Join(dir, e.Name())); err != nil {
			a.log.Warn("removing directories whose retention is over", "error", err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nextExpiry = 0
	if next != 0 {
		a.armExpiry(next)
	}
}

// expireFile removes the directories that a file lists, and the file.
func (a *agent) expireFile(name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var failed error
	for lines := bufio.NewScanner(file); lines.Scan(); {
		path, when, _ := strings.Cut(lines.Text(), " ")
		ended, err := strconv.ParseInt(when, 10, 64)
		if (leftover{path: path}).check() != nil || err != nil {
			continue
		}
		parts := strings.Split(path, "/")
		key := TaskDir{parts[1], parts[len(parts)-1]}
		a.mu.Lock()
		_, busy := a.dirs[key]
		if busy {
			a.mu.Unlock()
			continue
		}
		c := a.claim(key)
		a.mu.Unlock()
		// The task may have run again since, and then has a line of its own.
		if !bornAfter(filepath.Join(a.disk, path), time.Unix(0, ended)) {
			failed = errors.Join(failed, removeTree(filepath.Join(a.disk, path)))
		}
		a.release(c)
	}
	return errors.Join(failed, os.Remove(name))
}

// bornAfter reports whether a file was made after t, as far as the file system says.
func bornAfter(path string, t time.Time) bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &st)
	return err == nil && st.Mask&unix.STATX_BTIME != 0 && time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).After(t)
}
